"""The bot as LiveKit's `Agent`.

What it says is followed to the phone, what is said over it is judged.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from time import perf_counter
from typing import Any

from livekit import rtc
from livekit.agents import Agent, FlushSentinel, ModelSettings, StopResponse, llm, stt
from livekit.agents.types import USERDATA_TTS_STARTED_TIME
from livekit.agents.voice.io import TimedString

from agent.etiquette import Etiquette
from agent.heard import BotLine
from agent.kept_lines import KeptLines
from agent.latency import TurnClock
from agent.pronounce import Pronunciations
from agent.realtime import RealtimeTalk, voiced
from agent.room_audio import RoomAudioOutput
from agent.speaking import speech_id
from agent.speech.rules import RulesLLM

_TRANSCRIPTS = (
    stt.SpeechEventType.INTERIM_TRANSCRIPT,
    stt.SpeechEventType.PREFLIGHT_TRANSCRIPT,
    stt.SpeechEventType.FINAL_TRANSCRIPT,
)


class Bot(Agent):
    """One bot on one call.

    The session pauses playback as soon as a voice is heard. What the STT makes of that voice
    decides: words that interrupt cut the line off and are passed on; anything less never reaches
    the session, which resumes playback where it stood.
    """

    def __init__(
        self,
        *,
        instructions: str,
        tools: list[llm.Tool | llm.Toolset],
        chat_ctx: llm.ChatContext,
        output: RoomAudioOutput,
        turns: TurnClock,
        etiquette: Etiquette,
        on_final: Callable[[str], None],
        on_heard: Callable[[str], None] = lambda _: None,
        is_leaving: Callable[[], bool] = lambda: False,
        takes: Callable[[stt.SpeechEvent], bool] = lambda _: False,
        realtime: RealtimeTalk | None = None,
        pronunciations: Pronunciations | None = None,
        lines: KeptLines | None = None,
    ) -> None:
        super().__init__(instructions=instructions, tools=tools, chat_ctx=chat_ctx)
        self._output = output
        self._turns = turns
        self._etiquette = etiquette
        self._ordered = ""
        self._on_final = on_final
        self._on_heard = on_heard
        self._is_leaving = is_leaving
        self._takes = takes
        self._realtime = realtime
        self._pronunciations = pronunciations or Pronunciations()
        self._lines = lines

    async def on_user_turn_completed(
        self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
    ) -> None:
        """Answer, unless the caller is somebody else's by now, or has said goodbye."""
        if self._is_leaving() or not self._etiquette.take_up(new_message):
            if self._realtime is not None:
                self._realtime.said_over_bot()
            raise StopResponse
        order = self._etiquette.order
        if order and order != self._ordered:
            # An answer that was begun early knows nothing of it: so it is thrown away.
            turn_ctx.add_message(role="system", content=order)
        if self._realtime is not None:
            self._realtime.taken_up(new_message, order)

    async def stt_node(
        self, audio: AsyncIterable[rtc.AudioFrame], model_settings: ModelSettings
    ) -> AsyncIterator[stt.SpeechEvent | str]:
        """Transcribe, and hold back what is no turn of the caller's."""
        async for event in self.hear(audio, model_settings):
            if not isinstance(event, stt.SpeechEvent):
                yield event
                continue
            is_final = event.type == stt.SpeechEventType.FINAL_TRANSCRIPT
            if self._takes(event):
                if is_final:
                    yield silent(event)
                continue
            if event.type == stt.SpeechEventType.START_OF_SPEECH:
                self._etiquette.voice_began()
            elif event.type == stt.SpeechEventType.END_OF_SPEECH:
                self._etiquette.voice_ended()
            elif event.type in _TRANSCRIPTS and event.alternatives:
                if is_final or event.alternatives[0].text.strip():
                    # Whatever becomes of the words, and even if there are none: it has listened.
                    self._on_heard(event.alternatives[0].text)
                if is_final:
                    event = worded(event, self._etiquette.settled(event.alternatives[0].text))
                spoken = event.alternatives[0]
                if self._etiquette.holds(spoken.text, spoken.language, is_final=is_final):
                    if is_final:
                        yield silent(event)
                    continue
                if is_final:
                    self._on_final(spoken.text)
            yield event

    async def remember(self, text: str) -> None:
        """Know what the caller said though nobody answered it.

        A brain of rules would take it for an answer to what it asked after it.
        """
        if isinstance(self.session.llm, RulesLLM):
            return
        chat_ctx = self.chat_ctx.copy()
        chat_ctx.add_message(role="user", content=text)
        await self.update_chat_ctx(chat_ctx)

    def hear(
        self, audio: AsyncIterable[rtc.AudioFrame], model_settings: ModelSettings
    ) -> AsyncIterator[stt.SpeechEvent | str]:
        """Return everything the STT makes of the caller's voice."""
        events: Any = Agent.default.stt_node(self, audio, model_settings)
        return events  # type: ignore[no-any-return]

    async def llm_node(
        self,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        model_settings: ModelSettings,
    ) -> AsyncIterator[llm.ChatChunk | str | FlushSentinel]:
        """Generate an answer, noting when it begins."""
        speech = speech_id()
        self._turns.requested(speech)
        self._ordered = self._etiquette.order
        chat_ctx = with_order(chat_ctx, self._ordered)
        chunks = Agent.default.llm_node(self, chat_ctx, tools, model_settings)
        async with aclosing(chunks):
            async for chunk in chunks:
                delta = chunk.delta if isinstance(chunk, llm.ChatChunk) else None
                if delta is not None and delta.tool_calls:
                    self._turns.tool_asked(speech)
                if isinstance(chunk, str) or (delta is not None and delta.content):
                    self._turns.token(speech)
                yield chunk

    async def tts_node(
        self, text: AsyncIterable[str], model_settings: ModelSettings
    ) -> AsyncIterator[rtc.AudioFrame]:
        """Speak, noting when the voice was given words, and when it began.

        Figures are put into words on their way to the voice, and come back as they were written.
        """
        speech = speech_id()
        line = self._pronunciations.line()
        if self._lines is not None and self._lines.has_said(speech):
            text, kept = await self._lines.of(text)
            for frame in kept:
                self._turns.voiced(speech, None)
                yield frame
            if kept:
                return
        frames = Agent.default.tts_node(self, line.spoken(text), model_settings)
        async with aclosing(frames):
            async for frame in frames:
                line.restore(frame)
                given_at = frame.userdata.get(USERDATA_TTS_STARTED_TIME)
                given_s_ago = perf_counter() - given_at if isinstance(given_at, float) else None
                self._turns.voiced(speech, given_s_ago)
                yield frame

    def realtime_audio_output_node(
        self, audio: AsyncIterable[rtc.AudioFrame], model_settings: ModelSettings
    ) -> AsyncIterable[rtc.AudioFrame]:
        """Let a model speak that does so by itself."""
        return voiced(audio, self._turns, speech_id())

    def transcription_node(
        self, text: AsyncIterable[str | TimedString], model_settings: ModelSettings
    ) -> AsyncIterable[str | TimedString]:
        """Pass the line's text through, noting when each word is said."""
        line = BotLine(speech_id=speech_id())
        self._etiquette.begin_line(line)
        self._output.expect(line)
        return _noted(text, line)


