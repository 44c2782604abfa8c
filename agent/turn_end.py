"""Whether a caller who fell silent has finished: the bundled turn model, asked more than once.

The framework asks once, after 250 ms of silence, and lets a "no" stand until its longest delay has
passed. Here the first look comes after a shorter silence and must be convinced; where it is not,
the question is put again as the silence grows. Words that cannot be a sentence's end outweigh the
model. Nothing is resampled but the 1.2 s a look is at.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import numpy as np
import structlog
from livekit import rtc
from livekit.agents import inference
from livekit.agents.language import LanguageCode
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions
from livekit.agents.voice.turn import TurnDetectionEvent
from livekit.local_inference import EOT, EOT_MAX_SAMPLES
from numpy.typing import NDArray

from agent.open_ending import is_open
from agent.vad import MODEL_RATE_HZ

log = structlog.get_logger(__name__)

Pcm = NDArray[np.int16]
Judge = Callable[[Pcm], float]
"""The model: 16 kHz samples, at most `EOT_MAX_SAMPLES`, to the probability of a finished turn."""

WINDOW_S = EOT_MAX_SAMPLES / MODEL_RATE_HZ
LOOKS = ((0.0, 1.4), (0.13, 1.0), (0.38, 1.6), (0.68, 1.6))
"""When the question is put, in seconds of audio since the first time, and by which factor the
answer must then exceed the model's own threshold for the language. An early yes must be certain; a
late one too, since whoever pauses for long is often searching for words."""
_TIMEOUT_S = 3.0
"""The session takes a detector that says nothing for this long for a yes."""


class TurnEnd:
    """A streaming turn detector in the framework's sense: see `livekit.agents.voice.turn`."""

    def __init__(self) -> None:
        self._thresholds = inference.TurnDetector(version="v1-mini")
        self._stream: TurnEndStream | None = None

    def heard(self, text: str) -> None:
        """Take note of a final transcript. Interim ones break off anywhere."""
        if self._stream is not None:
            self._stream.heard(text)

    @property
    def model(self) -> str:
        return self._thresholds.model

    @property
    def provider(self) -> str:
        return "livekit-local-inference"

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> TurnEndStream:
        """Return the detector of one call."""
        self._stream = TurnEndStream(self._thresholds, EOT().predict)
        return self._stream


class TurnEndStream:
    """Follows one call's audio and answers `predict`."""

    def __init__(self, thresholds: inference.TurnDetector, judge: Judge) -> None:
        self._thresholds = thresholds
        self._judge = judge
        self._language: LanguageCode | None = None
        self._pcm = bytearray()
        self._rate_hz = 0
        self._answer: asyncio.Future[TurnDetectionEvent] | None = None
        self._looks: list[tuple[float, float]] = []
        self._since_s = 0.0
        self._looking: asyncio.Task[None] | None = None
        self._is_open = False

    def heard(self, text: str) -> None:
        """See `TurnEnd.heard`."""
        self._is_open = is_open(text)
        if self._is_open and self._answer is not None and self._answer.done():
            # The session reads the answer again when a final transcript comes after it.
            self._answer.result().end_of_turn_probability = 0.0

    @property
    def model(self) -> str:
        return self._thresholds.model

    @property
    def provider(self) -> str:
        return "livekit-local-inference"

    @property
    def is_fallback(self) -> bool:
        return False

    @property
    def prediction_timeout(self) -> float:
        return _TIMEOUT_S

    async def unlikely_threshold(self, language: LanguageCode | None) -> float | None:
        return await self._thresholds.unlikely_threshold(language)

    async def backchannel_threshold(self, language: LanguageCode | None) -> float | None:
        return await self._thresholds.backchannel_threshold(language)

    async def supports_language(self, language: LanguageCode | None) -> bool:
        self._language = language
        return await self._thresholds.supports_language(language)

    def push_audio(self, frame: rtc.AudioFrame) -> None:
        """Take the next audio; time passes for the looks by what comes in here."""
        self._rate_hz = frame.sample_rate
        self._pcm += frame.data.cast("B")
        surplus = len(self._pcm) - 2 * int(2 * WINDOW_S * self._rate_hz)
        if surplus > 0:
            del self._pcm[: len(self._pcm) - 2 * int(WINDOW_S * self._rate_hz)]
        self._since_s += frame.samples_per_channel / frame.sample_rate
        self._look_again()

    def predict(self) -> asyncio.Future[TurnDetectionEvent]:
        """Return the answer to come: yes as soon as a look says so, no after the last one."""
        is_open = self._is_open
        self.cancel_inference()
        self._is_open = is_open
        self._answer = asyncio.get_running_loop().create_future()
        self._looks = [*LOOKS]
        self._since_s = 0.0
        self._look()
        return self._answer

    def cancel_inference(self, *, timed_out: bool = False) -> None:
        """Drop the question: there is voice again, or the turn is over."""
        self._is_open = False
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(_event(0.0, 0.0))
        self._answer = None

    def flush(self, reason: str | None = None) -> None:
        """Forget the turn: the next one begins."""
        self._pcm.clear()
        self._is_open = False

    def end_input(self) -> None:
        self.cancel_inference()

    async def aclose(self) -> None:
        self.cancel_inference()

    def _look_again(self) -> None:
        if self._answer is None or self._looking is not None or not self._looks:
            return
        if self._since_s >= self._looks[0][0]:
            self._look()

    def _look(self) -> None:
        assert self._answer is not None
        _, factor = self._looks.pop(0)
        self._looking = asyncio.create_task(self._judged(self._answer, factor))

    async def _judged(self, answer: asyncio.Future[TurnDetectionEvent], factor: float) -> None:
        began = time.monotonic()
        try:
            probability = await asyncio.to_thread(self._judge, self._window())
        except Exception:
            # A bot that answers too early is better than one that never does.
            log.exception("turn model failed")
            probability = 1.0
        threshold = await self.unlikely_threshold(self._language) or 0.0
        if answer is not self._answer or answer.done():
            return
        self._looking = None
        is_over = probability >= min(1.0, factor * threshold) and not self._is_open
        if is_over or not self._looks:
            # The session compares with the model's own threshold.
            told = probability if is_over else 0.0
            answer.set_result(_event(told, time.monotonic() - began))
        else:
            self._look_again()

    def _window(self) -> Pcm:
        size_bytes = 2 * int(WINDOW_S * self._rate_hz)
        return at_model_rate(bytes(self._pcm[-size_bytes:]), self._rate_hz)[-EOT_MAX_SAMPLES:]


def at_model_rate(pcm: bytes, rate_hz: int) -> Pcm:
    """Return PCM16 of some rate as samples of the model's."""
    if not pcm or rate_hz == MODEL_RATE_HZ:
        return np.frombuffer(pcm, np.int16)
    resampler = rtc.AudioResampler(rate_hz, MODEL_RATE_HZ, quality=rtc.AudioResamplerQuality.QUICK)
    frames = [*resampler.push(bytearray(pcm)), *resampler.flush()]
    return np.concatenate([np.frombuffer(frame.data, np.int16) for frame in frames])


def _event(probability: float, took_s: float) -> TurnDetectionEvent:
    return TurnDetectionEvent(
        type="eot_prediction",
        end_of_turn_probability=probability,
        last_speaking_time=time.time(),
        inference_duration=took_s,
    )
