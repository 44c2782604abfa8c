"""Lines as audio, kept on the agent's host: made once, spoken at once ever after.

Only lines that are the same for every caller come here; `agent.kept_lines` says which.
Any number of processes may share the folder: files appear whole, and never change.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import tempfile
import time
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import structlog
from livekit import rtc

from contracts.engines import TtsConfig

log = structlog.get_logger(__name__)

Synthesize = Callable[[str], AsyncIterator[rtc.AudioFrame]]

MAX_LINES = 1000
_VERSION = 2
_SAMPLE_BYTES = 2
_FRAME_S = 0.1
_RATES_HZ = range(8000, 48_001)
_WRITING_S = 3600.0
"""A file that was begun longer ago was left behind by a process that died."""


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
        self,
        config: TtsConfig,
        text: str,
        synthesize: Synthesize,
        is_own: Callable[[], bool] = lambda: True,
    ) -> AsyncIterator[rtc.AudioFrame]:
        """Yield a line's audio: the kept one, or what is made now, which is then kept.

        Not where it is no longer so that `is_own`: another voice has stood in for the bot's.
        """
        kept = await self.kept(config, text)
        if kept:
            for frame in kept:
                yield frame
            return
        path = self._path(config, text)
        pcm, rate_hz = bytearray(), 0
        async for frame in synthesize(text):
            pcm += bytes(frame.data)
            rate_hz = frame.sample_rate
            yield frame
        # Only here is the line known to be whole.
        if pcm and len(pcm) <= self._max_bytes and is_own():
            await asyncio.to_thread(self._keep, path, bytes(pcm), rate_hz)

    async def kept(self, config: TtsConfig, text: str) -> list[rtc.AudioFrame]:
        """Return a line's audio; empty where it is not kept."""
        found = await asyncio.to_thread(_read, self._path(config, text))
        return _frames(*found) if found is not None else []

    async def has(self, config: TtsConfig, text: str) -> bool:
        """Return whether a line is kept."""
        return await asyncio.to_thread(self._path(config, text).exists)

    def _path(self, config: TtsConfig, text: str) -> Path:
        return self._folder / f"{key_of(config, text, self._rate_hz)}.wav"

    def _keep(self, path: Path, pcm: bytes, rate_hz: int) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write_whole(path, pcm, rate_hz)
            self._make_room()
        except OSError as error:
            log.warning("line not kept", error=type(error).__name__, number=error.errno)

    def _make_room(self) -> None:
        for path in self._folder.glob("*.part"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _WRITING_S:
                    path.unlink()
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
    voice = config.model_dump(mode="json", exclude={"api_key", "fallbacks"})
    said = json.dumps([_VERSION, voice, rate_hz, text], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _read(path: Path) -> tuple[bytes, int] | None:
    try:
        with wave.open(str(path), "rb") as file:
            form, rate_hz = (file.getnchannels(), file.getsampwidth()), file.getframerate()
            count = file.getnframes()
            pcm = file.readframes(count)
        if form != (1, _SAMPLE_BYTES) or rate_hz not in _RATES_HZ or not count:
            raise wave.Error("no line of ours")
        if len(pcm) != count * _SAMPLE_BYTES:
            raise EOFError
        os.utime(path)  # used just now
    except FileNotFoundError:
        return None
    except (OSError, EOFError, RuntimeError, wave.Error) as error:
        log.warning("kept line unreadable", error=type(error).__name__)
        # Else it would stand in the way of a whole one for good.
        if not isinstance(error, OSError):
            with contextlib.suppress(OSError):
                path.unlink()
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
