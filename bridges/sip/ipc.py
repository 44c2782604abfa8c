"""What signalling and media processes tell each other: JSON, one message to a line.

A *leg* is one call's carrier side; whoever brings it up names it, and the name is unique for the
life of the signalling process. SDP travels as it is: signalling neither reads nor changes it.

Signalling starts a media process as `python -m bridges.sip.media FD`: FD is its end of a Unix
stream socket pair, whose end of file means that signalling is gone. `RTP_PORT_START` and
`RTP_PORT_END` in its environment are the ports that are its own.

Each leg ends with one `Over`, whoever ended it, a `Refuse` or `Bye` included; either side ignores
what comes later of the leg, since the two may cross.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from contracts.trunk import Trunk

MAX_LINE_BYTES = 256 * 1024


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class _LegMessage(_Message):
    leg: str


class Incoming(_LegMessage):
    """Signalling: somebody calls. It has been answered 100, and 180 follows by itself.

    Attributes:
        did: the user part of what was dialled, as it came.
        caller: the user part of `From`.
        headers: the `X-` headers, names in lower case; one that comes twice is joined by ", ".
        sdp: the offer; None where the caller wants ours.
    """

    type: Literal["incoming"] = "incoming"
    sip_call_id: str
    did: str
    caller: str
    display_name: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    sdp: str | None
    peer_ip: str
    trunk_id: str = ""
    codecs: list[Literal["PCMA", "PCMU"]] = Field(default=["PCMA", "PCMU"])
    srtp: Literal["off", "allowed", "required"] = "allowed"


class Acked(_LegMessage):
    """Signalling: the caller has our answer; `sdp` where the answer was theirs to give."""

    type: Literal["acked"] = "acked"
    sdp: str | None = None


class Rings(_LegMessage):
    """Signalling: the phone we called rings; `sdp` where it sends early media."""

    type: Literal["rings"] = "rings"
    sdp: str | None = None


class Accepted(_LegMessage):
    """Signalling: the phone we called is answered; it has our ACK."""

    type: Literal["accepted"] = "accepted"
    sdp: str


class Reoffered(_LegMessage):
    """Signalling: the far end wants other media (a hold, a move); None: it wants our offer."""

    type: Literal["reoffered"] = "reoffered"
    sdp: str | None


class DigitInfo(_LegMessage):
    """Signalling: a key pressed, by INFO."""

    type: Literal["digit_info"] = "digit_info"
    digit: str
    duration_ms: int


class Referred(_LegMessage):
    """Signalling: how our REFER fares; the last one `is_final`. 0: nothing was heard of it."""

    type: Literal["referred"] = "referred"
    status_code: int
    is_final: bool


class Over(_LegMessage):
    """Signalling: the leg is no more; nothing more is said of it by either side.

    Attributes:
        how: `bye`: hung up after the answer, by the far end or by our `Bye`. `cancelled`: hung up
            before the answer, likewise. `refused`: by our `Refuse`. `failed`: a final response
            refused our INVITE (`status_code`). `unanswered`: it was not picked up in
            `ringing_timeout_s`, and we gave up; `rang` tells whether a phone rang at all.
            `unreachable`: nothing answered the INVITE at all, or there is no way there.
            `unacknowledged`: our answer was never acknowledged. `expired`: the far end is gone
            without a word (RFC 4028, or our request went unanswered). `lost`: our own fault;
            signalling cannot carry the leg, or no longer.
        status_code: the far end's, with `failed`.
        rang: whether a dialled phone rang.
        detail: for logs; may hold the far end's words, so it is personal data.
    """

    type: Literal["over"] = "over"
    how: Literal[
        "bye",
        "cancelled",
        "refused",
        "failed",
        "unanswered",
        "unreachable",
        "unacknowledged",
        "expired",
        "lost",
    ]
    status_code: int | None = None
    rang: bool = False
    detail: str = ""


class Ping(_Message):
    """Signalling: still there? Three seconds without a `Pong`, and the process is killed."""

    type: Literal["ping"] = "ping"
    number: int


class Drain(_Message):
    """Signalling: take no more calls; exit once the last is over, or the time has passed."""

    type: Literal["drain"] = "drain"
    timeout_s: float


class Ready(_Message):
    """Media: up, and how much it carries; again, with none, once it takes no more calls."""

    type: Literal["ready"] = "ready"
    bridge_id: str
    max_calls: int


class Pong(_Message):
    """Media: here; the number is the ping's."""

    type: Literal["pong"] = "pong"
    number: int


class Answer(_LegMessage):
    """Media: answer an incoming leg with 200."""

    type: Literal["answer"] = "answer"
    sdp: str


class Refuse(_LegMessage):
    """Media: refuse an incoming leg that is not answered yet. Answered by `Over`."""

    type: Literal["refuse"] = "refuse"
    status_code: int
    reason: str = ""


class Dial(_LegMessage):
    """Media: call a phone."""

    type: Literal["dial"] = "dial"
    to_number: str
    from_number: str
    trunk: Trunk
    sdp: str
    ringing_timeout_s: float
    headers: dict[str, str] = Field(default_factory=dict)


class Reanswer(_LegMessage):
    """Media: our answer to a re-offer."""

    type: Literal["reanswer"] = "reanswer"
    sdp: str


class RefuseReoffer(_LegMessage):
    """Media: the re-offer cannot be served; the call goes on as it was."""

    type: Literal["refuse_reoffer"] = "refuse_reoffer"
    status_code: int = 488


class Refer(_LegMessage):
    """Media: ask the far end to call somebody else instead of us (`sip:`, `tel:` or a number)."""

    type: Literal["refer"] = "refer"
    to: str
    timeout_s: float


class SendDigit(_LegMessage):
    """Media: press a key by INFO, after those before it; the far end takes none with its media."""

    type: Literal["send_digit"] = "send_digit"
    digit: str
    duration_ms: int = 160


class Bye(_LegMessage):
    """Media: the call is over: BYE, CANCEL or a refusal, whatever fits. Answered by `Over`."""

    type: Literal["bye"] = "bye"


LegNews = Incoming | Acked | Rings | Accepted | Reoffered | DigitInfo | Referred | Over
LegOrder = Answer | Refuse | Dial | Reanswer | RefuseReoffer | Refer | SendDigit | Bye
ToMedia = LegNews | Drain | Ping
ToSignalling = LegOrder | Ready | Pong

_TO_MEDIA: TypeAdapter[ToMedia] = TypeAdapter(Annotated[ToMedia, Field(discriminator="type")])
_TO_SIGNALLING: TypeAdapter[ToSignalling] = TypeAdapter(
    Annotated[ToSignalling, Field(discriminator="type")]
)


def parse_to_media(line: bytes) -> ToMedia:
    """Return what signalling said; `ValueError` if it is nothing we know."""
    return _TO_MEDIA.validate_json(line)


def parse_to_signalling(line: bytes) -> ToSignalling:
    """Return what a media process said; `ValueError` if it is nothing we know."""
    return _TO_SIGNALLING.validate_json(line)


def serialize(message: ToMedia | ToSignalling) -> bytes:
    """Return the message as a line."""
    return message.model_dump_json().encode() + b"\n"
