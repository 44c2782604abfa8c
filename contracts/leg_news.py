"""What a telephone bridge tells the agent of its call, as JSON on `LEG_NEWS_TOPIC`.

Such a message is not repeated to who joins later, so what lasts is an attribute of the caller's
participant as well: that the phone is answered, and that the line is held. `call_answered`,
`call_hold` and `call_resume` are named by compatibility; the rest is ours.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _News(BaseModel):
    model_config = ConfigDict(frozen=True)


class CallAnswered(_News):
    """The phone is answered."""

    event: Literal["call_answered"] = "call_answered"


class CallHeld(_News):
    """The far end has put us on hold: nobody listens."""

    event: Literal["call_hold"] = "call_hold"


class CallResumed(_News):
    """The far end is back."""

    event: Literal["call_resume"] = "call_resume"


class DigitHeard(_News):
    """The caller pressed a key: `0`-`9`, `*`, `#` or `A`-`D`."""

    event: Literal["dtmf"] = "dtmf"
    digit: str = Field(pattern=r"^[0-9*#A-D]$")
    duration_ms: int = 0


class TransferAccepted(_News):
    """The carrier tries to put the caller through; that promises nothing."""

    event: Literal["transfer_accepted"] = "transfer_accepted"


class TransferDone(_News):
    """The caller is in other hands, and the leg about to go."""

    event: Literal["transfer_done"] = "transfer_done"


class TransferRefused(_News):
    """The hand-over did not come about: the caller is still there."""

    event: Literal["transfer_failed"] = "transfer_failed"
    reason: str = ""


AnyNews = (
    CallAnswered
    | CallHeld
    | CallResumed
    | DigitHeard
    | TransferAccepted
    | TransferDone
    | TransferRefused
)
_ADAPTER: TypeAdapter[AnyNews] = TypeAdapter(Annotated[AnyNews, Field(discriminator="event")])


def parse_news(data: bytes) -> AnyNews:
    """Return what the bridge told.

    Raises:
        pydantic.ValidationError: nothing we know (a `ValueError`).
    """
    return _ADAPTER.validate_json(data)


def serialize_news(news: AnyNews) -> bytes:
    """Return the message's bytes."""
    return _ADAPTER.dump_json(news)
