"""The last words of a platform that cannot go on: a clip, since there is no agent left to speak."""

from __future__ import annotations

import asyncio
import wave
from functools import lru_cache
from pathlib import Path

import numpy as np

from bridges.ending import Ending
from bridges.leg import AgentReplaced, Leg, LegEvent, Offered
from bridges.race import cancel
from contracts.media import Finished, Speech, SpeechEnd
from contracts.outcome import Reason
from contracts.report import LegAnswered

OUR_FAULT = frozenset(
    {Reason.NO_AGENT, Reason.AGENT_LOST, Reason.ROOM_LOST, Reason.PIPELINE_FAILED}
)
"""Endings that leave a caller on the line with nobody to talk to."""
CLIP = Path(__file__).parent / "clips" / "goodbye.wav"
RATE_HZ = 8000
MAX_CLIP_S = 30.0
SLACK_S = 2.0
_SEGMENT = 1
_TAPS_EACH_SIDE = 16


class ClipUnusable(Exception):
    """The file is not a clip for telephones."""


def load_clip(path: Path | None) -> bytes:
    """Return a clip's PCM: ours where `path` is None.

    Raises:
        ClipUnusable: not 16-bit mono WAV at 8 kHz, or longer than anybody would listen.
    """
    path = path or CLIP
    try:
        with wave.open(str(path)) as file:
            shape = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            frames = file.getnframes()
            pcm: bytes = file.readframes(min(frames, int(MAX_CLIP_S * RATE_HZ)))
    except (OSError, EOFError, wave.Error) as error:
        raise ClipUnusable(f"{path}: {error}") from error
    if shape != (1, 2, RATE_HZ):
        raise ClipUnusable(f"{path}: not 16-bit mono at {RATE_HZ} Hz; convert it")
    if frames > MAX_CLIP_S * RATE_HZ:
        raise ClipUnusable(f"{path}: longer than {MAX_CLIP_S:.0f} s")
    return pcm


@lru_cache(maxsize=8)
def at_rate(clip: bytes, rate_hz: int) -> bytes:
    """Return a clip of 8 kHz at a whole multiple of that rate; made once, then kept."""
    factor = rate_hz // RATE_HZ
    if factor == 1:
        return clip
    spread = np.zeros(len(clip) // 2 * factor)
    spread[::factor] = np.frombuffer(clip, np.int16)
    # A low pass at 4 kHz: what lies between the samples is what was sampled.
    taps = np.arange(-_TAPS_EACH_SIDE * factor, _TAPS_EACH_SIDE * factor + 1)
    filtered = np.convolve(spread, np.sinc(taps / factor) * np.hamming(len(taps)), "same")
    return filtered.round().clip(-32768, 32767).astype(np.int16).tobytes()


class Goodbye:
    """Says the clip on a carrier's leg, once, where a call ends by our fault.

    Args:
        clip: 16-bit mono PCM at 8 kHz; empty: the line drops without a word.
    """

    def __init__(self, clip: bytes) -> None:
        self._clip = clip
        self._rate_hz = RATE_HZ
        self._is_answered = False
        self._is_speaking = False
        self._said = asyncio.Event()

    def note(self, event: LegEvent) -> None:
        """Take note of what the carrier's leg tells."""
        if isinstance(event, Offered):
            self._rate_hz = event.media_rate_hz
        elif isinstance(event, LegAnswered):
            self._is_answered = True
        elif isinstance(event, Finished) and self._is_speaking:
            self._said.set()

    async def say(self, carrier: Leg, run: asyncio.Task[Ending], ending: Ending) -> None:
        """Play the clip to its end, or until the caller hangs up; nothing where it is uncalled for.

        Args:
            carrier: the phone's leg.
            run: its `run`, still going where there is somebody to speak to.
            ending: how the call ended.
        """
        if ending.reason not in OUR_FAULT or not self._is_answered or not self._clip or run.done():
            return
        # What the agent had not finished is void, a pause included.
        carrier.accept(AgentReplaced())
        self._is_speaking = True
        carrier.accept(Speech(_SEGMENT, at_rate(self._clip, self._rate_hz)))
        carrier.accept(SpeechEnd(_SEGMENT))
        duration_s = len(self._clip) / 2 / RATE_HZ
        said = asyncio.create_task(self._said.wait())
        try:
            await asyncio.wait(
                {said, run}, timeout=duration_s + SLACK_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            await cancel(said)
