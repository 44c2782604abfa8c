"""Call audio over a room's data channel: what bridge and agent exchange on `MEDIA_TOPIC`.

All packets of one direction travel on one reliable, ordered channel, so a `Clear` can never
overtake or be overtaken by the audio it concerns. PCM is signed 16-bit little-endian mono at the
rate the plan names.

Down (agent to bridge): the bot's speech comes in *segments* (one utterance each, numbered from 1,
rising). Audio is sent as fast as it is made; the bridge plays it from its own clock.

Up (bridge to agent): each `Heard` carries caller audio *and* how far playback has come, so that
playback positions, the transcript's cut and both channels of the recording come from one clock: the
bridge's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAX_PACKET_BYTES = 15_000
"""LiveKit's own advice for reliable data packets is 15 KiB; senders split PCM below this. From
64,000 bytes on, headers included, the SDK refuses to send a packet."""

_SEGMENT = struct.Struct("<BI")
_HEARD = struct.Struct("<BIII")
_FINISHED = struct.Struct("<BIIB")


class MediaError(ValueError):
    """A packet that is not one of ours, or is cut short."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Bot audio: append `pcm` to segment `segment`."""

    segment: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class SpeechEnd:
    """No more audio comes for `segment`; once all is played the bridge answers `Finished`."""

    segment: int


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop the unplayed rest of every segment up to and with `segment`; answered by `Finished`."""

    segment: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop playing at once, keep the rest."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Play on from where `Pause` stopped."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Caller audio and the playback position at its end.

    Attributes:
        at_ms: the leg's clock at the end of `pcm`, in ms since the call was answered.
        segment: the segment that played last (0 before the first).
        played_samples: how many samples of `segment` have been played by `at_ms`.
        pcm: caller audio that ended at `at_ms`; empty where nothing arrived but playback moved.
    """

    at_ms: int
    segment: int
    played_samples: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """Segment `segment` will play no further; `interrupted` if `Clear` cut it."""

    segment: int
    played_samples: int
    interrupted: bool


DownPacket = Speech | SpeechEnd | Clear | Pause | Resume
UpPacket = Heard | Finished

_SPEECH, _SPEECH_END, _CLEAR, _PAUSE, _RESUME, _HEARD_KIND, _FINISHED_KIND = 1, 2, 3, 4, 5, 16, 17


def serialize(packet: DownPacket | UpPacket) -> bytes:
    """Return the packet's bytes."""
    match packet:
        case Speech():
            return _SEGMENT.pack(_SPEECH, packet.segment) + packet.pcm
        case SpeechEnd():
            return _SEGMENT.pack(_SPEECH_END, packet.segment)
        case Clear():
            return _SEGMENT.pack(_CLEAR, packet.segment)
        case Pause():
            return bytes((_PAUSE,))
        case Resume():
            return bytes((_RESUME,))
        case Heard():
            head = _HEARD.pack(_HEARD_KIND, packet.at_ms, packet.segment, packet.played_samples)
            return head + packet.pcm
        case Finished():  # pragma: no branch
            return _FINISHED.pack(
                _FINISHED_KIND, packet.segment, packet.played_samples, packet.interrupted
            )


def parse_down(data: bytes) -> DownPacket:
    """Return the packet an agent sent.

    Raises:
        MediaError: not a down packet, or cut short.
    """
    kind = data[0] if data else 0
    if kind == _PAUSE and len(data) == 1:
        return Pause()
    if kind == _RESUME and len(data) == 1:
        return Resume()
    if len(data) >= _SEGMENT.size:
        segment = _SEGMENT.unpack_from(data)[1]
        pcm = data[_SEGMENT.size :]
        if kind == _SPEECH and len(pcm) % 2 == 0:
            return Speech(segment, pcm)
        if kind == _SPEECH_END and not pcm:
            return SpeechEnd(segment)
        if kind == _CLEAR and not pcm:
            return Clear(segment)
    raise MediaError(f"not a down packet: kind {kind}, {len(data)} bytes")


def parse_up(data: bytes) -> UpPacket:
    """Return the packet a bridge sent.

    Raises:
        MediaError: not an up packet, or cut short.
    """
    kind = data[0] if data else 0
    if kind == _HEARD_KIND and len(data) >= _HEARD.size and (len(data) - _HEARD.size) % 2 == 0:
        _, at_ms, segment, played = _HEARD.unpack_from(data)
        return Heard(at_ms, segment, played, data[_HEARD.size :])
    if kind == _FINISHED_KIND and len(data) == _FINISHED.size:
        _, segment, played, interrupted = _FINISHED.unpack(data)
        return Finished(segment, played, bool(interrupted))
    raise MediaError(f"not an up packet: kind {kind}, {len(data)} bytes")
