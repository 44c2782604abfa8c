"""A visitor of a web page in a whole conversation: they read, type, come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit.agents import APIStatusError
from structlog.testing import capture_logs

from agent.account import Account
from agent.apology import Apology
from agent.caller import Caller
from agent.captions import FINAL
from agent.conversation import Conversation
from agent.ending import Ending
from agent.engines import Engines
from agent.leg_watch import NoLeg
from agent.link import Link
from agent.manners.silence import WRITTEN_PATIENCE
from agent.room_audio import MediaLink, RoomAudioOutput
from agent.text_link import TextLink
from agent.visitor import Visitor
from contracts.bot import BotConfig
from contracts.ids import ENDED_ATTRIBUTE, Channel
from contracts.outcome import Reason
from contracts.plan import AgentPlan
from contracts.report import Fact, Noticed, TranscriptLine, TurnMeasured
from contracts.rules import RulesConfig
from tests.fakes.engines import ScriptedEngines
from tests.fakes.virtual_time import virtual_time
from tests.fakes.written_room import WrittenRoom

CALLER = "visitor"
GREETING = "Hello, how can I help you?"
SORRY = "I'm sorry, I have technical trouble."
STORY = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen."


class FakeLine:
    """Hangs up, when asked."""

    def __init__(self) -> None:
        self.hang_ups = 0

    async def hang_up(self) -> None:
        self.hang_ups += 1


class Call:
    """A conversation with a visitor. Sound goes by the fake bridge, which plays it by the clock."""

    def __init__(self, scripted: ScriptedEngines, *, text_only: bool, **config: Any) -> None:
        self.scripted = scripted
        self.llm = scripted.llm
        self.room = WrittenRoom(CALLER)
        self.facts: list[Fact] = []
        self.line = FakeLine()
        self.answered = asyncio.Event()
        self.running: asyncio.Task[Ending] | None = None
        room, line = cast(Any, self.room), cast(Any, self.line)
        clock = asyncio.get_running_loop().time
        self.link: Link = (
            TextLink(8000, clock)
            if text_only
            else MediaLink(
                room, caller_identity=CALLER, rate_hz=8000, clock=clock, on_audio=lambda *_: None
            )
        )
        settings = {"opening_message": GREETING, "turn": {"min_delay_s": 0.1}, **config}
        self.visitor = Visitor(room, Caller(room, CALLER), text_only=text_only)
        self.conversation = Conversation(
            plan=AgentPlan(
                call_id="call",
                session_id="call",
                incarnation=1,
                channel=Channel.WEB,
                call_direction="incoming",
                caller_identity=CALLER,
                media="tracks",
                text_only=text_only,
                config=BotConfig.model_validate(settings),
            ),
            room=room,
            link=self.link,
            engines=_written(scripted) if text_only else scripted.engines(),
            account=Account(self.facts.append),
            line=line,
            leg=NoLeg(),
            visitor=self.visitor,
            apology=Apology(SORRY, is_written=True) if text_only else None,
        )

    def lines(self) -> list[tuple[str, str]]:
        return [(f.speaker, f.text) for f in self.facts if isinstance(f, TranscriptLine)]

    def said(self, speaker: str) -> list[str]:
        return [text for who, text in self.lines() if who == speaker]

    def typed(self) -> list[str]:
        return [f.text for f in self.facts if isinstance(f, TranscriptLine) and f.typed]

    def read(self, sender: str) -> list[str]:
        """Return the finished lines of one side."""
        return [
            each.text
            for each in self.room.written
            if each.sender == sender and each.attributes.get(FINAL) == "true"
        ]

    async def until_said(self, speaker: str, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.said(speaker)) < count:  # noqa: ASYNC110 - virtual time costs nothing
                await asyncio.sleep(0.01)

    async def ended(self, timeout_s: float = 120.0) -> Ending:
        assert self.running is not None
        async with asyncio.timeout(timeout_s):
            return await self.running


def _written(scripted: ScriptedEngines) -> Engines:
    return Engines(
        stt=None, llm=scripted.llm, tts=None, vad=None, turn_detection="manual", rules=RulesConfig()
    )


@asynccontextmanager
async def visiting(
    *replies: str | tuple[str, str, str],
    text_only: bool = False,
    answer: bool = True,
    scripted: ScriptedEngines | None = None,
    **config: Any,
) -> AsyncIterator[Call]:
    call = Call(scripted or ScriptedEngines(*replies), text_only=text_only, **config)
    sending = asyncio.create_task(call.link.run())
    await call.conversation.start()
    call.running = asyncio.create_task(call.conversation.run(call.answered))
    if answer:
        call.room.answer()
        call.answered.set()
    try:
        yield call
    finally:
        call.conversation.end(Reason.ROOM_LOST, by_bot=False)
        await asyncio.wait({call.running})
        sending.cancel()
        await call.room.stop()
        call.link.close()


@virtual_time
async def test_both_sides_are_read_as_they_are_heard() -> None:
    async with visiting("We are open daily.") as call:
        await call.until_said("bot", 1)
        assert call.read("bot") == [GREETING]
        greeting = call.room.written[0]
        assert len(greeting.writes) > 3
        call.scripted.stt.say("When are you open?")
        await call.until_said("bot", 2)
        await asyncio.sleep(0.1)
        assert call.read("bot") == [GREETING, "We are open daily."]
        assert call.read(CALLER) == ["When are you open?"]


@virtual_time
async def test_typed_line_cuts_the_bot_short_and_is_answered() -> None:
    async with visiting(STORY, "At nine.") as call:
        await call.until_said("bot", 1)
        call.room.type("Tell me a story")
        await asyncio.sleep(2)
        call.room.type("When do you open?")
        await call.until_said("bot", 3)
        await asyncio.sleep(0.1)
        heard = call.said("bot")[1]
        assert STORY.startswith(heard)
        assert 0 < len(heard) < len(STORY)
        assert call.read("bot") == [GREETING, heard, "At nine."]
        assert call.typed() == ["Tell me a story", "When do you open?"] == call.said("customer")
        # It was not said, so it is no caption, and nobody can say when it ended.
        assert call.read(CALLER) == []
        assert [fact for fact in call.facts if isinstance(fact, TurnMeasured)] == []


@virtual_time
async def test_lines_typed_in_one_breath_all_reach_the_brain() -> None:
    async with visiting("One.", "Two.", "Three.", text_only=True) as call:
        await call.until_said("bot", 1)
        for text in ("First", "Second", "Third"):
            call.room.type(text)
        await call.until_said("customer", 3)
        await asyncio.sleep(1)
        assert call.typed() == ["First", "Second", "Third"]
        assert call.llm.asked[-1] == "Third"


@virtual_time
async def test_visitor_who_reads_is_apologised_to_in_writing() -> None:
    async with visiting(text_only=True) as call:
        await call.until_said("bot", 1)
        call.llm.error = APIStatusError("no", status_code=401)
        call.room.type("When do you open?")
        ending = await call.ended(20)
        assert ending.reason is Reason.PIPELINE_FAILED
        assert call.read("bot") == [GREETING, SORRY]


@virtual_time
async def test_what_is_typed_before_the_answer_is_answered_after_it() -> None:
    async with visiting("At nine.", answer=False) as call:
        call.room.type("When do you open?")
        await asyncio.sleep(1)
        assert call.facts == []
        call.room.answer()
        call.answered.set()
        await call.until_said("customer", 1)
        await asyncio.sleep(5)
        assert call.said("bot")[-1] == "At nine."


@virtual_time
async def test_keys_cannot_be_typed() -> None:
    async with visiting("Sorry?") as call:
        await call.until_said("bot", 1)
        call.room.type("[pressed 1 2 #]")
        await call.until_said("bot", 2)
        assert call.llm.asked == ["pressed 1 2 #"]


@virtual_time
async def test_visitor_who_types_is_not_taken_for_absent() -> None:
    async with visiting(no_response_seconds=5, re_engagement=None) as call:
        await call.until_said("bot", 1)
        for _ in range(10):
            call.room.tell_typing()
            await asyncio.sleep(3)
        assert call.running is not None
        assert not call.running.done()
        # Whoever has typed has spoken: what follows is dead air.
        call.room.type("Hello")
        await call.until_said("bot", 2)
        ending = await call.ended()
        assert ending.reason is Reason.DEAD_AIR


@virtual_time
async def test_message_sent_amid_a_sentence_is_answered_after_it() -> None:
    async with visiting("Sure.", "We are open daily.") as call:
        await call.until_said("bot", 1)
        call.scripted.stt.begin()
        call.scripted.stt.interim("Please wait")
        await asyncio.sleep(0.2)
        call.room.type("When are you open?")
        await asyncio.sleep(0.2)
        call.scripted.stt.final("Please wait a moment")
        await call.until_said("customer", 2)
        await call.until_said("bot", 2)
        assert call.said("customer") == ["Please wait a moment", "When are you open?"]
        assert call.said("bot")[-1] == "We are open daily."


@virtual_time
async def test_message_does_not_wait_for_a_noise_that_goes_on() -> None:
    async with visiting("We are open daily.") as call:
        await call.until_said("bot", 1)
        call.scripted.stt.begin()
        call.scripted.stt.interim("and")
        await asyncio.sleep(0.2)
        call.room.type("When are you open?")
        await call.until_said("customer", 1)
        assert call.typed() == ["When are you open?"]


@virtual_time
async def test_line_waits_while_the_visitor_is_cut_off_and_so_does_silence() -> None:
    async with visiting(STORY, no_response_seconds=5, dead_air_seconds=5) as call:
        await call.until_said("bot", 1)
        call.scripted.stt.say("Tell me a story")
        await asyncio.sleep(2)
        call.conversation.leave_alone(True)
        await asyncio.sleep(0.5)
        before = len(call.room.written[-1].text)
        await asyncio.sleep(12)
        assert len(call.room.written[-1].text) == before < len(STORY)
        assert call.running is not None
        assert not call.running.done()
        call.conversation.leave_alone(False)
        await call.until_said("bot", 2)
        assert call.said("bot")[1] == STORY


@virtual_time
async def test_call_by_text_has_the_same_brain_and_the_same_transcript() -> None:
    replies = ("We are open daily.", ("Goodbye then.", "end_call", ""))
    async with visiting(*replies, text_only=True) as call:
        await call.until_said("bot", 1)
        call.room.type("When are you open?")
        await call.until_said("bot", 2)
        call.room.type("That is all")
        ending = await call.ended()
        assert ending.reason is Reason.BOT_ENDED
        assert call.line.hang_ups == 1
        assert call.lines() == [
            ("bot", GREETING),
            ("customer", "When are you open?"),
            ("bot", "We are open daily."),
            ("customer", "That is all"),
            ("bot", "Goodbye then."),
        ]
        assert call.read("bot") == call.said("bot")
        assert call.room.packets == []


@virtual_time
async def test_call_by_text_leaves_time_to_read_and_write() -> None:
    async with visiting(
        text_only=True,
        no_response_seconds=5,
        re_engagement={"messages": ["Are you there?"], "after_seconds": 5},
    ) as call:
        await call.until_said("bot", 1)
        began = asyncio.get_running_loop().time()
        ending = await call.ended()
        assert ending.reason is Reason.NO_RESPONSE
        waited_s = asyncio.get_running_loop().time() - began
        assert waited_s == pytest.approx(2 * 5 * WRITTEN_PATIENCE, abs=1)
        assert call.read("bot") == [GREETING, "Are you there?"]


@virtual_time
async def test_messages_that_are_refused_are_noticed() -> None:
    async with visiting() as call:
        await call.until_said("bot", 1)
        call.room.type("x" * 3000)
        await asyncio.sleep(0.1)
        (notice,) = [fact for fact in call.facts if isinstance(fact, Noticed)]
        assert (notice.name, notice.detail) == ("message_refused", {"reason": "too_long"})


@virtual_time
async def test_message_to_a_session_that_has_died_is_no_error() -> None:
    silence: Any = SimpleNamespace(heard_caller=lambda: None, restart=lambda: None)
    session: Any = SimpleNamespace(
        current_speech=None,
        generate_reply=_closing,
        on=lambda *_: None,
        output=None,
        user_state="listening",
    )
    room = WrittenRoom(CALLER)
    visitor = a_visitor(room)
    output = RoomAudioOutput(lambda _: None, 8000, asyncio.get_running_loop().time)
    visitor.attach(session, output, silence=silence, account=Account(lambda _: None))
    visitor.begin()
    room.type("Hello?")
    with capture_logs() as logs:
        await asyncio.sleep(0.1)
    assert [entry["event"] for entry in logs] == ["message not answered: the session is closing"]
    await visitor.see_out(ending())
    await visitor.aclose()


def _closing(**_: Any) -> None:
    raise RuntimeError("AgentSession is closing, cannot use generate_reply()")


def a_visitor(room: Any) -> Visitor:
    return Visitor(room, Caller(room, CALLER), text_only=False)


def ending(*, by_bot: bool = True, reason: Reason = Reason.MAX_DURATION) -> Ending:
    return Ending(reason, datetime.now(UTC), by_bot=by_bot)


@virtual_time
async def test_visitor_is_told_once_why_the_bot_hangs_up() -> None:
    room = WrittenRoom(CALLER)
    room.is_up = True
    visitor = a_visitor(room)
    await visitor.see_out(ending())
    await visitor.see_out(ending(reason=Reason.ROOM_LOST))
    assert room.shown == {ENDED_ATTRIBUTE: "timeout"}


@virtual_time
async def test_visitor_who_hung_up_is_told_nothing_nor_is_one_who_is_gone() -> None:
    room = WrittenRoom(CALLER)
    await a_visitor(room).see_out(ending())
    room.is_up = True
    await a_visitor(room).see_out(ending(by_bot=False))
    assert room.shown == {}
    room.is_stuck = True
    await a_visitor(room).see_out(ending())
    assert room.shown == {}
