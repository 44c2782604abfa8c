"""A bot's whole per-call configuration: the family's keys and defaults, and ours beside.

Unknown keys are kept everywhere, so that a config made for a newer or older member of the family
passes through.
"""

from __future__ import annotations

from datetime import time
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from contracts import template
from contracts.engines import (
    LlmConfig,
    PromptParts,
    RealtimeConfig,
    Resilience,
    SttConfig,
    TtsConfig,
    TurnConfig,
    VadConfig,
)
from contracts.machine import MachineDetection
from contracts.manners import Manners, ReEngagement
from contracts.open import Open
from contracts.speech import Pronunciation
from contracts.tool import (
    MAX_SERVERS,
    MAX_TOOLS,
    HttpTool,
    McpServer,
    unique_servers,
    unique_tools,
)


def _upper(word: Any) -> Any:
    return word.upper() if isinstance(word, str) else word


WidgetOrigin = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        max_length=300,
        pattern=r"^(https?://[A-Za-z0-9.\[\]:-]+|\*\.[A-Za-z0-9.-]+)$",
    ),
]
"""As browsers spell origins: lower case, no path, no port that is the scheme's own."""


_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class ActiveHours(Open):
    """When the bot answers; a range with `end_time` before `start_time` runs over midnight."""

    enabled: bool = False
    days: list[str] = Field(
        default_factory=lambda: [
            "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
        ]
    )  # fmt: skip
    start_time: time = time(0, 0)
    end_time: time = time(23, 59, 59)

    @field_validator("days")
    @classmethod
    def _days_of_the_week(cls, days: list[str]) -> list[str]:
        days = [day.strip().lower() for day in days]
        if unknown := [day for day in days if not day.startswith(_WEEKDAYS)]:
            raise ValueError(f"{unknown[0]!r} is no day of the week")
        return days


class TransferTarget(Open):
    """Somewhere a caller can be handed to."""

    id: str = ""
    label: str = ""
    method: Literal[
        "websocket_reverse_transfer", "livekit_sip_refer", "exotel_passthru", "agent_desk"
    ] = "websocket_reverse_transfer"
    type: Literal["extension", "sip_uri", "tel_uri", "phone_number", "agent_queue"] = "phone_number"
    value: str = Field(min_length=1)
    is_default: bool = False
    enabled: bool = True

    @model_validator(mode="after")
    def _value_fits(self) -> TransferTarget:
        if self.method == "agent_desk" and self.type != "agent_queue":
            raise ValueError("agent_desk takes only type agent_queue")
        if self.method != "agent_desk" and self.type == "agent_queue":
            raise ValueError(f"{self.method} does not take type agent_queue")
        if self.method == "livekit_sip_refer" and self.type == "extension":
            raise ValueError("livekit_sip_refer takes sip_uri, tel_uri or phone_number")
        if self.method == "exotel_passthru" and self.type != "phone_number":
            raise ValueError("exotel_passthru takes only type phone_number")
        scheme = {"sip_uri": "sip:", "tel_uri": "tel:"}.get(self.type, "")
        if not self.value.startswith(scheme):
            raise ValueError(f"a {self.type} begins with {scheme}")
        return self


class ExotelApi(Open):
    """An Exotel account's REST API, to hang up by where a call outlives its stream (ours)."""

    hang_up: Literal["call", "leg"] = "call"
    """By the API for calls, or for accounts with Exotel's Legs by the one for those."""

    account_sid: str = Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")
    api_key: str = Field(min_length=1)
    """As it is, or `secret://name`; the token likewise."""
    api_token: str = Field(min_length=1)
    host: str = Field(
        default="api.in.exotel.com",
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?$",
    )


