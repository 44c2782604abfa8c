"""A voice of several: where one is silent or breaks off, the next says the rest of the line."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, Iterable
from typing import Any

from livekit import rtc
from livekit.agents import APIConnectOptions, tokenize, tts, utils
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    USERDATA_TIMED_TRANSCRIPT,
    NotGivenOr,
    TimedString,
)

from agent.failure import EnginesLost, Silent
from agent.fallback.line_up import Attempts, LineUp
from agent.fallback.rest import (
    Pace,
    end_of,
    is_latin,
    is_sayable,
    said_by,
    share_of,
)

Voice = tts.TTS[Any]

_LOOK_S = 0.1
_LATER_S = 0.5
"""The plug-in's own time-outs are for what is not seen here, such as a handshake."""
_SILENCE_S = 0.02
_GOODBYE_S = 2.0
"""So long all voices together may keep a caller from a goodbye; one of them, if that is longer."""


class FallbackTTS(tts.TTS[Any]):
    """Says each line in the first voice that does.

    Audio comes at the first voice's rate, whoever speaks. Lines carry the words' times only where
    all voices know them.

    Args:
        line_up: the bot's voices.
        first_audio_s: how much silence one may owe in a line.
        parting: says what is left of a goodbye that no other can say: it cannot fail, in English.
    """

    def __init__(
        self, line_up: LineUp[Voice], *, first_audio_s: float, parting: Voice | None = None
    ) -> None:
        voices = line_up.engines
        super().__init__(
            capabilities=tts.TTSCapabilities(
                streaming=True,
                aligned_transcript=all(each.capabilities.aligned_transcript for each in voices),
            ),
            sample_rate=voices[0].sample_rate,
            num_channels=voices[0].num_channels,
        )
        self.line_up = line_up
        self.first_audio_s = first_audio_s
        self.parting = parting
        self.is_parting = False
        """Whether these are the call's last words: nobody will apologise for them."""
        self.is_lost = False
        for voice in voices:
            voice.on("metrics_collected", self._pass_on)

    @property
    def model(self) -> str:
        return self.line_up.current.engine.model

    @property
    def provider(self) -> str:
        return self.line_up.current.engine.provider

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return self._synthesize_with_stream(text, conn_options=conn_options)

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.SynthesizeStream:
        return _Line(self, conn_options)

    def prewarm(self) -> None:
        self.line_up.members[0].engine.prewarm()

    async def aclose(self) -> None:
        await self.line_up.aclose()

    def _pass_on(self, *metrics: Any) -> None:
        self.emit("metrics_collected", *metrics)


class _Line(tts.SynthesizeStream):
    """One line, over all the voices that it takes."""

    def __init__(self, owner: FallbackTTS, conn_options: APIConnectOptions) -> None:
        self._owner = owner
        self._line_up = owner.line_up
        self._text = ""
        self._said_to = 0
        """How much of the text is in the audio made so far."""
        self._made_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._waits_since = self._loop.time()
        self._is_whole = False
        self._inner: tts.SynthesizeStream | None = None
        super().__init__(tts=owner, conn_options=conn_options)

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        request_id = utils.shortuuid("tts_")
        output_emitter.initialize(
            request_id=request_id,
            sample_rate=self._owner.sample_rate,
            num_channels=self._owner.num_channels,
            mime_type="audio/pcm",
            stream=True,
        )
        output_emitter.start_segment(segment_id=request_id)
        feeding = asyncio.create_task(self._feed())
        try:
            await self._say_or_part(output_emitter)
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        output_emitter.end_segment()

    async def _feed(self) -> None:
        """Keep the line's text, and pass it on to whoever speaks."""
        async for item in self._input_ch:
            if isinstance(item, str):
                self._text += item
                if self._inner is not None:
                    self._inner.push_text(item)
        self._is_whole = True
        if self._inner is not None:
            self._inner.end_input()

    async def _say_or_part(self, emitter: tts.AudioEmitter) -> None:
        try:
            await self._say(emitter)
            self._owner.is_lost = False
        except EnginesLost as error:
            last = self._owner.parting if self._owner.is_parting else None
            if last is None or not is_latin(self._text[self._said_to :]):
                self._owner.is_lost = True
                raise
            self._line_up.stand_in(last.provider, error.why, self._loop.time() - self._waits_since)
            await self._speak(last, emitter, self._owner.first_audio_s)

    async def _say(self, emitter: tts.AudioEmitter) -> None:
        """Say the line in one voice after the other, until it is said.

        Raises:
            EnginesLost: none is left.
        """
        attempts = self._line_up.attempts()
        for voice in attempts:
            await asyncio.sleep(attempts.pause_s)
            try:
                await self._speak(voice, emitter, self._patience_s(attempts))
            except Exception as error:  # whatever a vendor's plug-in may raise: the next one's turn
                if self._is_whole and not is_sayable(self._text[self._said_to :]):
                    break
                attempts.fail(error)
            else:
                attempts.succeed()
                break
        if self._made_s == 0.0:
            # Of pictograms alone, say: that is no voice's failure.
            emitter.push(bytes(2 * round(_SILENCE_S * self._owner.sample_rate)))

    def _patience_s(self, attempts: Attempts[Voice]) -> float:
        """Return how much silence the voice asked now may owe."""
        each_s = self._owner.first_audio_s
        if not self._owner.is_parting:
            return attempts.patience_s(each_s)
        waited_s = self._loop.time() - self._waits_since
        return attempts.patience_s(each_s, max(_GOODBYE_S, each_s) - waited_s)

    async def _speak(self, voice: Voice, emitter: tts.AudioEmitter, wait_s: float) -> None:
        """Say what is left of the line.

        Raises:
            APIError: the voice failed, or owes too much.
        """
        once = APIConnectOptions(max_retry=0, timeout=wait_s + _LATER_S)
        part = _Part(voice, self._owner, emitter, self._made_s)
        begun_at = self._said_to
        async with _streaming(voice) as streaming, streaming.stream(conn_options=once) as stream:
            if self._text[begun_at:]:
                stream.push_text(self._text[begun_at:].lstrip())
            if self._is_whole:
                stream.end_input()
            self._inner = stream
            try:
                await self._pass_on(stream, part, wait_s)
                self._said_to = len(self._text)
            except BaseException:
                self._said_to += part.end_of_said(self._text[begun_at:])
                raise
            finally:
                self._inner = None
                self._made_s += part.made_s

    async def _pass_on(self, stream: tts.SynthesizeStream, part: _Part, wait_s: float) -> None:
        pace = Pace()
        speaking = asyncio.ensure_future(anext(stream, None))
        try:
            while True:
                await asyncio.wait({speaking}, timeout=_LOOK_S)
                now = self._loop.time()
                # Of the first voice: the caller has waited since. The SDK publishes no such time,
                # and is pinned; the tests of silent voices fail should it go.
                self._started_time = self._started_time or stream._started_time
                if speaking.done():
                    audio = speaking.result()
                    if audio is None:
                        break
                    pace.made(now, audio.frame.duration)
                    self._waits_since = now
                    part.push(audio.frame)
                    speaking = asyncio.ensure_future(anext(stream, None))
                elif self._is_whole or (stream._started_time and not part.made_s):
                    # It may wait for the end of a sentence, but not once it has begun to work.
                    pace.begin(now)
                    if pace.owed_s(now) > wait_s:
                        what = "no more" if part.made_s else "no"
                        raise Silent(f"{what} sound for {round(wait_s, 1):g} s")
                else:
                    pace.excuse(now)
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
        part.finish()

    async def _metrics_monitor_task(self, event_aiter: AsyncIterable[tts.SynthesizedAudio]) -> None:
        # Each voice's own stream has counted.
        async for _ in event_aiter:
            pass


