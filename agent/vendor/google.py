"""Google's language models: by the Gemini API with its key, or by Vertex AI with an account's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import google.auth.credentials
import httpx
from google.genai import Client, types
from google.oauth2.credentials import Credentials as Token
from google.oauth2.service_account import Credentials as ServiceAccount
from livekit.agents import APIConnectionError, APIStatusError, llm
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from livekit.plugins.google import llm as plugin

from agent.vendor.prompt_cache import PromptCache
from agent.vendor.tls import tls
from contracts.engines import LlmConfig
from contracts.vendor.llm import (
    GeminiOptions,
    GoogleOptions,
    VertexOptions,
    service_account,
    takes_level,
)

_NO_KEY = "none"
_CONNECT_S = 4.0
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TOKENS = "https://oauth2.googleapis.com/token"
_LEAST_THINKING = {"gemini-2.5-pro": 128, "gemini-2.5": 0}
"""Tokens, by how a model's name begins: nobody on a telephone waits for more unasked."""
_CACHE_GONE = (400, 403, 404)
"""What Google answers where a cache has expired, was deleted, or never was."""


def google_llm(config: LlmConfig, cache: PromptCache | None = None) -> GeminiLLM:
    """Return a model by the Gemini API.

    Args:
        config: the bot's choice.
        cache: a prompt that Google keeps, where there is one.

    Raises:
        pydantic.ValidationError: an option has a value that Google does not take.
    """
    options = GoogleOptions.model_validate(config.extra)
    client = Client(
        vertexai=False,
        api_key=config.api_key or _NO_KEY,
        http_options=_http(config.base_url, "v1beta"),
    )
    more = {"service_tier": _given(options.service_tier)}
    return _model(client, config, options, cache, **more)


def vertex_llm(config: LlmConfig, cache: PromptCache | None = None) -> GeminiLLM:
    """Return a model by Vertex AI; arguments as for `google_llm`.

    Raises:
        pydantic.ValidationError: an option has a value that Google does not take.
    """
    options = VertexOptions.model_validate(config.extra)
    client = Client(
        vertexai=True,
        project=options.project_id,
        location=options.location,
        credentials=credentials(config.api_key),
        http_options=_http(config.base_url, "v1beta1"),
    )
    more = {"vertexai": True, "project": options.project_id, "location": options.location}
    return _model(client, config, options, cache, **more)


def warm_up() -> None:
    """Pay for a first client in this process, the forkserver, instead of in each call: 30 ms."""
    google_llm(LlmConfig(provider="google", model="gemini-2.5-flash"))


def credentials(api_key: str) -> google.auth.credentials.Credentials:
    """Return what proves who asks: an account that signs for itself, or a gateway's own token.

    Nobody is asked for a token: a signature of the account's own is taken in its place, which saves
    the first answer that wait, and the key's owner no address to send us to.
    """
    account = service_account(api_key)
    if account is None:
        return Token(token=api_key or _NO_KEY)  # type: ignore[no-untyped-call]
    found: google.auth.credentials.Credentials = ServiceAccount.from_service_account_info(  # type: ignore[no-untyped-call]
        {**account, "type": "service_account", "token_uri": _TOKENS}, scopes=[_SCOPE]
    ).with_always_use_jwt_access(True)
    return found


class GeminiLLM(llm.LLM[Any]):
    """The plug-in's model, with a prompt that Google keeps or without.

    A kept prompt that is gone is done without from then on, beginning with the turn that found out.
    """

    def __init__(
        self, client: Client, options: plugin._LLMOptions, cache: PromptCache | None
    ) -> None:
        super().__init__()
        self._client = client
        self._whole = _PluginLLM(client, options)
        self.cache = cache
        self.cached = _PluginLLM(client, options, cache.name) if cache is not None else None
        if self.cached is not None:
            # What was thought with the kept prompt goes on without it.
            self.cached._thought_signatures = self._whole._thought_signatures

    @property
    def model(self) -> str:
        return self._whole.model

    @property
    def provider(self) -> str:
        return self._whole.provider

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        once = APIConnectOptions(max_retry=0, timeout=conn_options.timeout)

        def ask(chat: llm.ChatContext, *, kept: bool) -> llm.LLMStream:
            # A kept prompt has its tools with it.
            return (self.cached if kept and self.cached else self._whole).chat(
                chat_ctx=chat,
                tools=[] if kept else tools,
                conn_options=once,
                tool_choice=NOT_GIVEN if kept else tool_choice,
                extra_kwargs=extra_kwargs,
            )

        return _GeminiStream(
            self, ask, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options
        )

    async def _prewarm_impl(self) -> None:
        await self._whole._prewarm_impl()

    async def aclose(self) -> None:
        """Hang up on Google."""
        await super().aclose()
        await _client_of(self._client).aclose()