class CrmPrefetch(Open):
    """What to ask the CRM while a call is set up; its answer is `{{crm.*}}` (ours).

    `url`, `headers` and `body` are templates over `call.*` and `system.*`.
    """

    url: str = ""
    """Empty: nothing is asked."""
    method: Annotated[Literal["GET", "POST"], BeforeValidator(_upper)] = "GET"
    headers: dict[str, str] = Field(default_factory=dict)
    token: str = ""
    """The whole `Authorization`, such as `Bearer …`."""
    timeout_s: float = Field(default=3.0, gt=0, le=60)
    """However long, a ringing phone waits 3 s, a caller who listens 1 s."""
    response_path: str = ""
    """Where in the answer the fields are: `data.customers.0`; empty: at its top."""
    body: Any = None
    """Sent as JSON with `POST`."""

    @field_validator("url")
    @classmethod
    def _host_is_fixed(cls, url: str) -> str:
        # A caller's words must not choose who is sent the token.
        scheme, _, rest = url.partition("://")
        authority = rest.partition("/")[0].partition("?")[0].partition("#")[0]
        if template.has_tokens(f"{scheme}{authority}"):
            raise ValueError("only the path and the query may hold {{variables}}")
        return url


class PostCallPush(Open):
    """Tells the CRM how a call came out, in the CRM's own words (the family's)."""

    url: str = ""
    """Empty: nothing is pushed."""
    token: str = ""
    """The whole `Authorization`, such as `Bearer …`."""
    method: Annotated[Literal["POST", "PUT", "PATCH"], BeforeValidator(_upper)] = "POST"
    headers: dict[str, str] = Field(default_factory=dict)
    key_mapper: dict[str, Any] = Field(default_factory=dict)
    """The body: its strings are templates, at any depth. Empty: the whole result."""
    push_updates: bool = False
    """Whether what is learnt later, as from a late analysis, is pushed once more."""


