"""The gate between what is said over the bot and the session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import ModelSettings, llm, stt
from livekit.agents.types import TimedString

from agent.bot import Bot
from agent.ear import Ear
from agent.heard import BotLine
from agent.latency import TurnClock
from agent.leg_clock import LegClock
from agent.room_audio import RoomAudioOutput
from contracts import media
from tests.fakes.engines import event

RATE_HZ = 8000
Kind = stt.SpeechEventType
STATEMENT = "We are open from nine to five, every day."


class Gate:
    """A bot whose STT hears what the test says."""

    def __init__(self, min_words: int = 3) -> None:
        self.sent: list[media.DownPacket] = []
        self.output = RoomAudioOutput(self.sent.append, RATE_HZ, lambda: 0.0)
        self.backchannels: list[str] = []
        self.heard: list[stt.SpeechEvent | str] = []
        gate = self

        class Deaf(Bot):
            def hear(
                self, audio: Any, model_settings: ModelSettings
            ) -> AsyncIterator[stt.SpeechEvent | str]:
                return gate.script()

        self.bot = Deaf(
            instructions="",
            tools=[],
            chat_ctx=llm.ChatContext.empty(),
            output=self.output,
            turns=TurnClock(lambda: 0.0, LegClock(), Ear(RATE_HZ), lambda _: None),
            min_words_interruption=min_words,
            on_backchannel=self.backchannels.append,
            on_final=lambda _: None,
        )

    async def script(self) -> AsyncIterator[stt.SpeechEvent | str]:
        for item in self.heard:
            yield item

    async def speak(self, text: str = STATEMENT, duration_s: float = 4.0) -> None:
        """The bot is in the middle of a line, paused by a voice."""
        line = BotLine()
        line.add(text)
        self.output.expect(line)
        samples = round(duration_s * RATE_HZ)
        await self.output.capture_frame(rtc.AudioFrame(bytes(2 * samples), RATE_HZ, 1, samples))
        self.output.pause()

    async def passed(self, *heard: stt.SpeechEvent | str) -> list[tuple[Any, str | None]]:
        """Return what the session gets of what was heard."""
        self.heard = list(heard)

        async def nothing() -> AsyncIterator[rtc.AudioFrame]:
            return
            yield

        passed: list[tuple[Any, str | None]] = []
        async for item in self.bot.stt_node(nothing(), ModelSettings()):
            if isinstance(item, str):
                passed.append(("text", item))
            else:
                words = item.alternatives[0].text if item.alternatives else None
                passed.append((item.type, words))
        return passed


async def test_everything_passes_while_the_bot_is_silent() -> None:
    gate = Gate()
    passed = await gate.passed(event(Kind.INTERIM_TRANSCRIPT, "ok"), "plain")
    assert passed == [(Kind.INTERIM_TRANSCRIPT, "ok"), ("text", "plain")]


async def test_backchannel_is_told_and_leaves_a_final_that_says_nothing() -> None:
    gate = Gate()
    await gate.speak()
    passed = await gate.passed(
        stt.SpeechEvent(Kind.START_OF_SPEECH),
        event(Kind.INTERIM_TRANSCRIPT, "uh"),
        event(Kind.PREFLIGHT_TRANSCRIPT, "uh huh"),
        event(Kind.FINAL_TRANSCRIPT, "uh huh"),
        stt.SpeechEvent(Kind.END_OF_SPEECH),
    )
    assert passed == [
        (Kind.START_OF_SPEECH, None),
        (Kind.FINAL_TRANSCRIPT, ""),
        (Kind.END_OF_SPEECH, None),
    ]
    assert gate.backchannels == ["uh huh"]


async def test_words_that_interrupt_pass_as_they_are() -> None:
    gate = Gate()
    await gate.speak()
    words = event(Kind.FINAL_TRANSCRIPT, "no I meant tomorrow")
    assert await gate.passed(words) == [(Kind.FINAL_TRANSCRIPT, "no I meant tomorrow")]
    assert gate.backchannels == []


async def test_short_answer_passes_at_the_end_of_a_question() -> None:
    gate = Gate()
    await gate.speak("Shall I book it?", duration_s=1.0)
    passed = await gate.passed(event(Kind.FINAL_TRANSCRIPT, "yes"))
    assert passed == [(Kind.FINAL_TRANSCRIPT, "yes")]


async def test_words_after_the_last_sample_pass() -> None:
    gate = Gate()
    await gate.speak(duration_s=1.0)
    gate.output.advance(1, RATE_HZ)
    passed = await gate.passed(event(Kind.FINAL_TRANSCRIPT, "okay"))
    assert passed == [(Kind.FINAL_TRANSCRIPT, "okay")]


@pytest.mark.parametrize(
    ("text", "passes"), [("bye bye", False), ("thank you", False), ("one more question", True)]
)
async def test_goodbye_is_cut_by_more_than_courtesies_alone(text: str, passes: bool) -> None:
    gate = Gate(min_words=1)
    await gate.speak("Thank you for calling. Goodbye.")
    gate.bot.is_closing = True
    passed = await gate.passed(event(Kind.FINAL_TRANSCRIPT, text))
    assert passed == [(Kind.FINAL_TRANSCRIPT, text if passes else "")]


async def test_transcripts_without_words_pass() -> None:
    gate = Gate()
    await gate.speak()
    passed = await gate.passed(
        stt.SpeechEvent(Kind.FINAL_TRANSCRIPT), event(Kind.FINAL_TRANSCRIPT, " ")
    )
    assert passed == [(Kind.FINAL_TRANSCRIPT, None), (Kind.FINAL_TRANSCRIPT, " ")]


async def test_text_of_a_line_passes_and_its_times_decide_what_was_heard() -> None:
    gate = Gate()

    async def words() -> AsyncIterator[str | TimedString]:
        yield TimedString("We are ", start_time=0.0, end_time=0.4)
        yield TimedString("open daily", start_time=0.4, end_time=1.0)

    said = gate.bot.transcription_node(words(), ModelSettings())
    assert "".join([str(piece) async for piece in said]) == "We are open daily"
    await gate.output.capture_frame(rtc.AudioFrame(bytes(16000), RATE_HZ, 1, RATE_HZ))
    line = gate.output.speaking_line
    assert line is not None
    assert line.text == "We are open daily"
    assert line.heard(0.5, 1.0) == "We are"
