"""A recogniser of several: where one fails or hears nothing, the next hears the turn anew."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterable, Callable
from typing import Any, Protocol, runtime_checkable

from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, APIError, stt
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr

from agent.failure import EnginesLost, Silent
from agent.fallback.line_up import LineUp, Member
from agent.fallback.unanswered import Silence, Tape

Recogniser = stt.STT[Any]

_CONNECT_S = 2.0
_LOOK_S = 0.1
_TURN_S = 8.0
"""A recogniser that decides when a turn is over may wait for the rest of a sentence."""
_SIGN_OF_LIFE_S = 2.5
"""So long the last one may take to connect and to answer anything."""
_ROUNDS = 2
_SOUND_S = 3.0
"""A stream that has lived so long was in order: its failure begins a new count."""
_DOUBT_S = 20.0
"""Where two recognisers find no words there are none: for so long no third one is asked."""
_CLEAR_S = 1.0
_UTTERANCES = 2
"""So many clear ones in a row that a recogniser takes for no words are another's to judge."""
_WORDS = (
    stt.SpeechEventType.INTERIM_TRANSCRIPT,
    stt.SpeechEventType.PREFLIGHT_TRANSCRIPT,
    stt.SpeechEventType.FINAL_TRANSCRIPT,
)


@runtime_checkable
class Acknowledged(Protocol):
    """A stream whose vendor answers audio whether or not there are words in it."""

    @property
    def is_mute(self) -> bool:
        """Whether nothing has come yet of what would have come by now, even on a quiet line."""


class FallbackSTT(stt.STT[Any]):
    """Gives the next recogniser the audio of the turn being spoken, so that no caller need repeat.

    Whether somebody speaks it is told by `voice`: a recogniser that takes audio and answers nothing
    cannot be told from a quiet line otherwise.
    """

    def __init__(
        self,
        line_up: LineUp[Recogniser],
        *,
        first_words_s: float,
        judges_turns: Callable[[Recogniser], bool] = lambda _: False,
    ) -> None:
        super().__init__(capabilities=line_up.current.engine.capabilities)
        self.line_up = line_up
        self.silence = Silence(first_words_s)
        self.tape = Tape()
        self.is_lost = False
        self._judges_turns = judges_turns
        for recogniser in line_up.engines:
            recogniser.on("metrics_collected", self._pass_on)

    @property
    def capabilities(self) -> stt.STTCapabilities:
        """Those of whoever listens now: the session asks each time."""
        return self.line_up.current.engine.capabilities

    @property
    def model(self) -> str:
        return self.line_up.current.engine.model

    @property
    def provider(self) -> str:
        return self.line_up.current.engine.provider

    def voice(self, is_speaking: bool) -> None:
        """The caller's voice began or ended."""
        self.silence.voice(is_speaking, self.line_up.now())
        if is_speaking:
            self.tape.is_owed = True

    def final_s(self, recogniser: Recogniser) -> float:
        """Return how long after a voice final words may take that begun to come."""
        if self._judges_turns(recogniser):
            return _TURN_S
        return 2 * self.silence.first_words_s

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        return _Listening(self, language, conn_options)

    def prewarm(self) -> None:
        self.line_up.members[0].engine.prewarm()

    async def aclose(self) -> None:
        await self.line_up.aclose()

    async def _recognize_impl(self, *_: Any, **__: Any) -> stt.SpeechEvent:
        raise APIError("nobody asks a line-up for a whole recording", retryable=False)

    def _pass_on(self, *metrics: Any) -> None:
        self.emit("metrics_collected", *metrics)


