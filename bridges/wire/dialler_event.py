"""What each end of the dialler protocol tells its driver: two closed unions of frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridges.wire.dialler_message import Direction


@dataclass(frozen=True, slots=True)
class Connected:
    """A call is offered.

    Attributes:
        caller_id: the far phone, `""` where the dialler named none.
        did: our number.
        direction: who called whom.
        stream_id: the dialler's id of the call, if it is known already.
        fields: every field but `event`: the config request's `connected_event`.
    """

    caller_id: str
    did: str
    direction: Direction
    stream_id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Started:
    """The stream has its id; the phone may still ring."""

    stream_id: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The phone is answered; the bot may speak."""


@dataclass(frozen=True, slots=True)
class MediaReceived:
    """Caller audio: PCM16, 8 kHz, mono, any number of samples."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class HungUp:
    """The phone is gone."""

    disconnected_by: str


DiallerEvent = Connected | Started | Answered | MediaReceived | HungUp
"""What `DiallerServer` tells: our end."""


@dataclass(frozen=True, slots=True)
class BotAudio:
    """Bot audio to play: the `chunk`-th of the call."""

    chunk: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class BotStopped:
    """Drop the bot audio that is not played yet."""


@dataclass(frozen=True, slots=True)
class BotHungUp:
    """The bot ends the phone call."""

    message: str


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """The bot wants the caller connected to another number."""

    to: str
    target: str
    reason: str


PhoneEvent = BotAudio | BotStopped | BotHungUp | TransferAsked
"""What `DiallerPhone` tells: the dialler's end."""
