"""Voice activity on a phone line: when a voice begins, and when it has been silent for a while.

The framework's own detector on the same bundled model waits 250 ms before it speaks of an end,
hands every window to a thread and every silence to its listeners. Here a window is judged on the
spot (15 µs), nothing is said of a silence that goes on, and the end is told as soon as it is asked
for: whether the caller's *turn* has ended is another question, `agent.turn_end`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from livekit import rtc
from livekit.agents import vad
from livekit.local_inference import VAD as Model
from livekit.local_inference import VAD_WINDOW_SAMPLES

MODEL_RATE_HZ = 16_000
WINDOW_S = VAD_WINDOW_SAMPLES / MODEL_RATE_HZ
_HYSTERESIS = 0.15
"""How far below the threshold of a beginning a voice may sink before it counts as silent."""
_ASKS_FOR_TURN_END_S = 0.2
"""At this silence the session asks its turn detector; an end told earlier claims as much."""


AWAITED_END_S = 2 * WINDOW_S
"""Silence that ends a voice once the recogniser has told its last words."""


class Edge(Enum):
    """What a window changed."""

    STARTED = "started"
    ENDED = "ended"


@dataclass(slots=True)
class VoiceEdges:
    """From the model's probabilities, one per window, to where a voice begins and ends.

    Attributes:
        start_s: voice wanted before it counts.
        end_s: silence wanted before the voice has ended.
        threshold: probability of a beginning voice.
        speaking: whether a voice is going on.
        speech_s: how long the voice has been going on, its pauses included.
        voice_s: length of the present stretch of voice; 0.0 in silence.
        silence_s: length of the present silence; 0.0 while there is voice.
        is_awaited: the recogniser takes what was said for complete, so any silence will do.
    """

    start_s: float
    end_s: float
    threshold: float
    speaking: bool = False
    speech_s: float = 0.0
    voice_s: float = 0.0
    silence_s: float = 0.0
    is_awaited: bool = False

    def step(self, probability: float) -> Edge | None:
        """Take the next window's probability of voice."""
        if self.speaking:
            self.speech_s += WINDOW_S
        if probability >= self.threshold - (_HYSTERESIS if self.speaking else 0.0):
            self.voice_s += WINDOW_S
            self.silence_s = 0.0
            self.is_awaited = False
            if not self.speaking and self.voice_s >= self.start_s:
                self.speaking, self.speech_s = True, self.voice_s
                return Edge.STARTED
            return None
        self.voice_s = 0.0
        self.silence_s += WINDOW_S
        return self.end_if_silent()

    def end_if_silent(self) -> Edge | None:
        """End the voice if its silence is long enough."""
        enough_s = min(self.end_s, AWAITED_END_S) if self.is_awaited else self.end_s
        if not self.speaking or self.silence_s < enough_s:
            return None
        self.speaking = False
        return Edge.ENDED


class PhoneVAD(vad.VAD):
    """The bundled Silero model for one call's voice.

    Args:
        start_s, end_s, threshold: see `VoiceEdges`.
    """

    def __init__(self, *, start_s: float, end_s: float, threshold: float) -> None:
        super().__init__(capabilities=vad.VADCapabilities(update_interval=WINDOW_S))
        self._start_s = start_s
        self._end_s = end_s
        self._threshold = threshold
        self._stream: _Stream | None = None

    def await_end(self) -> None:
        """Tell of the next silence at once: the recogniser has told the last words."""
        if self._stream is not None:
            self._stream.await_end()

    @property
    def model(self) -> str:
        return "silero"

    @property
    def provider(self) -> str:
        return "livekit-local-inference"

    def stream(self) -> vad.VADStream:
        self._stream = _Stream(self, VoiceEdges(self._start_s, self._end_s, self._threshold))
        return self._stream


class _Stream(vad.VADStream):
    def __init__(self, parent: PhoneVAD, edges: VoiceEdges) -> None:
        self._edges = edges
        self._model = Model()
        self._resampler: rtc.AudioResampler | None = None
        self._pcm = bytearray()
        self._windows = 0
        super().__init__(parent)

    def push_frame(self, frame: rtc.AudioFrame) -> None:
        """Judge what is complete, here and now: the model is quicker than a hand-over."""
        self._check_input_not_ended()
        self._check_not_closed()
        for part in self._resampled(frame):
            self._pcm += part.data.cast("B")
        size_bytes = 2 * VAD_WINDOW_SAMPLES
        while len(self._pcm) >= size_bytes:
            window = np.frombuffer(bytes(self._pcm[:size_bytes]), np.int16)
            del self._pcm[:size_bytes]
            self._judge(window)

    def await_end(self) -> None:
        """See `PhoneVAD.await_end`."""
        self._edges.is_awaited = True
        if self._edges.end_if_silent() is Edge.ENDED:
            self._tell_end()

    def flush(self) -> None:
        """Begin anew: whatever voice was going on belongs to the past."""
        super().flush()
        self._model.reset()
        self._pcm.clear()
        edges = self._edges
        self._edges = VoiceEdges(edges.start_s, edges.end_s, edges.threshold)

    async def _main_task(self) -> None:
        async for _ in self._input_ch:
            pass

    def _resampled(self, frame: rtc.AudioFrame) -> list[rtc.AudioFrame]:
        if frame.sample_rate == MODEL_RATE_HZ:
            return [frame]
        if self._resampler is None:
            self._resampler = rtc.AudioResampler(
                frame.sample_rate, MODEL_RATE_HZ, quality=rtc.AudioResamplerQuality.QUICK
            )
        return self._resampler.push(frame)

    def _judge(self, window: np.ndarray) -> None:
        self._windows += 1
        edges = self._edges
        was_speaking = edges.speaking
        edge = edges.step(self._model.predict(window))
        if edge is Edge.STARTED:
            self._tell(vad.VADEventType.START_OF_SPEECH)
        if edge is Edge.ENDED:
            self._tell_end()
        elif was_speaking or edges.voice_s:
            self._tell(vad.VADEventType.INFERENCE_DONE)

    def _tell_end(self) -> None:
        self._tell(vad.VADEventType.INFERENCE_DONE, ended=True)
        self._tell(vad.VADEventType.END_OF_SPEECH)

    def _tell(self, kind: vad.VADEventType, *, ended: bool = False) -> None:
        edges = self._edges
        silence_s = max(edges.silence_s, _ASKS_FOR_TURN_END_S) if ended else edges.silence_s
        spoke = edges.speaking or ended or kind is vad.VADEventType.END_OF_SPEECH
        self._event_ch.send_nowait(
            vad.VADEvent(
                type=kind,
                samples_index=self._windows * VAD_WINDOW_SAMPLES,
                timestamp=self._windows * WINDOW_S,
                speech_duration=edges.speech_s if spoke else edges.voice_s,
                silence_duration=edges.silence_s,
                speaking=edges.speaking,
                raw_accumulated_silence=silence_s,
                raw_accumulated_speech=edges.voice_s,
            )
        )
