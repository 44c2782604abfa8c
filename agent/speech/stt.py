"""LiveKit speech-to-text on Moonshine: interim results by re-decoding, finals decoded ahead of
time.

Moonshine is no streaming model, but cheap: the growing utterance is decoded again every 400 ms for
interim results, and once more as soon as the speaker pauses. That text goes out as a preflight
transcript, so that an answer can be prepared, and is the final one if the silence lasts.

Who decides that it lasted? With `driven` (the default) the session: it runs its own voice detector
and turn detector and asks for the final by flushing (`STTCapabilities.manual_flush`), so a
hesitation in the middle of a phone number does not cut it in two, and the final is there within a
millisecond. Undriven, 224 ms of silence end an utterance.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from threading import Event

import numpy as np
import numpy.typing as npt
from livekit import rtc
from livekit.agents import APIError, LanguageCode, stt, utils
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from livekit.local_inference import VAD as VoiceModel

from agent.speech.moonshine import RATE_HZ, Decoded, Moonshine, Samples, load_moonshine
from agent.speech.segment import WINDOW_S, WINDOW_SAMPLES, Cue, Segmenter, SegmentRule, windows
from agent.speech.text import tidy

Window = npt.NDArray[np.int16]

LEAD_S = 0.32
"""How much audio before the first voiced window belongs to an utterance."""

_UNDRIVEN_END_S = 0.224
_MAX_BATCH_S = 15.0


class MoonshineSTT(stt.STT[str]):
    """Speech to text without a network; one object may serve several streams at once."""

    def __init__(
        self,
        *,
        driven: bool = True,
        language: str = "en",
        rule: SegmentRule | None = None,
        model: Moonshine | None = None,
    ) -> None:
        """
        Args:
            driven: whether a session flushes at the end of each turn. Pass False under an adapter
                that does not.
            language: what transcripts are labelled with; the model knows English alone.
            rule: thresholds of the voice segmentation.
            model: the process's model unless given.
        """
        super().__init__(
            capabilities=stt.STTCapabilities(
                streaming=True, interim_results=True, manual_flush=driven
            )
        )
        rule = rule or SegmentRule()
        self._rule = rule if driven else replace(rule, end_s=_UNDRIVEN_END_S)
        self._language = LanguageCode(language)
        self._model = model

    @property
    def model(self) -> str:
        return "moonshine-tiny-en"

    @property
    def provider(self) -> str:
        return "offline"

    def prewarm(self) -> None:
        self._model = self._model or load_moonshine()

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> MoonshineStream:
        self.prewarm()
        assert self._model is not None
        return MoonshineStream(
            self,
            model=self._model,
            rule=self._rule,
            language=LanguageCode(language) if language else self._language,
            conn_options=conn_options,
        )

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        self.prewarm()
        assert self._model is not None
        frame = rtc.combine_audio_frames(buffer)
        samples = np.concatenate([*Intake().take(frame), np.zeros(0, np.int16)])
        limit = int(_MAX_BATCH_S * RATE_HZ)
        parts = [samples[at : at + limit] for at in range(0, samples.size, limit)]
        decoded = [await asyncio.to_thread(self._model.decode, _floats([part])) for part in parts]
        text = tidy(" ".join(part.text for part in decoded))
        confidence = min((part.confidence for part in decoded), default=0.0)
        data = stt.SpeechData(self._language, text, 0.0, frame.duration, confidence)
        return stt.SpeechEvent(stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[data])


class Intake:
    """Turns frames of any rate into windows of the model's rate; keeps the resampler's state
    between frames.
    """

    def __init__(self) -> None:
        self._resampler: rtc.AudioResampler | None = None
        self._rest = np.zeros(0, np.int16)

    def take(self, frame: rtc.AudioFrame) -> list[Window]:
        """Return the whole windows that `frame` completes."""
        frames = [frame]
        if frame.sample_rate != RATE_HZ:
            self._resampler = self._resampler or rtc.AudioResampler(
                frame.sample_rate, RATE_HZ, quality=rtc.AudioResamplerQuality.MEDIUM
            )
            frames = self._resampler.push(frame)
        pieces = [np.frombuffer(piece.data, np.int16) for piece in frames]
        samples = np.concatenate([self._rest, *pieces])
        whole = samples.size // WINDOW_SAMPLES
        self._rest = samples[whole * WINDOW_SAMPLES :]
        return list(samples[: whole * WINDOW_SAMPLES].reshape(whole, WINDOW_SAMPLES))


@dataclass(slots=True)
class _Decoding:
    """A decode under way, and how to make it stop early."""

    task: asyncio.Task[Decoded]
    stop: Event


class MoonshineStream(stt.RecognizeStream):
    """One caller's stream. Everything but the decoding runs on the loop: a window of voice
    detection is 15 us.
    """

    def __init__(
        self,
        owner: MoonshineSTT,
        *,
        model: Moonshine,
        rule: SegmentRule,
        language: LanguageCode,
        conn_options: APIConnectOptions,
    ) -> None:
        self._model = model
        self._language = language
        self._segmenter = Segmenter(rule)
        self._voice = VoiceModel()
        self._intake = Intake()
        self._lead: deque[Window] = deque(maxlen=windows(LEAD_S))
        self._utterance: list[Window] = []
        self._window = 0
        self._usage_window = 0
        self._request_id = ""
        self._interim: _Decoding | None = None
        self._final: _Decoding | None = None
        super().__init__(stt=owner, conn_options=conn_options)

    async def _run(self) -> None:
        try:
            async for item in self._input_ch:
                if isinstance(item, rtc.AudioFrame):
                    for window in self._intake.take(item):
                        await self._hear(window)
                else:
                    await self._finish()
            await self._finish()
        finally:
            self._drop_interim()
            self._drop_final()

    async def _hear(self, window: Window) -> None:
        self._window += 1
        cues = self._segmenter.hear(self._voice.predict(window))
        (self._utterance if self._utterance else self._lead).append(window)
        for cue in cues:
            match cue:
                case Cue.STARTED:
                    self._utterance = list(self._lead)
                    self._lead.clear()
                    self._request_id = utils.shortuuid("stt_")
                    self._emit(stt.SpeechEventType.START_OF_SPEECH)
                case Cue.INTERIM:
                    self._look()
                case Cue.PAUSED:
                    self._anticipate()
                case Cue.RESUMED:
                    self._drop_final()
                case Cue.ENDED:
                    await self._finish()

    def _look(self) -> None:
        # An interim that is not done yet says as much as the next one would.
        if self._interim is None:
            self._interim = self._decode()
            self._interim.task.add_done_callback(self._on_interim)

    def _on_interim(self, task: asyncio.Task[Decoded]) -> None:
        if self._interim is None or self._interim.task is not task:
            return
        self._interim = None
        if task.cancelled() or task.exception() is not None:
            return
        self._emit(stt.SpeechEventType.INTERIM_TRANSCRIPT, task.result())

    def _anticipate(self) -> None:
        self._drop_interim()
        if self._segmenter.is_speech:
            self._final = self._decode()
            self._final.task.add_done_callback(self._on_anticipated)

    def _on_anticipated(self, task: asyncio.Task[Decoded]) -> None:
        if self._final is None or self._final.task is not task:
            return
        if not task.cancelled() and task.exception() is None:
            self._emit(stt.SpeechEventType.PREFLIGHT_TRANSCRIPT, task.result())

    async def _finish(self) -> None:
        """End the utterance and say what it was: at once if the pause was decoded ahead of time."""
        if not self._segmenter.speaking:
            return
        self._drop_interim()
        if self._segmenter.is_speech:
            self._final = self._final or self._decode()
            final, self._final = self._final, None
            try:
                decoded = await final.task
            except Exception as error:
                raise APIError("speech could not be decoded") from error
            self._emit(stt.SpeechEventType.FINAL_TRANSCRIPT, decoded)
        self._emit(stt.SpeechEventType.END_OF_SPEECH)
        self._count()
        self._segmenter.reset()
        self._utterance = []

    def _decode(self) -> _Decoding:
        stop = Event()
        samples = _floats(self._utterance)
        task = asyncio.create_task(asyncio.to_thread(self._model.decode, samples, stop))
        return _Decoding(task, stop)

    def _drop_interim(self) -> None:
        _abandon(self._interim)
        self._interim = None

    def _drop_final(self) -> None:
        _abandon(self._final)
        self._final = None

    def _emit(self, kind: stt.SpeechEventType, decoded: Decoded | None = None) -> None:
        if self._event_ch.closed:
            return
        event = stt.SpeechEvent(kind, request_id=self._request_id)
        start = self.start_time_offset + (self._window - len(self._utterance)) * WINDOW_S
        end = self.start_time_offset + (self._window - self._segmenter.silent) * WINDOW_S
        if decoded is not None:
            text = tidy(decoded.text)
            if not text:
                return
            data = stt.SpeechData(self._language, text, start, end, decoded.confidence)
            event.alternatives = [data]
        elif kind is stt.SpeechEventType.START_OF_SPEECH:
            event.speech_start_time = self.start_time + start - self.start_time_offset
        else:
            event.speech_end_time = self.start_time + end - self.start_time_offset
        self._event_ch.send_nowait(event)

    def _count(self) -> None:
        seconds = (self._window - self._usage_window) * WINDOW_S
        self._usage_window = self._window
        self._event_ch.send_nowait(
            stt.SpeechEvent(
                stt.SpeechEventType.RECOGNITION_USAGE,
                request_id=self._request_id,
                recognition_usage=stt.RecognitionUsage(audio_duration=seconds),
            )
        )


def _abandon(decoding: _Decoding | None) -> None:
    if decoding is not None:
        decoding.stop.set()
        # Cancelling frees the loop's side; the thread ends at its next token.
        decoding.task.cancel()


def _floats(pieces: list[Window]) -> Samples:
    samples = np.concatenate(pieces).astype(np.float32)
    samples /= 32_768
    return samples
