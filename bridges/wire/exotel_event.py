"""What each end of Exotel's protocol tells its driver: two closed unions of frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

StreamRate = Literal[8000, 16000, 24000]


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """The call, answered already.

    Attributes:
        stream_id: Exotel's id of the stream.
        call_id: and of the call.
        account_id: whose account it is.
        caller: who called.
        callee: whom they called.
        rate_hz: of the audio, both ways.
        fields: the ids and numbers above by Exotel's names, and every custom parameter beside.
    """

    stream_id: str
    call_id: str
    account_id: str
    caller: str
    callee: str
    rate_hz: StreamRate
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AudioReceived:
    """Caller audio: PCM16, mono, at the stream's rate, any number of samples."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """The caller pressed a key."""

    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class MarkReached:
    """All audio sent before the mark of this name has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class StreamStopped:
    """The stream is over."""

    reason: str


ExotelEvent = StreamStarted | AudioReceived | KeyPressed | MarkReached | StreamStopped
"""What `ExotelServer` tells: our end."""


@dataclass(frozen=True, slots=True)
class BotSpoke:
    """Bot audio to play, PCM16 at the stream's rate."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class MarkAsked:
    """Say this name once all audio before it has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class BotCleared:
    """Drop the bot audio that has not begun to play."""


ExotelPhoneEvent = BotSpoke | MarkAsked | BotCleared
"""What `ExotelPhone` tells: Exotel's end."""