class _Listening(stt.RecognizeStream):
    """One call's stream, over all the streams that it takes."""

    def __init__(
        self, owner: FallbackSTT, language: NotGivenOr[str], conn_options: APIConnectOptions
    ) -> None:
        self._owner = owner
        self._line_up = owner.line_up
        self._language = language
        self._inner: stt.RecognizeStream | None = None
        self._is_over = False
        self._unheard_by: Member[Recogniser] | None = None
        self._agreed_until = 0.0
        self._dismissed = 0
        super().__init__(stt=owner, conn_options=conn_options)

    async def _run(self) -> None:
        feeding = asyncio.create_task(self._feed())
        try:
            if self._owner.is_lost:
                # The session asks for a new stream while the call is being ended.
                await feeding
                return
            await self._listen()
        except EnginesLost:
            self._owner.is_lost = True
            raise
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def _feed(self) -> None:
        """Keep the line's audio, and pass it on to whoever listens."""
        async for item in self._input_ch:
            if isinstance(item, rtc.AudioFrame):
                self._owner.tape.push(item)
            if self._inner is None:
                continue
            # A stream that has just failed takes no more: who comes next is given the tape.
            with contextlib.suppress(RuntimeError):
                if isinstance(item, rtc.AudioFrame):
                    self._inner.push_frame(item)
                elif self._owner.capabilities.manual_flush:
                    self._inner.flush()
        self._is_over = True
        if self._inner is not None:
            with contextlib.suppress(RuntimeError):
                self._inner.end_input()

    async def _listen(self) -> None:
        """Listen through one recogniser after the other, until the line ends.

        Raises:
            EnginesLost: none is left.
        """
        self._attempts = attempts = self._line_up.attempts(_ROUNDS)
        for recogniser in attempts:
            await asyncio.sleep(attempts.pause_s)
            self._began = self._line_up.now()
            try:
                if await self._hear(recogniser):
                    return
            except Exception as error:  # whatever a vendor's plug-in may raise: the next one's turn
                attempts.fail(error, self._owner.silence.waited_s(self._line_up.now()))
                if attempts.lived_s >= _SOUND_S and not isinstance(error, Silent):
                    attempts.renew(has_failed=True)
            else:
                attempts.succeed()
                attempts.renew()

    async def _hear(self, recogniser: Recogniser) -> bool:
        """Pass on what a recogniser hears, and return whether the line has ended.

        False where one that is preferred may be asked again.

        Raises:
            APIError: it failed, or is silent.
        """
        once = APIConnectOptions(max_retry=0, timeout=_CONNECT_S)
        async with recogniser.stream(language=self._language, conn_options=once) as stream:
            self._give_tape(recogniser, stream)
            self._inner = stream
            hearing = asyncio.ensure_future(anext(stream, None))
            try:
                while True:
                    await asyncio.wait({hearing}, timeout=_LOOK_S)
                    if not hearing.done():
                        if self._is_bettered(recogniser, stream):
                            return False
                        continue
                    event = hearing.result()
                    if event is None and not self._is_over:
                        raise APIConnectionError("the recogniser hung up")
                    if event is None:
                        return True
                    self._take(event)
                    hearing = asyncio.ensure_future(anext(stream, None))
            finally:
                self._inner = None
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)

    def _give_tape(self, recogniser: Recogniser, stream: stt.RecognizeStream) -> None:
        tape, silence = self._owner.tape, self._owner.silence
        since_s = time.time() - self.start_time - tape.length_s
        stream.start_time_offset = max(0.0, self.start_time_offset + since_s)
        for frame in tape.frames:
            stream.push_frame(frame)
        if self._is_over:
            stream.end_input()
        elif tape.is_owed and not silence.is_speaking and recogniser.capabilities.manual_flush:
            # The session asked for the words of this turn before.
            stream.flush()

    def _take(self, event: stt.SpeechEvent) -> None:
        owner = self._owner
        is_final = event.type is stt.SpeechEventType.FINAL_TRANSCRIPT
        if event.type in _WORDS and event.alternatives and event.alternatives[0].text.strip():
            owner.silence.answered(self._line_up.now(), is_final=is_final)
            self._line_up.worked(self._line_up.current)
            self._unheard_by = None
            self._dismissed = 0
            if is_final:
                self._attempts.renew()
                owner.tape.settle(is_speaking=owner.silence.is_speaking)
        elif is_final:
            # It has heard, and takes what it heard for no words.
            self._dismiss(self._line_up.now())
        self._event_ch.send_nowait(event)

    def _is_bettered(self, recogniser: Recogniser, stream: stt.RecognizeStream) -> bool:
        """Return whether another is to listen, at a moment when nothing can be lost.

        Raises:
            Silent: this one has given no words for too long.
        """
        silence, now = self._owner.silence, self._line_up.now()
        due = silence.due(
            has_interims=recogniser.capabilities.interim_results,
            final_s=self._owner.final_s(recogniser),
        )
        if due is None or now < max(due, self._began + silence.first_words_s):
            return silence.is_quiet(now) and self._line_up.better is not None
        if isinstance(stream, Acknowledged) and stream.is_mute:
            # That is no judgement on the voice.
            patience_s = self._attempts.patience_s(silence.first_words_s)
            if self._attempts.is_last:
                patience_s = max(patience_s, _SIGN_OF_LIFE_S)
            if now < self._began + patience_s:
                return False
            raise Silent("no answer at all")
        if self._unheard_by is None and now >= self._agreed_until:
            self._unheard_by = self._line_up.current
            raise Silent("no final words" if silence.is_half else "no words")
        self._find_nothing(now)
        return False

    def _dismiss(self, now: float) -> None:
        """A recogniser finds no words in what was said.

        Raises:
            Silent: so it was with what was said before.
        """
        self._dismissed += self._owner.silence.voiced_s(now) >= _CLEAR_S
        if self._dismissed >= _UTTERANCES and self._unheard_by is None:
            self._dismissed = 0
            if now >= self._agreed_until:
                self._unheard_by = self._line_up.current
                raise Silent("no words")
        self._find_nothing(now)

    def _find_nothing(self, now: float) -> None:
        """There are no words: also where two have heard the same, and neither found any."""
        if self._unheard_by is not None:
            self._line_up.worked(self._unheard_by)
            self._unheard_by = None
            self._agreed_until = now + _DOUBT_S
        self._attempts.renew()
        self._owner.silence.answered(now)
        self._owner.tape.settle(is_speaking=self._owner.silence.is_speaking)

    async def _metrics_monitor_task(self, event_aiter: AsyncIterable[stt.SpeechEvent]) -> None:
        # Each recogniser's own stream has counted.
        async for _ in event_aiter:
            pass
