"""LiveKit text-to-speech on the offline voice: the first clause is out before the rest is
synthesised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from livekit.agents import tts, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, TimedString

from agent.speech.clause import ClauseSplitter, Piece
from agent.speech.spoken import spoken
from agent.speech.voice import RATE_HZ, Voice, load_voice, silence

_CHUNK_MS = 100
_BYTES_PER_S = 2 * RATE_HZ


class HibariTTS(tts.TTS[str]):
    """Text to speech without a network, with the time of every word."""

    def __init__(self, *, fixed_lines: Iterable[str] = (), voice: Voice | None = None) -> None:
        """
        Args:
            fixed_lines: lines without variables, whose audio may be kept for the process's life.
            voice: the process's voice unless given.
        """
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=True, aligned_transcript=True),
            sample_rate=RATE_HZ,
            num_channels=1,
        )
        self._voice = voice
        self._fixed_lines = tuple(fixed_lines)

    @property
    def model(self) -> str:
        return "hibari-heart"

    @property
    def provider(self) -> str:
        return "offline"

    @property
    def voice(self) -> Voice:
        """The engine, loaded on first use."""
        if self._voice is None:
            self._voice = load_voice()
        for line in self._fixed_lines:
            for piece in pieces_of(line):
                self._voice.keep(piece.text)
        self._fixed_lines = ()
        return self._voice

    def prewarm(self) -> None:
        """Load the engine. Each session asks for this, on its loop: nothing is spoken here."""
        load_voice()

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return HibariChunkedStream(self, text, conn_options)

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.SynthesizeStream:
        return HibariSynthesizeStream(self, conn_options)


def pieces_of(text: str) -> list[Piece]:
    """Return the pieces that a complete text is synthesised in."""
    splitter = ClauseSplitter()
    return [*splitter.push(text), *splitter.flush()]


class _Speaker:
    """Synthesises pieces into an emitter and keeps count of the time, for the words' positions."""

    def __init__(self, voice: Voice, emitter: tts.AudioEmitter) -> None:
        self._voice = voice
        self._emitter = emitter
        self._spoken_bytes = 0
        self._gap_ms = 0

    async def say(self, piece: Piece) -> None:
        pcm = await asyncio.to_thread(self._voice.say, piece.text)
        gap = silence(self._gap_ms) if pcm else b""
        start_s = (self._spoken_bytes + len(gap)) / _BYTES_PER_S
        words = timed_words(piece.text, start_s, len(pcm) / _BYTES_PER_S)
        if words:
            self._emitter.push_timed_transcript(words)
        if not pcm:
            return
        # The gap is sent with the next piece, never after the last: the turn ends with the voice.
        self._emitter.push(gap + pcm)
        self._emitter.flush()
        self._spoken_bytes += len(gap) + len(pcm)
        self._gap_ms = piece.gap_ms


def timed_words(text: str, start_s: float, duration_s: float) -> list[TimedString]:
    """Return the words of `text`, spaces kept, with times in proportion to how long each takes
    to say.
    """
    words = [word for word in text.replace("\n", " ").split(" ") if word]
    if not words:
        return []
    weights = [len(spoken(word)) + 1 for word in words]
    rate = duration_s / sum(weights)
    timed = []
    at = start_s
    for word, weight in zip(words, weights, strict=True):
        end = at + weight * rate
        timed.append(TimedString(f"{word} ", start_time=at, end_time=end))
        at = end
    return timed


class HibariChunkedStream(tts.ChunkedStream):
    """A whole text at once, still in pieces."""

    def __init__(self, owner: HibariTTS, text: str, conn_options: APIConnectOptions) -> None:
        self._voice = owner.voice
        super().__init__(tts=owner, input_text=text, conn_options=conn_options)

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid("tts_"),
            sample_rate=RATE_HZ,
            num_channels=1,
            mime_type="audio/pcm",
            frame_size_ms=_CHUNK_MS,
        )
        speaker = _Speaker(self._voice, output_emitter)
        for piece in pieces_of(self.input_text):
            await speaker.say(piece)


class HibariSynthesizeStream(tts.SynthesizeStream):
    """Text as a model writes it, audio as soon as a first clause is there."""

    def __init__(self, owner: HibariTTS, conn_options: APIConnectOptions) -> None:
        self._voice = owner.voice
        super().__init__(tts=owner, conn_options=conn_options)

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        request_id = utils.shortuuid("tts_")
        output_emitter.initialize(
            request_id=request_id,
            sample_rate=RATE_HZ,
            num_channels=1,
            mime_type="audio/pcm",
            frame_size_ms=_CHUNK_MS,
            stream=True,
        )
        output_emitter.start_segment(segment_id=request_id)
        speaker = _Speaker(self._voice, output_emitter)
        splitter = ClauseSplitter()
        async for item in self._input_ch:
            pieces = splitter.push(item) if isinstance(item, str) else splitter.flush()
            for piece in pieces:
                self._mark_started()
                await speaker.say(piece)
        for piece in splitter.flush():
            self._mark_started()
            await speaker.say(piece)
        output_emitter.end_segment()
