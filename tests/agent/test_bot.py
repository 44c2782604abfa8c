"""What a bot passes on of what it hears, and what it notes of what it says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from livekit import rtc
from livekit.agents import ModelSettings, llm, stt
from livekit.agents.types import TimedString

from agent.bot import Bot, with_order
from agent.ear import Ear
from agent.heard import BotLine
from agent.latency import TurnClock
from agent.leg_clock import LegClock
from agent.room_audio import RoomAudioOutput
from contracts import media
from tests.fakes.engines import event

RATE_HZ = 8000
Kind = stt.SpeechEventType


class Gate:
    """A bot whose STT hears what the test says, and its own etiquette."""

    def __init__(self) -> None:
        self.sent: list[media.DownPacket] = []
        self.output = RoomAudioOutput(self.sent.append, RATE_HZ, lambda: 0.0)
        self.held: list[str] = []
        self.cut_by = ""
        self.told: list[str] = []
        self.finals: list[str] = []
        self.heard: list[stt.SpeechEvent | str] = []
        gate: Any = self

        class Deaf(Bot):
            def hear(
                self, audio: Any, model_settings: ModelSettings
            ) -> AsyncIterator[stt.SpeechEvent | str]:
                script: AsyncIterator[stt.SpeechEvent | str] = gate.script()
                return script

        self.bot = Deaf(
            instructions="",
            tools=[],
            chat_ctx=llm.ChatContext.empty(),
            output=self.output,
            turns=TurnClock(lambda: 0.0, LegClock(), Ear(RATE_HZ), lambda _: None),
            etiquette=gate,
            on_final=self.finals.append,
        )

    def voice_began(self) -> None:
        self.told.append("began")

    def voice_ended(self) -> None:
        self.told.append("ended")

    def begin_line(self, line: BotLine) -> None:
        self.told.append("line")

    def settled(self, text: str) -> str:
        return text or self.cut_by

    def holds(self, text: str, language: str, *, is_final: bool) -> bool:
        self.told.append(f"{text} ({language})")
        return text in self.held

    async def script(self) -> AsyncIterator[stt.SpeechEvent | str]:
        for item in self.heard:
            yield item

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


async def test_what_is_no_turn_is_held_back_and_leaves_a_final_that_says_nothing() -> None:
    gate = Gate()
    gate.held = ["uh", "uh huh"]
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
    assert gate.told == ["began", "uh (en)", "uh huh (en)", "uh huh (en)", "ended"]
    assert gate.finals == []


async def test_final_stands_for_words_that_were_taken_back() -> None:
    gate = Gate()
    gate.cut_by = "stop it"
    assert await gate.passed(event(Kind.FINAL_TRANSCRIPT, "")) == [
        (Kind.FINAL_TRANSCRIPT, "stop it")
    ]
    assert gate.finals == ["stop it"]


async def test_turns_pass_as_they_are() -> None:
    gate = Gate()
    words = event(Kind.FINAL_TRANSCRIPT, "no I meant tomorrow")
    passed = await gate.passed(event(Kind.INTERIM_TRANSCRIPT, "no I"), words, "plain")
    assert passed == [
        (Kind.INTERIM_TRANSCRIPT, "no I"),
        (Kind.FINAL_TRANSCRIPT, "no I meant tomorrow"),
        ("text", "plain"),
    ]
    assert gate.finals == ["no I meant tomorrow"]


async def test_transcripts_without_alternatives_pass() -> None:
    passed = await Gate().passed(stt.SpeechEvent(Kind.FINAL_TRANSCRIPT))
    assert passed == [(Kind.FINAL_TRANSCRIPT, None)]


def test_order_stands_before_the_callers_last_words() -> None:
    said = llm.ChatContext.empty()
    said.add_message(role="user", content="Hello")
    said.add_message(role="assistant", content="Yes?")
    said.add_message(role="user", content="Kya haal hai")
    ordered = with_order(said, "Answer in Hindi.")
    texts = [item.text_content for item in ordered.items if isinstance(item, llm.ChatMessage)]
    assert texts == ["Hello", "Yes?", "Answer in Hindi.", "Kya haal hai"]
    assert len(said.items) == 3
    assert with_order(said, "") is said
    assert with_order(ordered, "Answer in Hindi.") is ordered
    alone = with_order(llm.ChatContext.empty(), "Be short.")
    assert [item.type for item in alone.items] == ["message"]


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