class _Part:
    """What one voice has said of a line, as it is passed on.

    A word is passed on once its audio was: should the voice break off, the next one says it.
    """

    def __init__(
        self, voice: Voice, owner: FallbackTTS, emitter: tts.AudioEmitter, offset_s: float
    ) -> None:
        self._emitter = emitter
        self._offset_s = offset_s
        self._has_times = voice.capabilities.aligned_transcript
        self._tells_times = owner.capabilities.aligned_transcript
        self._resampler = (
            rtc.AudioResampler(voice.sample_rate, owner.sample_rate)
            if voice.sample_rate != owner.sample_rate
            else None
        )
        self._waiting: list[TimedString] = []
        self._said = ""
        self.made_s = 0.0

    def push(self, frame: rtc.AudioFrame) -> None:
        """Pass on audio, and the words that it completes."""
        self._waiting += frame.userdata.get(USERDATA_TIMED_TRANSCRIPT) or []
        self.made_s += frame.duration
        self._tell(said_by(self._waiting, self.made_s))
        self._send(self._resampler.push(frame) if self._resampler else [frame])

    def finish(self) -> None:
        """Pass on what is left: the voice has come to the end."""
        self._tell(len(self._waiting))
        if self._resampler is not None:
            self._send(self._resampler.flush())

    def end_of_said(self, text: str) -> int:
        """Return how much of `text` was said."""
        return end_of(self._said, text) if self._has_times else share_of(text, self.made_s)

    def _send(self, frames: Iterable[rtc.AudioFrame]) -> None:
        for frame in frames:
            self._emitter.push_frame(frame)

    def _tell(self, count: int) -> None:
        words, self._waiting = self._waiting[:count], self._waiting[count:]
        self._said += "".join(words)
        if words and self._tells_times:
            self._emitter.push_timed_transcript([_later(word, self._offset_s) for word in words])


@contextlib.asynccontextmanager
async def _streaming(voice: Voice) -> Any:
    """Give a voice that takes whole sentences alone a stream like the others'."""
    if voice.capabilities.streaming:
        yield voice
        return
    sentences = tokenize.blingfire.SentenceTokenizer(retain_format=True)
    adapter = tts.StreamAdapter(tts=voice, sentence_tokenizer=sentences)
    try:
        yield adapter
    finally:
        await adapter.aclose()


def _later(word: TimedString, by_s: float) -> TimedString:
    return TimedString(
        str(word), start_time=_after(word.start_time, by_s), end_time=_after(word.end_time, by_s)
    )


def _after(time_s: NotGivenOr[float], by_s: float) -> NotGivenOr[float]:
    return time_s + by_s if isinstance(time_s, float | int) else time_s
