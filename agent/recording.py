"""The call's recording.

A two-channel WAV (caller left, bot right, as played) that is valid at any moment.
"""

from __future__ import annotations

import fcntl
import struct
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_SAMPLE_BYTES = 2
_CHANNELS = 2
_SLACK_MS = 60
"""Arrival jitter below this is not a gap."""


class _Lane:
    """One channel: samples in order, gaps filled with silence."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self.samples = bytearray()
        self.end = 0
        """How many samples this channel holds in all, written ones included."""

    def place(self, pcm: bytes, end_ms: int) -> None:
        start = end_ms * self._rate_hz // 1000 - len(pcm) // _SAMPLE_BYTES
        if start - self.end > _SLACK_MS * self._rate_hz // 1000:
            self.pad_to(start)
        self.samples += pcm
        self.end += len(pcm) // _SAMPLE_BYTES

    def pad_to(self, end: int) -> None:
        if end > self.end:
            self.samples += bytes((end - self.end) * _SAMPLE_BYTES)
            self.end = end

    def take(self, count: int) -> np.ndarray:
        size_bytes = count * _SAMPLE_BYTES
        taken = np.frombuffer(bytes(self.samples[:size_bytes]), dtype="<i2")
        del self.samples[:size_bytes]
        return taken


class Recorder:
    """Writes both channels side by side.

    The header is brought up to date with every second of audio.

    A process killed half-way leaves a file that plays up to its last whole second.
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._rate_hz = rate_hz
        self._file: BinaryIO = path.open("wb")
        # Held as long as this process lives: nobody takes an unfinished file away.
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._written = 0
        self._caller, self._bot = _Lane(rate_hz), _Lane(rate_hz)
        self._write_header()

    def add(self, *, at_ms: int, caller: bytes, bot: bytes) -> None:
        """Append audio that ended at `at_ms` on the leg's clock; either side may be empty."""
        if caller:
            self._caller.place(caller, at_ms)
        if bot:
            self._bot.place(bot, at_ms)
        now = at_ms * self._rate_hz // 1000 - _SLACK_MS * self._rate_hz // 1000
        if now - self._written >= self._rate_hz:
            self._caller.pad_to(now)
            self._bot.pad_to(now)
            self._flush()

    @property
    def duration_s(self) -> float:
        """Seconds on disk."""
        return self._written / self._rate_hz

    def close(self) -> float:
        """Write what is left and return the duration in seconds; safe to call twice."""
        if not self._file.closed:
            end = max(self._caller.end, self._bot.end)
            self._caller.pad_to(end)
            self._bot.pad_to(end)
            self._flush()
            self._file.close()
        return self.duration_s

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def _flush(self) -> None:
        count = min(self._caller.end, self._bot.end) - self._written
        if count > 0:
            frames = np.empty((count, _CHANNELS), dtype="<i2")
            frames[:, 0] = self._caller.take(count)
            frames[:, 1] = self._bot.take(count)
            self._file.seek(0, 2)
            self._file.write(frames.tobytes())
            self._written += count
        self._write_header()

    def _write_header(self) -> None:
        data_bytes = self._written * _CHANNELS * _SAMPLE_BYTES
        self._file.seek(0)
        self._file.write(wav_header(data_bytes, self._rate_hz))
        self._file.flush()


def wav_header(data_bytes: int, rate_hz: int) -> bytes:
    """Return the 44-byte RIFF header of 16-bit stereo PCM."""
    frame_bytes = _CHANNELS * _SAMPLE_BYTES
    return _HEADER.pack(
        b"RIFF", 36 + data_bytes, b"WAVE", b"fmt ", 16, 1, _CHANNELS, rate_hz,
        rate_hz * frame_bytes, frame_bytes, 16, b"data", data_bytes,
    )  # fmt: skip


def is_being_written(path: Path) -> bool:
    """Return whether some process on this host still writes the recording."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def duration_s(path: Path) -> float:
    """Return how many seconds a recording of ours holds, from its header; 0.0 if it is not one."""
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
    if len(head) < _HEADER.size:
        return 0.0
    fields = _HEADER.unpack(head)
    rate_hz, data_bytes = fields[7], fields[12]
    return float(data_bytes / (rate_hz * _CHANNELS * _SAMPLE_BYTES)) if rate_hz else 0.0
