"""What agents and bridges tell the sidecar about a call: facts, in order, each once per source.

A report is `(call, source, incarnation, seq)`; the sidecar applies reports of one source in order
of `seq`, answers a repeated one without effect and refuses an agent's whose incarnation is not the
call's. A bridge outlives the agents of its call, so its incarnation is always 1 and not compared.
Reporters never set a state.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.ids import MAX_INCARNATION
from contracts.moment import Moment
from contracts.outcome import Reason

MAX_FACTS = 500
"""Facts in one report."""
MAX_NUMBER = 2**31 - 1


class Source(StrEnum):
    """Who reports. Each has its own sequence, starting at 1 for every incarnation."""

    AGENT = "agent"
    BRIDGE = "bridge"


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    at: Moment
    """When it happened, UTC."""


class LegStarted(_Fact):
    """Bridge: the carrier named the stream (it may come later than the plan)."""

    type: Literal["leg_started"] = "leg_started"
    stream_id: str


class LegDialled(_Fact):
    """Bridge: the call was sent towards a phone."""

    type: Literal["leg_dialled"] = "leg_dialled"


class LegRinging(_Fact):
    """Bridge: the phone rings."""

    type: Literal["leg_ringing"] = "leg_ringing"


class LegHeld(_Fact):
    """Bridge: the far end holds the line; nobody listens."""

    type: Literal["leg_held"] = "leg_held"


class LegResumed(_Fact):
    """Bridge: the far end is back."""

    type: Literal["leg_resumed"] = "leg_resumed"


class DigitPressed(_Fact):
    """Bridge, or agent where there is none: the caller pressed a key."""

    type: Literal["digit_pressed"] = "digit_pressed"
    digit: str
    duration_ms: int = 0


class DigitsSent(_Fact):
    """Agent: the bot pressed keys."""

    type: Literal["digits_sent"] = "digits_sent"
    digits: str


class LegAnswered(_Fact):
    """Bridge: the phone is answered."""

    type: Literal["leg_answered"] = "leg_answered"


class LegEnded(_Fact):
    """Bridge: the phone is gone, whoever ended it."""

    type: Literal["leg_ended"] = "leg_ended"
    reason: Reason
    detail: str = ""
    sip_status_code: int | None = None
    """The final response to our INVITE, where there was one."""
    stats: dict[str, Any] = Field(default_factory=dict)


class AgentJoined(_Fact):
    """Agent: in the room and ready to speak."""

    type: Literal["agent_joined"] = "agent_joined"
    pipeline: dict[str, Any] = Field(default_factory=dict)
    """What it runs on, for `pipeline_config`: providers, models, versions; no keys."""


class ConversationStarted(_Fact):
    """Agent: the call is answered and the bot talks."""

    type: Literal["conversation_started"] = "conversation_started"


class TranscriptLine(_Fact):
    """Agent: something one side said; for the bot, what the caller *heard*."""

    type: Literal["transcript_line"] = "transcript_line"
    speaker: Literal["bot", "customer"]
    text: str
    interrupted: bool = False
    typed: bool = False
    """Whether it came by keyboard, from somebody in a browser."""


class IntentFound(_Fact):
    """Agent: the caller wants something the bot knows by name."""

    type: Literal["intent_found"] = "intent_found"
    name: str
    confidence: float = 1.0
    slots: dict[str, Any] = Field(default_factory=dict)


class ToolCalled(_Fact):
    """Agent: a tool ran; in results it becomes `tool_call` and `custom_tool_result`."""

    type: Literal["tool_called"] = "tool_called"
    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    result: Any = None
    error: str | None = None
    duration_ms: float = 0.0
    detail: dict[str, Any] = Field(default_factory=dict)
    """Facts beside it: `failure`, and the `status` that a server answered with."""


class TurnMeasured(_Fact):
    """Agent: how long the caller waited for one answer, by the clock of the phone's leg.

    Times in ms; None where it is not known, as where a bot's answer needs no such stage. The stages
    from `stt_ms` to `lead_in_ms` are what each one added to the wait, in this order: one that was
    done before its turn came added 0, and together they are `response_ms`. The moments, `…_at_ms`,
    count from the end of the caller's speech in the audio, and may lie before it.
    """

    type: Literal["turn_measured"] = "turn_measured"
    turn: int
    response_ms: float | None = None
    """From the caller's last sound to the answer's first, as the phone plays it."""
    stt_ms: float | None = None
    """Until the speech recogniser was sure of the last words."""
    endpointing_ms: float | None = None
    """Until the turn was taken for finished."""
    tool_ms: float | None = None
    """Tools the answer had to wait for."""
    llm_ttft_ms: float | None = None
    """Until the first token that is spoken."""
    clause_ms: float | None = None
    """Until the voice was given text that it can speak."""
    tts_ttfb_ms: float | None = None
    """Until it gave the first audio."""
    sending_ms: float | None = None
    """Until that audio left for the bridge."""
    playback_ms: float | None = None
    """Until the phone was sent its first sample."""
    lead_in_ms: float | None = None
    """Silence the voice begins with."""
    stt_final_at_ms: float | None = None
    decided_at_ms: float | None = None
    requested_at_ms: float | None = None
    """When the language model was asked; before `decided_at_ms` where it was asked early."""
    first_token_at_ms: float | None = None
    first_clause_at_ms: float | None = None
    first_audio_at_ms: float | None = None
    sent_at_ms: float | None = None
    played_at_ms: float | None = None
    detail: dict[str, Any] = Field(default_factory=dict)
    """`speech_end: "vad"` where the audio did not show when the caller fell silent, and the voice
    detector's word was taken, which is later."""


