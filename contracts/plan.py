"""What the sidecar hands a door and an agent for one call, and how they ask for it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.bot import BotConfig
from contracts.ids import MAX_INCARNATION, Channel

Media = Literal["data", "tracks"]
"""How a call's audio travels through its room: our bridges send data, all others have tracks."""

MediaRate = Literal[8000, 16000, 24000]
"""Samples a second, both ways, from the door to the recording."""


class PlanRequest(BaseModel):
    """A door asks for a call. Asking again with one `idempotency_key` returns the same plan."""

    channel: Channel
    bot_id: str = ""
    """"" where the dialled number (`did`) says which bot it is."""
    caller_id: str = ""
    did: str = ""
    call_direction: Literal["incoming", "outgoing"] = "incoming"
    stream_id: str = ""
    connected_event: dict[str, Any] = Field(default_factory=dict)
    idempotency_key: str
    presented_token: str = ""
    """The stream token the peer showed, checked against the bot's."""
    peer_ip: str = ""
    bridge_id: str = ""
    answered: bool = False
    """Whether somebody listens already: then a waiting agent is worth spending."""
    seats: list[str] = Field(default_factory=list, max_length=1000)
    """The waiting agents in whose rooms the bridge sits already."""
    trunk_id: str = ""
    """By which trunk the call came, or is to go out."""
    media: Media = "data"
    media_rate_hz: MediaRate = 8000
    text_only: bool = False
    """Whether the caller types and reads, and has no audio at all."""
    room_name: str = ""
    """Where the caller is, or will be, in a room that somebody else has made; "": one of ours."""
    caller_identity: str = ""
    """The caller's name in that room."""
    has_agent: bool = False
    """Whether that room's agent is on its way already, so that none is dispatched."""

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for the bot's first word, as nobody does while a phone rings."""
        return self.answered or self.channel is Channel.WEB


class Plan(BaseModel):
    """The door's half: where to join. The room exists and an agent has been dispatched to it."""

    model_config = ConfigDict(frozen=True)

    call_id: str
    session_id: str
    room_name: str
    livekit_url: str
    token: str
    """Joins that one room as the caller; may publish data and set its own attributes."""
    caller_identity: str
    bot_id: str = ""
    media_rate_hz: MediaRate = 8000
    stream_message_ms: int = 20
    """How much bot audio goes into one message to the carrier."""
    exotel_chunk_bytes: int = 3200
    """The same at Exotel's door."""
    exotel_stream_limit_s: int = 3600
    """After how long Exotel ends the stream by itself."""
    max_call_duration_s: int = 600
    standby_id: str = ""
    """The agent that waited in the room, which is the call's incarnation 1; "": none did."""


class Wait(BaseModel):
    """An agent without a call asks for one, again and again."""

    worker_id: str


class Claim(BaseModel):
    """An agent asks to serve the call, before it publishes anything. The loser leaves."""

    incarnation: int = Field(ge=1, le=MAX_INCARNATION)
    worker_id: str


class RoomClaim(BaseModel):
    """An agent that LiveKit SIP's dispatch rule called asks which call its room is.

    The call is planned and claimed at once, or the caller is sent away (486) and the claim refused.
    """

    room_name: str = Field(max_length=200)
    worker_id: str
    caller_identity: str = Field(max_length=200)
    attributes: dict[str, str] = Field(default_factory=dict)
    """The caller's participant's: `sip.phoneNumber`, `sip.trunkPhoneNumber`, `sip.h.x-…` …"""


class HistoryLine(BaseModel):
    """A line of the conversation so far, for an agent that takes over."""

    speaker: Literal["bot", "customer"]
    text: str


class AgentPlan(BaseModel):
    """The agent's half: the rendered config and what it must know about the call."""

    model_config = ConfigDict(frozen=True)

    call_id: str
    session_id: str
    incarnation: int
    channel: Channel
    call_direction: Literal["incoming", "outgoing"]
    caller_identity: str
    room_name: str = ""
    media: Media = "data"
    media_rate_hz: MediaRate = 8000
    text_only: bool = False
    config: BotConfig
    """Templates in prompts and messages are resolved; secrets are in place."""
    variables: dict[str, str] = Field(default_factory=dict)
    """Every template variable by full name (`crm.customer_name`, `system.current_date` …)."""
    history: list[HistoryLine] = Field(default_factory=list)
    opening_is_fixed: bool = False
    """Whether every call of the bot is opened with the same words: then their audio may be kept."""
    fixed_lines: list[str] = Field(default_factory=list)
    """What the bot says by itself in the same words on every call: likewise."""
    is_provisional: bool = False
    """Whether the bot's CRM is still being asked: the plan to serve is the claim's answer."""
    is_seated: bool = False
    """Whether the caller sits in the room already, answered: whoever speaks is heard."""
    answered_at: AwareDatetime | None = None
    """Set where the agent takes over a call that was already answered."""
