"""Audio for the engines' tests: a caller's words as frames, and what a stream makes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from livekit import rtc
from livekit.agents import stt

from voicefleet.caller_voice import speak

FRAME_MS = 40


def frames(pcm: bytes, rate_hz: int = 8000) -> Iterator[rtc.AudioFrame]:
    """Yield `pcm` in frames as a phone sends them."""
    size = rate_hz * FRAME_MS // 1000 * 2
    for at in range(0, len(pcm) - len(pcm) % 2, size):
        piece = pcm[at : at + size]
        yield rtc.AudioFrame(piece, rate_hz, 1, len(piece) // 2)


def silence(seconds: float, rate_hz: int = 8000) -> bytes:
    return bytes(2 * int(seconds * rate_hz))


def utterance(text: str, rate_hz: int = 8000, *, tail_s: float = 0.4) -> bytes:
    """Return `text` as a caller says it, with silence before and after."""
    return silence(0.3, rate_hz) + speak(text, rate_hz) + silence(tail_s, rate_hz)


def push(stream: stt.RecognizeStream, pcm: bytes, rate_hz: int = 8000) -> None:
    for frame in frames(pcm, rate_hz):
        stream.push_frame(frame)


async def until(
    stream: AsyncIterator[stt.SpeechEvent], kind: stt.SpeechEventType
) -> stt.SpeechEvent:
    """Return the next event of that kind."""
    async for event in stream:
        if event.type is kind:
            return event
    raise AssertionError(f"the stream ended without {kind}")


async def finals(stream: AsyncIterator[stt.SpeechEvent]) -> list[str]:
    """Return every final transcript up to the stream's end."""
    return [
        event.alternatives[0].text
        async for event in stream
        if event.type is stt.SpeechEventType.FINAL_TRANSCRIPT
    ]