STAGES = (
    "stt_ms",
    "endpointing_ms",
    "tool_ms",
    "llm_ttft_ms",
    "clause_ms",
    "tts_ttfb_ms",
    "sending_ms",
    "playback_ms",
    "lead_in_ms",
)
"""What each part of a turn added to the wait, in order; together `response_ms`."""
MOMENTS = (
    "stt_final_at_ms",
    "decided_at_ms",
    "requested_at_ms",
    "first_token_at_ms",
    "first_clause_at_ms",
    "first_audio_at_ms",
    "sent_at_ms",
    "played_at_ms",
)
"""When each part of a turn came about, counted from the end of the caller's speech."""


class Noticed(_Fact):
    """Agent or bridge: anything else worth showing (`re_engaged`, `interrupted` …)."""

    type: Literal["noticed"] = "noticed"
    name: str
    detail: dict[str, Any] = Field(default_factory=dict)


class TransferStarted(_Fact):
    """Agent: the bot hands the caller over."""

    type: Literal["transfer_started"] = "transfer_started"
    destination: str
    target: str = ""
    reason: str = ""
    method: str = "websocket_reverse_transfer"


class TransferSent(_Fact):
    """Bridge: the carrier was told to transfer."""

    type: Literal["transfer_sent"] = "transfer_sent"


class TransferFailed(_Fact):
    """Agent or bridge: the hand-over did not come about."""

    type: Literal["transfer_failed"] = "transfer_failed"
    failed_reason: str


class UsageCounted(_Fact):
    """Agent: totals so far (tokens, characters, audio seconds); the last one counts."""

    type: Literal["usage_counted"] = "usage_counted"
    usage: dict[str, Any]


class RecordingStored(_Fact):
    """Agent's host: the recording's file is complete and reached the sidecar."""

    type: Literal["recording_stored"] = "recording_stored"
    key: str
    duration_s: float
    size_bytes: int


class HandedOff(_Fact):
    """Agent: a person has taken the caller over; the bot's end is not the call's room's."""

    type: Literal["handed_off"] = "handed_off"
    queue: str = ""


class AgentEnded(_Fact):
    """Agent: the conversation is over, with its reason; the agent's last fact but the recording."""

    type: Literal["agent_ended"] = "agent_ended"
    reason: Reason
    detail: str = ""


Fact = Annotated[
    LegStarted
    | LegDialled
    | LegRinging
    | LegHeld
    | LegResumed
    | DigitPressed
    | DigitsSent
    | LegAnswered
    | LegEnded
    | AgentJoined
    | ConversationStarted
    | TranscriptLine
    | IntentFound
    | ToolCalled
    | TurnMeasured
    | Noticed
    | TransferStarted
    | TransferSent
    | TransferFailed
    | UsageCounted
    | RecordingStored
    | HandedOff
    | AgentEnded,
    Field(discriminator="type"),
]


class Report(BaseModel):
    """A batch of facts. `seq` is the number of the first; the others follow without gaps."""

    source: Source
    incarnation: int = Field(ge=1, le=MAX_INCARNATION)
    seq: int = Field(ge=1, le=MAX_NUMBER)
    facts: list[Fact] = Field(min_length=1, max_length=MAX_FACTS)


class ReportReceipt(BaseModel):
    """The sidecar's answer: this source and incarnation is durable up to `applied_seq`."""

    applied_seq: int


class LostJob(BaseModel):
    """An agent that died, or stands still, while it served a call."""

    call_id: str
    incarnation: int = Field(ge=1, le=MAX_INCARNATION)
    detail: str = ""


class Heartbeat(BaseModel):
    """A worker's or bridge's sign of life, each second; one row per `id`."""

    model_config = ConfigDict(allow_inf_nan=False)

    kind: Literal["agent", "bridge"]
    id: str = Field(max_length=200)
    host: str
    pid: int = Field(ge=0, le=MAX_NUMBER)
    ready: bool
    """Agents: registered with LiveKit. Bridges: accepting."""
    calls: list[str] = Field(default_factory=list, max_length=10_000)
    standbys: list[str] = Field(default_factory=list, max_length=10_000)
    """Agents: those of its jobs that were started before there was a call for them."""
    max_calls: int = Field(ge=0, le=1_000_000)
    door: Literal["stream", "sip"] = "stream"
    """Bridges: what they carry. A slot of one kind is none of the other."""
    lost: list[LostJob] = Field(default_factory=list, max_length=10_000)
    """Agents: jobs that ended without a word, until the sidecar has heard of each."""
    spooled: int = Field(default=0, ge=0, le=MAX_NUMBER)
    """Reports of dead jobs and calls that wait on disk to be handed in."""
    started_at: Moment
    metrics: dict[str, float] = Field(default_factory=dict)


class Seat(BaseModel):
    """A place for a caller, in a room where an agent waits: a bridge takes it before there is one.

    Whoever is given the seat's call has the room at once; joining takes 60 ms and more.
    """

    standby_id: str
    livekit_url: str
    token: str
    """Joins that one room as its caller."""


class HeartbeatReceipt(BaseModel):
    """The sidecar's answer to a heartbeat."""

    calls: dict[str, str] = Field(default_factory=dict)
    """Agents: which call each of its standbys serves, of those that serve one."""
    seats: list[Seat] = Field(default_factory=list)
    """Bridges: the seats to hold, and no others."""
    tasks: bool = False
    """Agents: whether work after calls waits to be claimed."""