class BotConfig(Open):
    """What one call runs on. Names, types and defaults of the first block are the family's."""

    session_id: str = ""
    bot_id: str = ""
    webhook_url: str = ""
    system_prompt: str = ""
    opening_message: str = ""
    timezone: str = "UTC"
    re_engagement: ReEngagement | None = None
    min_words_interruption: int = Field(default=3, ge=0, le=50)
    max_call_duration_seconds: int = Field(default=600, ge=1, le=86_400)
    voicemail_message: str = ""
    pre_transfer_message: str = ""
    tools: Annotated[list[HttpTool], AfterValidator(unique_tools)] = Field(
        default_factory=list, max_length=MAX_TOOLS
    )
    conversation_policy: dict[str, Any] | None = None
    transfer_numbers: dict[str, str] = Field(default_factory=dict)
    transfer_targets: list[TransferTarget] = Field(default_factory=list)
    post_call_analysis_prompt: str | None = None
    post_call_cache_enabled: bool = False
    post_call_cache_version: str = ""
    post_call_cache: dict[str, Any] | None = None
    qc_prompt: str | None = None
    auto_dispositions: dict[str, Any] | None = None
    stt: SttConfig = Field(default_factory=SttConfig)
    llm: LlmConfig = Field(default_factory=LlmConfig)
    tts: TtsConfig = Field(default_factory=TtsConfig)
    vad: VadConfig = Field(default_factory=VadConfig)
    prompt_parts: PromptParts | None = None
    callback_detection_enabled: bool = False
    callback_prompt_injection: bool = True
    """Whether the analysis may be asked for callbacks: the bot's own gate beside the campaign's."""
    active_hours: ActiveHours = Field(default_factory=ActiveHours)
    post_call_push: PostCallPush | None = None
    knowledge_enabled: bool = False
    knowledge_trigger_instructions: str = ""
    knowledge_kb_ids: list[str] = Field(default_factory=list)
    knowledge_top_k: int = Field(default=4, ge=1, le=10)
    knowledge_score_threshold: float = Field(default=0.0, ge=0, le=1)
    knowledge_strict: bool = False
    knowledge_fallback_message: str = ""
    is_active: bool = True

    # Ours.
    name: str = ""
    runtime_mode: Literal["pipeline", "realtime"] = "pipeline"
    """Whether `stt`, `llm` and `tts` hold the conversation, or `realtime` alone does."""
    realtime: RealtimeConfig | None = None
    resilience: Resilience = Field(default_factory=Resilience)
    manners: Manners = Field(default_factory=Manners)
    machine_detection: MachineDetection = Field(default_factory=MachineDetection)
    pronunciation: Pronunciation = Field(default_factory=Pronunciation)
    webhook_secret: str = ""
    """Signs results (Standard Webhooks, `whsec_…`); empty means the platform's own secret."""
    stream_token: str = ""
    """What a dialler must present on `/ws/{bot_id}`, and Exotel on `/exotel/{bot_id}`.

    Taken from the query's `token`, a Bearer or Basic `Authorization`, or `X-Stream-Token`.
    """
    stream_anonymous: bool | None = None
    """Whether a dialler may come without a token; None means the platform's default."""
    stream_allowed_ips: list[str] = Field(default_factory=list)
    """Addresses or networks a dialler may come from; empty means any."""
    stream_message_ms: int = Field(default=20, ge=20, le=400, multiple_of=20)
    """Bot audio per message to the carrier, padded at the end of an utterance.

    Twenty is heard, and stopped, soonest; some carriers want 200 (3,200 bytes at 8 kHz).
    """
    exotel_chunk_bytes: int = Field(default=3200, ge=320, le=32_000, multiple_of=320)
    """The same at Exotel's door, whose rule is 3,200; some accounts take less."""
    exotel_sample_rate: Literal[8000, 16000, 24000] = 8000
    """Samples a second that `/exotel/{bot_id}/url` asks for; a telephone has 8000."""
    exotel_stream_limit_s: int = Field(default=3600, ge=60, le=14_400)
    """After how long the account's plan ends a stream; the bot says goodbye before."""
    exotel_api: ExotelApi | None = None
    widget_api_key: str = Field(default="", max_length=200)
    """What the bot's web widget shows. Whoever opens the page can read it: it names the widget, and
    keeps nobody out. Empty: the bot has none."""
    widget_allowed_origins: list[WidgetOrigin] = Field(default_factory=list, max_length=200)
    """Where pages with the widget may be from: `https://shop.example`, or `*.example.com` for its
    subdomains over HTTPS; empty: anywhere."""
    crm_prefetch: CrmPrefetch | None = None
    mcp_servers: Annotated[list[McpServer], AfterValidator(unique_servers)] = Field(
        default_factory=list, max_length=MAX_SERVERS
    )
    """Where the bot has more tools from."""
    turn: TurnConfig = Field(default_factory=TurnConfig)
    end_call_enabled: bool = True
    voicemail_detection_enabled: bool = True
    no_response_seconds: float = Field(default=10.0, gt=0, le=300)
    """Silence after the last prompt before a call on which nobody ever spoke ends as `RNR`."""
    dead_air_seconds: float = Field(default=10.0, gt=0, le=300)
    """Silence after the last prompt before a conversation ends as `bot`."""
    recovery_message: str = "Sorry, the line dropped for a moment. Please go on."
    """Said by the agent that takes a call over from one that died."""
    transfer_failed_message: str = "I'm sorry, I could not put you through."
    """Said where a transfer did not come about and the caller is back."""
    hold_resume_message: str = ""
    """Said to a caller who had put the bot on hold, where nothing else was about to be said."""
    collect_digits_enabled: bool = True
    """Whether the bot may ask for keys by the tool `collect_digits`, on lines that have any."""
    send_digits_enabled: bool = False
    """Whether the bot may press keys itself, as in somebody else's menu."""
    dtmf_interrupts: bool = True
    """Whether a key cuts the bot off, as words do."""
    closing_message: str = ""
    """Said before the bot hangs up for dead air or at the duration cap."""
    intent_phrases: dict[str, list[str]] = Field(default_factory=dict)
    """What to notice in each of the caller's turns, for the result's `intents`: ways to put it, by
    name. A brain of rules has intents of its own beside."""
    variables: dict[str, Any] = Field(default_factory=dict)
    """Defaults for `{{crm.*}}` and `{{call.*}}`, below what the call brings."""

    @property
    def instructions(self) -> str:
        """What the LLM is told: the system prompt, or the two parts that stand in for it."""
        parts = self.prompt_parts
        if parts is None or not parts.is_live:
            return self.system_prompt
        both = (parts.static_system_prompt, parts.dynamic_runtime_prompt)
        return "\n\n".join(part for part in both if part)

    @model_validator(mode="after")
    def _unique_target_ids(self) -> BotConfig:
        ids = [target.id for target in self.transfer_targets if target.id]
        if len(ids) != len(set(ids)):
            raise ValueError("transfer_targets: ids must be unique")
        return self
