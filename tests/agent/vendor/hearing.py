"""Puts a second of speech through a recogniser's plug-in, and returns what it makes of it."""

from __future__ import annotations

import asyncio
from typing import Any

from livekit import rtc
from livekit.agents import APIConnectOptions, stt

from tests.fakes.vendors.tone import tone

RATE_HZ = 8000
ONCE = APIConnectOptions(max_retry=0, timeout=2.0)
SPEECH = tone(440.0, 1.0, RATE_HZ).tobytes()
SILENCE = bytes(2 * RATE_HZ)
_FRAME_BYTES = 640


def push(stream: stt.RecognizeStream, pcm: bytes) -> None:
    """Push audio in the bridge's frames of 40 ms."""
    for start in range(0, len(pcm), _FRAME_BYTES):
        piece = pcm[start : start + _FRAME_BYTES]
        stream.push_frame(rtc.AudioFrame(piece, RATE_HZ, 1, len(piece) // 2))


async def heard_by(
    engine: stt.STT[Any],
    pcm: bytes = SPEECH + SILENCE,
    *,
    timeout_s: float = 5.0,
    until: stt.SpeechEventType | None = stt.SpeechEventType.END_OF_SPEECH,
) -> list[stt.SpeechEvent]:
    """Play audio to an engine; return its events up to one such, and close it."""
    stream = engine.stream(conn_options=ONCE)
    push(stream, pcm)
    heard: list[stt.SpeechEvent] = []
    try:
        async with asyncio.timeout(timeout_s):
            async for event in stream:
                heard.append(event)
                if event.type is until:
                    break
    finally:
        await stream.aclose()
        await engine.aclose()
    return heard


async def ask(engine: stt.STT[Any]) -> None:
    """Connect an engine to its vendor, for no audio at all, and close it."""
    stream = engine.stream(conn_options=ONCE)
    stream.end_input()
    async with asyncio.timeout(5):
        assert [event async for event in stream] == []
    await engine.aclose()


def texts(events: list[stt.SpeechEvent], kind: stt.SpeechEventType) -> list[str]:
    """Return the transcripts of one kind."""
    return [event.alternatives[0].text for event in events if event.type is kind]
