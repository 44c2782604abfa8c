"""The call's recording.

A two-channel WAV (caller left, bot right, as played) that is valid at any moment. Its time is the
leg's: what a later incarnation of the agent records stands where it was heard, behind a hole that
takes no room on disk.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import structlog

from contracts.wav import CHANNELS, FRAME_BYTES, HEADER_BYTES, MAX_FRAMES, SAMPLE_BYTES, Wav

log = structlog.get_logger(__name__)

Tell = Callable[[str, dict[str, Any]], None]
"""Called with a notice's name and detail."""

_SLACK_MS = 60
"""Arrival jitter below this is not a gap."""
_HELD_S = 10
"""How much is kept in memory while the disk does not take it."""
_PAUSES_MS = (250, 500, 1000, 2000, 4000, 8000, 15_000)
"""Before each new try to write, on the leg's clock; the last one again and again."""


class _Lane:
    """One channel's samples that are not on disk yet, in order, gaps filled with silence."""

    def __init__(self) -> None:
        self.samples = bytearray()
        self.end = 0
        """How many samples this channel has had in all."""

    def place(self, pcm: bytes, start: int, slack: int) -> None:
        if start - self.end > slack:
            self.pad_to(start)
        self.samples += pcm
        self.end += len(pcm) // SAMPLE_BYTES

    def pad_to(self, end: int) -> None:
        if end > self.end:
            self.samples += bytes((end - self.end) * SAMPLE_BYTES)
            self.end = end

    def first(self, count: int) -> np.ndarray:
        return np.frombuffer(bytes(self.samples[: count * SAMPLE_BYTES]), dtype="<i2")

    def drop(self, count: int) -> None:
        del self.samples[: count * SAMPLE_BYTES]

    def forget_before(self, start: int) -> int:
        """Let go of what was before `start`; return how many samples that were."""
        held = len(self.samples) // SAMPLE_BYTES
        forgotten = min(held, max(0, start - (self.end - held)))
        self.drop(forgotten)
        self.end = max(self.end, start)
        return forgotten