def with_order(chat_ctx: llm.ChatContext, order: str) -> llm.ChatContext:
    """Return the conversation with an order for the next answer alone.

    It stands before the caller's last words: what was said before them stays as it was, and so
    does what a vendor has cached of it.
    """
    said = [(at, each) for at, each in enumerate(chat_ctx.items) if each.type == "message"]
    if not order or any(each.text_content == order for _, each in said):
        return chat_ctx
    spoken = [at for at, each in said if each.role == "user"]
    ordered = chat_ctx.copy()
    message = llm.ChatMessage(role="system", content=[order])
    ordered.items.insert(spoken[-1] if spoken else len(ordered.items), message)
    return ordered


def silent(event: stt.SpeechEvent) -> stt.SpeechEvent:
    """Return a final that says nothing, for a session that may be waiting for one."""
    return worded(event, "")


def worded(event: stt.SpeechEvent, text: str) -> stt.SpeechEvent:
    """Return a result of other words."""
    return replace(event, alternatives=[replace(each, text=text) for each in event.alternatives])


async def _noted(
    text: AsyncIterable[str | TimedString], line: BotLine
) -> AsyncIterator[str | TimedString]:
    async for piece in text:
        end_s = piece.end_time if isinstance(piece, TimedString) else None
        line.add(str(piece), end_s if isinstance(end_s, float) else None)
        yield piece
