"""Recordings for tests: small WAVs, and what a host says of them."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import AsyncIterator
from pathlib import Path

from contracts.recording import RecordingOffer
from contracts.wav import FRAME_BYTES, HEADER_BYTES, Wav

RATE_HZ = 8000


def wav_of(*stretches: tuple[float, int], rate_hz: int = RATE_HZ) -> bytes:
    """Return a WAV of stretches of (seconds, value of every sample)."""
    samples = array("h")
    for seconds, value in stretches:
        samples += array("h", [value]) * (2 * round(seconds * rate_hz))
    return Wav(rate_hz, len(samples) // 2).header() + samples.tobytes()


def stretches_of(wav: bytes) -> list[tuple[float, int]]:
    """Return a WAV's left channel as stretches of (seconds, value)."""
    found = Wav.parse(wav, len(wav))
    assert found.header() == wav[:HEADER_BYTES]
    left = array("h", wav[HEADER_BYTES:])[::2]
    stretches: list[tuple[float, int]] = []
    start = 0
    for at in range(1, len(left) + 1):
        if at == len(left) or left[at] != left[start]:
            stretches.append(((at - start) / found.rate_hz, left[start]))
            start = at
    return stretches


def offer_of(content: bytes, incarnation: int = 1) -> RecordingOffer:
    """Return what a host says of a file with this content."""
    return RecordingOffer(
        incarnation=incarnation,
        duration_s=(len(content) - HEADER_BYTES) / FRAME_BYTES / RATE_HZ,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def big_wav(path: Path, size_bytes: int) -> RecordingOffer:
    """Write a WAV of that size without ever holding it; return what a host says of it."""
    frames = (size_bytes - HEADER_BYTES) // FRAME_BYTES
    wav = Wav(RATE_HZ, frames)
    block = bytes(range(256)) * 4096
    with path.open("wb") as file:
        file.write(wav.header())
        left = frames * FRAME_BYTES
        while left:
            left -= file.write(block[:left])
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return RecordingOffer(
        incarnation=1, duration_s=wav.duration_s, size_bytes=wav.size_bytes, sha256=sha256
    )


async def chunks(*parts: bytes | Exception) -> AsyncIterator[bytes]:
    """Yield the parts of an upload, or break it off."""
    for part in parts:
        if isinstance(part, Exception):
            raise part
        yield part