class Recorder:
    """Writes both channels side by side, each second of audio and then the header.

    A process killed half-way leaves a file that plays up to its last whole second. A disk that
    takes nothing is asked again, first soon, then ever more rarely; ten seconds are held
    meanwhile, what is older becomes silence, and that is told.

    Args:
        path: the file; made with the first audio, and locked as long as this process lives.
        rate_hz: of both channels.
        tell: hears `recording_failed` once audio is lost, and `recording_resumed`, with what is
            missing, once the disk takes it again.
    """

    def __init__(self, path: Path, rate_hz: int, tell: Tell) -> None:
        self.path = path
        self._rate_hz = rate_hz
        self._tell = tell
        self._file: int | None = None
        self._caller, self._bot = _Lane(), _Lane()
        self._settled = 0
        """Frames that are on disk, or lost, or were never there."""
        self._error: OSError | None = None
        self._tries = 0
        self._retry_at_ms = 0
        self._missing = 0
        self._written = 0
        self._is_closed = False

    def add(self, *, at_ms: int, caller: bytes, bot: bytes) -> None:
        """Append audio that ended at `at_ms` on the leg's clock; either side may be empty.

        What comes after `close` is left out.
        """
        if self._is_closed:
            return
        end, slack = self._frames(at_ms), self._frames(_SLACK_MS)
        if end > MAX_FRAMES:
            return
        self._make_room(at_ms, end)
        for lane, pcm in ((self._caller, caller), (self._bot, bot)):
            if pcm:
                lane.place(pcm, end - len(pcm) // SAMPLE_BYTES, slack)
        is_due = self._file is None or end - slack - self._settled >= self._rate_hz
        if is_due and at_ms >= self._retry_at_ms:
            self._write(at_ms, end - slack)

    @property
    def duration_s(self) -> float:
        """Seconds on disk."""
        return self._written / self._rate_hz

    def close(self) -> float:
        """Write what is left and return the duration in seconds; safe to call twice."""
        self._is_closed = True
        end = max(self._caller.end, self._bot.end)
        if end > self._settled:
            self._write(self._retry_at_ms, end)
            if self._error is not None:
                self._lose(end)
        if self._file is not None:
            os.close(self._file)
            self._file = None
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

    def _frames(self, ms: int) -> int:
        return ms * self._rate_hz // 1000

    def _make_room(self, at_ms: int, end: int) -> None:
        """Keep what is held in memory within bounds: by writing it, else by letting it go."""
        if end - self._settled <= _HELD_S * self._rate_hz:
            return
        if at_ms >= self._retry_at_ms:
            self._write(at_ms, max(self._caller.end, self._bot.end))
        self._lose(end - (_HELD_S - 1) * self._rate_hz)

    def _lose(self, start: int) -> None:
        lost = max(lane.forget_before(start) for lane in (self._caller, self._bot))
        self._settled = max(self._settled, start)
        if lost and self._error is not None and not self._missing:
            reason = self._error.strerror or type(self._error).__name__
            log.error("recording failed", error=reason, number=self._error.errno)
            self._tell("recording_failed", {"error": reason})
        self._missing += lost

    def _write(self, at_ms: int, end: int) -> None:
        """Write both channels up to `end`; what could not be written stays to be tried again."""
        count = end - self._settled
        self._caller.pad_to(end)
        self._bot.pad_to(end)
        try:
            if self._file is None:
                self._file = self._open()
            if count > 0:
                self._put(self._file, self._settled, self._both(count))
        except OSError as error:
            self._error = error
            self._retry_at_ms = at_ms + _PAUSES_MS[min(self._tries, len(_PAUSES_MS) - 1)]
            self._tries += 1
            return
        if count > 0:
            for lane in (self._caller, self._bot):
                lane.drop(count)
            self._settled = self._written = end
        self._error, self._tries = None, 0
        if self._missing:
            missing_s = round(self._missing / self._rate_hz, 1)
            log.warning("recording resumed", missing_s=missing_s)
            self._tell("recording_resumed", {"missing_s": missing_s})
            self._missing = 0

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        try:
            # Held as long as this process lives: nobody takes an unfinished file away.
            fcntl.flock(file, fcntl.LOCK_EX)
            _put_all(file, Wav(self._rate_hz, 0).header(), 0)
        except OSError:
            os.close(file)
            raise
        return file

    def _put(self, file: int, start: int, pcm: bytes) -> None:
        # The header last: what it tells is there, also if this is as far as it comes.
        _put_all(file, pcm, HEADER_BYTES + start * FRAME_BYTES)
        frames = start + len(pcm) // FRAME_BYTES
        _put_all(file, Wav(self._rate_hz, frames).header(), 0)

    def _both(self, count: int) -> bytes:
        frames = np.empty((count, CHANNELS), dtype="<i2")
        frames[:, 0] = self._caller.first(count)
        frames[:, 1] = self._bot.first(count)
        return frames.tobytes()


def is_being_written(path: Path) -> bool:
    """Return whether some process on this host still writes the recording."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def mend(path: Path) -> Wav | None:
    """Make the header of a file that was cut short say what is there.

    Returns:
        What it holds; None if it is not a recording of ours.
    """
    with path.open("rb+") as file:
        head = file.read(HEADER_BYTES)
        size_bytes = os.fstat(file.fileno()).st_size
        try:
            wav = Wav.parse(head, size_bytes)
        except ValueError:
            return None
        if wav.size_bytes != size_bytes:
            file.truncate(wav.size_bytes)
        if wav.header() != head:
            file.seek(0)
            file.write(wav.header())
    return wav


def _put_all(file: int, data: bytes, offset: int) -> None:
    # A disk that is nearly full takes a part, and says so only to who asks for the rest.
    view = memoryview(data)
    while view:
        put = os.pwrite(file, view, offset)
        view, offset = view[put:], offset + put
