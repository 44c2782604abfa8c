"""Opening lines as audio, kept on the agent's host: made once, spoken at once ever after.

Only lines that are the same for every caller come here; the plan says which (`opening_is_fixed`).
Any number of processes may share the folder: files appear whole, and never change.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import tempfile
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import structlog
from livekit import rtc

from contracts.bot import TtsConfig

log = structlog.get_logger(__name__)

Synthesize = Callable[[str], AsyncIterator[rtc.AudioFrame]]

MAX_LINES = 1000
_VERSION = 2
_SAMPLE_BYTES = 2
_FRAME_S = 0.1


class LineCache:
    """Lines by what they say and how; the least used go first.

    Args:
        folder: where they are.
        max_bytes: how much of them is kept; 0: nothing is.
        rate_hz: the call's: vendors are asked for audio of that rate.
    """

    def __init__(self, folder: Path, max_bytes: int, rate_hz: int = 8000) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._rate_hz = rate_hz

    @property
    def is_on(self) -> bool:
        return self._max_bytes > 0

    async def speak(
        self, config: TtsConfig, text: str, synthesize: Synthesize
    ) -> AsyncIterator[rtc.AudioFrame]:
        """Yield a line's audio: the kept one, or what is made now, which is then kept."""
        path = self._folder / f"{key_of(config, text, self._rate_hz)}.wav"
        kept = await asyncio.to_thread(_read, path)
        if kept is not None:
            for frame in _frames(*kept):
                yield frame
            return
        pcm, rate_hz = bytearray(), 0
        async for frame in synthesize(text):
            pcm += bytes(frame.data)
            rate_hz = frame.sample_rate
            yield frame
        # Only here is the line known to be whole.
        if pcm and len(pcm) <= self._max_bytes:
            await asyncio.to_thread(self._keep, path, bytes(pcm), rate_hz)

    def _keep(self, path: Path, pcm: bytes, rate_hz: int) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write_whole(path, pcm, rate_hz)
            self._make_room()
        except OSError as error:
            log.warning("line not kept", error=type(error).__name__, number=error.errno)

    def _make_room(self) -> None:
        files = []
        for path in self._folder.glob("*.wav"):
            # Another process may be making room as well.
            with contextlib.suppress(FileNotFoundError):
                files.append((path.stat().st_mtime, path.stat().st_size, path))
        files.sort(reverse=True)
        total_bytes = 0
        for number, (_, size_bytes, path) in enumerate(files, start=1):
            total_bytes += size_bytes
            if total_bytes > self._max_bytes or number > MAX_LINES:
                path.unlink(missing_ok=True)


def key_of(config: TtsConfig, text: str, rate_hz: int = 8000) -> str:
    """Return the name of a line: all that its sound depends on, and no secret."""
    voice = config.model_dump(mode="json", exclude={"api_key"})
    said = json.dumps([_VERSION, voice, rate_hz, text], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _read(path: Path) -> tuple[bytes, int] | None:
    try:
        with wave.open(str(path), "rb") as file:
            pcm, rate_hz = file.readframes(file.getnframes()), file.getframerate()
        os.utime(path)  # used just now
    except FileNotFoundError:
        return None
    except (OSError, EOFError, wave.Error) as error:
        log.warning("kept line unreadable", error=type(error).__name__)
        return None
    return pcm, rate_hz


def _write_whole(path: Path, pcm: bytes, rate_hz: int) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as raw, wave.open(raw, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(_SAMPLE_BYTES)
            file.setframerate(rate_hz)
            file.writeframes(pcm)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _frames(pcm: bytes, rate_hz: int) -> list[rtc.AudioFrame]:
    step = round(rate_hz * _FRAME_S) * _SAMPLE_BYTES
    return [
        rtc.AudioFrame(
            data=piece,
            sample_rate=rate_hz,
            num_channels=1,
            samples_per_channel=len(piece) // _SAMPLE_BYTES,
        )
        for piece in (pcm[at : at + step] for at in range(0, len(pcm), step))
    ]