class _GeminiStream(llm.LLMStream):
    def __init__(
        self,
        owner: GeminiLLM,
        ask: Callable[..., llm.LLMStream],
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        conn_options: APIConnectOptions,
    ) -> None:
        super().__init__(owner, chat_ctx=chat_ctx, tools=tools, conn_options=conn_options)
        self._owner = owner
        self._ask = ask
        self._is_begun = False

    async def _run(self) -> None:
        cache, refused = self._owner.cache, 0
        if cache is not None and not cache.is_lost:
            try:
                await self._pass_on(self._ask(cache.rest_of(self._chat_ctx), kept=True))
                return
            except APIStatusError as error:
                if self._is_begun or error.status_code not in _CACHE_GONE:
                    raise
                refused = error.status_code
        await self._pass_on(self._ask(self._chat_ctx, kept=False), refused)

    async def _pass_on(self, answer: llm.LLMStream, refused: int = 0) -> None:
        """Hand an answer on; `refused`: what the vendor answered to the kept prompt."""
        try:
            async with answer:
                async for chunk in answer:
                    if refused and self._owner.cache is not None:
                        # What is answered without it was not refused for the key.
                        self._owner.cache.lose(refused)
                    self._is_begun = self._is_begun or chunk.delta is not None
                    if chunk.usage is not None:
                        # The plug-in leaves out what was thought, which is billed as what is said.
                        produced = chunk.usage.total_tokens - chunk.usage.prompt_tokens
                        chunk.usage.completion_tokens = produced
                    self._event_ch.send_nowait(chunk)
        except APIStatusError as error:
            # To a wrong key the Gemini API answers 400.
            if error.status_code == 400 and "api key" in str(error.body).lower():
                raise APIStatusError("Gemini refuses the key", status_code=401) from None
            raise
        except APIConnectionError as error:
            # Its message may quote the answer, which is for the caller alone.
            raise APIConnectionError(
                "Gemini's answer broke off", retryable=error.retryable
            ) from None


class _PluginLLM(plugin.LLM):
    """The plug-in's LLM on a client that is there: its own constructor takes 75 ms to make one."""

    def __init__(self, client: Client, options: plugin._LLMOptions, cache: str = "") -> None:
        llm.LLM.__init__(self)
        self._client = client
        self._opts = options
        self._thought_signatures = {}
        if cache:
            self._opts = plugin._LLMOptions(**{**vars(options), "cached_content": cache})


def _model(
    client: Client,
    config: LlmConfig,
    options: GeminiOptions,
    cache: PromptCache | None,
    **more: Any,
) -> GeminiLLM:
    unset = dict.fromkeys(plugin._LLMOptions.__dataclass_fields__, NOT_GIVEN)
    given: dict[str, Any] = {
        **unset,
        "model": config.model,
        "temperature": config.temperature,
        "max_output_tokens": config.max_tokens,
        "top_p": _given(options.top_p),
        "top_k": _given(options.top_k),
        "presence_penalty": _given(options.presence_penalty),
        "frequency_penalty": _given(options.frequency_penalty),
        "seed": _given(options.seed),
        "thinking_config": _thinking(config.model, options),
        "safety_settings": [each.model_dump() for each in options.safety_settings]
        if options.safety_settings
        else NOT_GIVEN,
        **more,
    }
    return GeminiLLM(client, plugin._LLMOptions(**given), cache)


def _thinking(model: str, options: GeminiOptions) -> Any:
    if takes_level(model):
        # The plug-in takes the least that a Gemini 3 knows, unless it is told of a level.
        is_known = "gemini-3" in model.lower()
        level = options.thinking_level
        return {"thinking_level": level} if level else {} if is_known else NOT_GIVEN
    if options.thinking_budget is not None:
        return {"thinking_budget": options.thinking_budget}
    least = (tokens for name, tokens in _LEAST_THINKING.items() if model.startswith(name))
    budget = next(least, None)
    return NOT_GIVEN if budget is None else {"thinking_budget": budget}


def _http(base_url: str, version: str) -> types.HttpOptions:
    client = httpx.AsyncClient(
        verify=tls(),
        # A bot's address was checked; where it would send us on to was not.
        follow_redirects=False,
        event_hooks={"request": [_patience]},
    )
    shared = {"verify": tls()}
    return types.HttpOptions(
        base_url=base_url or None,
        api_version=version,
        httpx_async_client=client,
        # Unused, but else they would each read the certificates from disk.
        client_args=shared,
        async_client_args={**shared, "ssl": tls()},
    )


async def _patience(request: httpx.Request) -> None:
    """Let a vendor stream for as long as it does: the limit is for what it keeps us waiting."""
    request.headers.pop("X-Server-Timeout", None)
    waits = request.extensions.get("timeout", {})
    waits["connect"] = min(waits.get("connect") or _CONNECT_S, _CONNECT_S)


def _client_of(client: Client) -> httpx.AsyncClient:
    used = client._api_client._http_options.httpx_async_client
    assert isinstance(used, httpx.AsyncClient)
    return used


def _given(value: Any) -> Any:
    return NOT_GIVEN if value is None else value
