"""OpenAI's chat models, and any server that speaks their protocol."""

from __future__ import annotations

from typing import Any

from livekit.agents.types import NOT_GIVEN
from livekit.plugins import openai as plugin
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

from agent.vendor.tls import tls
from contracts.engines import LlmConfig, PromptParts
from contracts.vendor.llm import OpenAiOptions

_URL = "https://api.openai.com/v1"
_NO_KEY = "none"
_CONNECT_S = 4.0
_READ_S = 5.0


class OpenAiLLM(plugin.LLM):
    """The plug-in's LLM, which closes the client it was given."""

    async def aclose(self) -> None:
        await super().aclose()
        await self._client.close()


def openai_llm(config: LlmConfig, prompt: PromptParts | None) -> plugin.LLM:
    """Return the model.

    Raises:
        pydantic.ValidationError: an option has a value that OpenAI does not take.
    """
    options = OpenAiOptions.model_validate(config.extra)
    cached = prompt if prompt is not None and prompt.is_live else PromptParts()
    return OpenAiLLM(
        client=_client(config),
        model=config.model,
        temperature=config.temperature,
        # The name that OpenAI wants now; others know the older one alone.
        max_completion_tokens=NOT_GIVEN if config.base_url else config.max_tokens,
        top_p=_given(options.top_p),
        parallel_tool_calls=_given(options.parallel_tool_calls),
        reasoning_effort=_given(options.reasoning_effort),
        service_tier=_given(options.service_tier),
        prompt_cache_key=_given(cached.prompt_cache_key or None),
        prompt_cache_retention=_given(cached.prompt_cache_retention or None),
        extra_body=_body(config, options) or NOT_GIVEN,
        # Bots' tools are given as they were written, not in the strict form.
        _strict_tool_schema=False,
    )


def _client(config: LlmConfig) -> AsyncOpenAI:
    http = DefaultAsyncHttpxClient(
        verify=tls(),
        timeout=Timeout(_READ_S, connect=_CONNECT_S),
        # A bot's address was checked; where it would send us on to was not.
        follow_redirects=False,
    )
    return AsyncOpenAI(
        api_key=config.api_key or _NO_KEY,
        base_url=config.base_url or _URL,
        max_retries=0,
        http_client=http,
    )


def _body(config: LlmConfig, options: OpenAiOptions) -> dict[str, Any]:
    """Return what the plug-in has no argument for."""
    body: dict[str, Any] = {
        "frequency_penalty": options.frequency_penalty,
        "presence_penalty": options.presence_penalty,
        "seed": options.seed,
    }
    if config.base_url:
        # Servers of one's own take more than OpenAI does, `top_k` for one.
        body |= {"max_tokens": config.max_tokens, **(options.model_extra or {})}
    return {key: value for key, value in body.items() if value is not None}


def _given(value: Any) -> Any:
    return NOT_GIVEN if value is None else value
