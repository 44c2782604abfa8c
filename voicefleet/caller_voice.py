"""Speech of an imagined caller, for demo calls and tests: the offline voice, a little lower
than the bot's.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import time
from functools import cache
from pathlib import Path

from livekit import rtc

from agent.speech.voice import RATE_HZ, Voice

# The SDK's threads may still be inside a callback when its own exit handler returns, and abort when
# the interpreter goes away under them. Handlers run last in, first out: this one, registered before
# the SDK's, lets them finish.
atexit.register(time.sleep, 0.1)

_PITCH = 0.93
"""Below 0.9 or so the recogniser begins to mishear."""
_VERSION = "1"
"""Part of every cache key: raise it when the same words should sound different."""


def speak(text: str, rate_hz: int = 8000, *, cache_path: Path | None = None) -> bytes:
    """Return `text` as PCM (16 bit, mono), without silence around it.

    Args:
        text: what the caller says; figures are read as words.
        rate_hz: of the PCM.
        cache_path: a folder that keeps what was made; nothing is kept unless given.
    """
    if cache_path is None:
        return _made(text, rate_hz)
    name = hashlib.sha256(f"{_VERSION}|{_PITCH}|{rate_hz}|{text}".encode()).hexdigest()[:32]
    path = cache_path / f"{name}.pcm"
    if path.is_file():
        return path.read_bytes()
    pcm = _made(text, rate_hz)
    cache_path.mkdir(parents=True, exist_ok=True)
    # Renamed into place, so that two processes can share the folder.
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_bytes(pcm)
    draft.replace(path)
    return pcm


@cache
def _voice() -> Voice:
    # Played slower it is lower; made faster it keeps its pace.
    return Voice(speed=1 / _PITCH)


def _made(text: str, rate_hz: int) -> bytes:
    pcm = _voice().say(text)
    resampler = rtc.AudioResampler(
        round(RATE_HZ * _PITCH), rate_hz, quality=rtc.AudioResamplerQuality.HIGH
    )
    frames = [*resampler.push(bytearray(pcm)), *resampler.flush()]
    return b"".join(bytes(frame.data) for frame in frames)
