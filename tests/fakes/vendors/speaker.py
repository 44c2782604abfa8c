"""Synthesises one context's texts one after the other, at the pace the script asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.fakes.vendors.journal import Journal, Reference, references_in
from tests.fakes.vendors.script import Fault, Vendor, VendorScript
from tests.fakes.vendors.tone import duration_s, to_ulaw, tone, tone_hz

_CHUNK_S = 0.2
_SLOW = 10


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of audio and the characters that are said in it."""

    audio: bytes
    alignment: dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """An output format such as `pcm_8000` or `ulaw_8000`.

    Raises:
        ValueError: one that the stand-in does not make.
    """

    name: str

    def __post_init__(self) -> None:
        codec, _, rate = self.name.partition("_")
        if codec not in ("pcm", "ulaw") or not rate.isdigit():
            raise ValueError(f"output_format {self.name!r} is not made by the stand-in")

    @property
    def rate_hz(self) -> int:
        return int(self.name.partition("_")[2])

    def tone(self, frequency_hz: float, seconds: float) -> bytes:
        samples = tone(frequency_hz, seconds, self.rate_hz)
        return to_ulaw(samples) if self.name.startswith("ulaw") else samples.tobytes()

    def bytes_in(self, seconds: float) -> int:
        return round(seconds * self.rate_hz) * (1 if self.name.startswith("ulaw") else 2)


class Speaker:
    """One context: its texts in order, the first sound of each a fixed time after its text."""

    def __init__(
        self,
        script: VendorScript,
        journal: Journal,
        output: AudioFormat,
        send: Callable[[Chunk], Awaitable[None]],
        fault: Fault | None,
    ) -> None:
        self._script = script
        self._journal = journal
        self._output = output
        self._send = send
        self._fault = fault
        self._reference: Reference | None = None
        self._texts: asyncio.Queue[tuple[str, float] | None] = asyncio.Queue()
        self._said_s = 0.0
        self._free_at = 0.0

    def say(self, text: str) -> None:
        """Take a text to speak; its delay runs from now."""
        found = references_in(text)
        if found:
            self._reference = found[-1]
        self._journal.note(Vendor.TTS, "text", self._reference, text=text)
        self._texts.put_nowait((text, time.monotonic()))

    def end(self) -> None:
        """Take no more texts; `run` returns once all are said."""
        self._texts.put_nowait(None)

    async def run(self) -> None:
        """Speak until `end`."""
        while (item := await self._texts.get()) is not None:
            text, taken = item
            await self._speak(
                text, max(taken + self._script.tts_first_audio_ms / 1000, self._free_at)
            )
            self._journal.note(Vendor.TTS, "done", self._reference, characters=len(text))

    async def _speak(self, text: str, due: float) -> None:
        frequency_hz = tone_hz(self._reference.connection if self._reference else None)
        length_s = duration_s(text)
        audio = self._output.tone(frequency_hz, length_s)
        struck = self._fault is not None and self._fault.kind == "drip"
        pace = _CHUNK_S / self._script.tts_speed * (_SLOW if struck else 1)
        begun_s = 0.0
        while begun_s < length_s:
            ended_s = min(length_s, begun_s + _CHUNK_S)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if begun_s == 0.0:
                self._journal.note(Vendor.TTS, "first_audio", self._reference)
            piece = audio[self._output.bytes_in(begun_s) : self._output.bytes_in(ended_s)]
            await self._send(Chunk(piece, self._alignment(text, begun_s, ended_s, length_s)))
            due += pace
            begun_s = ended_s
        self._free_at = due
        self._said_s += length_s

    def _alignment(
        self, text: str, begun_s: float, ended_s: float, length_s: float
    ) -> dict[str, list[Any]]:
        """Return the characters said between two moments, each as long as the others."""
        each_s = length_s / len(text)
        origin_s = -self._said_s if self._script.tts_times == "context" else begun_s
        chars, starts, durations = [], [], []
        for index, char in enumerate(text):
            start_s = index * each_s
            if begun_s <= start_s < ended_s or (
                index == len(text) - 1 and ended_s == length_s and start_s >= begun_s
            ):
                chars.append(char)
                starts.append(round((start_s - origin_s) * 1000))
                durations.append(round(each_s * 1000))
        return {"chars": chars, "charStartTimesMs": starts, "charDurationsMs": durations}
