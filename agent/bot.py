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

from agent.heard import BotLine
from agent.latency import TurnClock
from agent.manners import CLOSING_PHRASES, INTENDED_PHRASES, interrupts
from agent.room_audio import RoomAudioOutput
from agent.speaking import speech_id

_TRANSCRIPTS = (
    stt.SpeechEventType.INTERIM_TRANSCRIPT,
    stt.SpeechEventType.PREFLIGHT_TRANSCRIPT,
    stt.SpeechEventType.FINAL_TRANSCRIPT,
)

OnBackchannel = Callable[[str], None]
"""Called with words that were said over the bot and did not cut it off."""


class Bot(Agent):
    """One bot on one call.

    The session pauses playback as soon as a voice is heard. What the STT makes of that voice
    decides: words that interrupt are passed on, and the session then drops the rest of the line;
    anything less never reaches the session, which resumes playback where it stood.
    """

    def __init__(
        self,
        *,
        instructions: str,
        tools: list[llm.Tool | llm.Toolset],
        chat_ctx: llm.ChatContext,
        output: RoomAudioOutput,
        turns: TurnClock,
        min_words_interruption: int,
        on_backchannel: OnBackchannel,
        on_final: Callable[[str], None],
        is_leaving: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(instructions=instructions, tools=tools, chat_ctx=chat_ctx)
        self._output = output
        self._turns = turns
        self._min_words = min_words_interruption
        self._on_backchannel = on_backchannel
        self._on_final = on_final
        self._is_leaving = is_leaving
        self.is_closing = False
        """Whether the bot is saying goodbye: then only more than courtesies cut it off."""

    async def on_user_turn_completed(
        self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
    ) -> None:
        """Answer, unless the caller is somebody else's by now."""
        if self._is_leaving():
            raise StopResponse

    async def stt_node(
        self, audio: AsyncIterable[rtc.AudioFrame], model_settings: ModelSettings
    ) -> AsyncIterator[stt.SpeechEvent | str]:
        """Transcribe, and hold back what was said over the bot without meaning to stop it."""
        async for event in self.hear(audio, model_settings):
            if not isinstance(event, stt.SpeechEvent) or not self._talked_over(event):
                if isinstance(event, stt.SpeechEvent) and _is_final(event):
                    self._on_final(event.alternatives[0].text)
                yield event
            elif event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                self._on_backchannel(event.alternatives[0].text)
                # The session may be waiting for this final: it gets one that says nothing.
                yield stt.SpeechEvent(event.type, alternatives=[_silent(event.alternatives[0])])

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
        """Speak, noting when the voice was given words, and when it began."""
        speech = speech_id()
        frames = Agent.default.tts_node(self, text, model_settings)
        async with aclosing(frames):
            async for frame in frames:
                given_at = frame.userdata.get(USERDATA_TTS_STARTED_TIME)
                given_s_ago = perf_counter() - given_at if isinstance(given_at, float) else None
                self._turns.voiced(speech, given_s_ago)
                yield frame

    def transcription_node(
        self, text: AsyncIterable[str | TimedString], model_settings: ModelSettings
    ) -> AsyncIterable[str | TimedString]:
        """Pass the line's text through, noting when each word is said."""
        line = BotLine(speech_id=speech_id())
        self._output.expect(line)
        return _noted(text, line)

    def _talked_over(self, event: stt.SpeechEvent) -> bool:
        line = self._output.speaking_line
        remaining_s = self._output.remaining_s
        if line is None or not self._output.paused or remaining_s <= 0:
            return False
        if event.type not in _TRANSCRIPTS or not event.alternatives:
            return False
        if not event.alternatives[0].text.strip():
            return False
        return not interrupts(
            event.alternatives[0].text,
            min_words=max(self._min_words, 3) if self.is_closing else self._min_words,
            line=line.text,
            remaining_s=remaining_s,
            intended_phrases=CLOSING_PHRASES if self.is_closing else INTENDED_PHRASES,
        )


def _is_final(event: stt.SpeechEvent) -> bool:
    return event.type == stt.SpeechEventType.FINAL_TRANSCRIPT and bool(event.alternatives)


def _silent(spoken: stt.SpeechData) -> stt.SpeechData:
    return replace(spoken, text="")


async def _noted(
    text: AsyncIterable[str | TimedString], line: BotLine
) -> AsyncIterator[str | TimedString]:
    async for piece in text:
        end_s = piece.end_time if isinstance(piece, TimedString) else None
        line.add(str(piece), end_s if isinstance(end_s, float) else None)
        yield piece
