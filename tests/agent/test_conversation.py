"""A conversation on a real session: scripted engines, a bridge that plays in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from livekit.agents import APIError

from agent.account import Account
from agent.conversation import Conversation, Ending
from agent.room_audio import MediaLink
from contracts.bot import BotConfig
from contracts.command import HangUp, Transfer
from contracts.ids import Channel, caller_identity
from contracts.outcome import Reason
from contracts.plan import AgentPlan
from contracts.report import (
    Fact,
    Noticed,
    ToolCalled,
    TranscriptLine,
    TransferFailed,
    TransferStarted,
)
from tests.fakes.engines import ScriptedEngines
from tests.fakes.phone_room import PhoneRoom
from tests.fakes.virtual_time import virtual_time

CALL_ID = "6f1c7d52-92a4-4c5e-9a39-0d3c1f0a7b11"
GREETING = "Hello, how can I help you?"
DESK = {"id": "desk", "label": "Front desk", "value": "+14155550123", "is_default": True}


def plan(**config: Any) -> AgentPlan:
    settings = {"opening_message": GREETING, "turn": {"min_delay_s": 0.1}, **config}
    return AgentPlan(
        call_id=CALL_ID,
        session_id=CALL_ID,
        incarnation=1,
        channel=Channel.WEBSOCKET,
        call_direction="incoming",
        caller_identity=caller_identity(CALL_ID),
        config=BotConfig.model_validate(settings),
    )


class Call:
    """One conversation under test, and what came of it."""

    def __init__(self, scripted: ScriptedEngines, **config: Any) -> None:
        self.caller = scripted.stt
        self.llm = scripted.llm
        self.tts = scripted.tts
        self.facts: list[Fact] = []
        self.room = PhoneRoom(caller_identity(CALL_ID))
        self.answered = asyncio.Event()
        anything: Any = self.room
        self.link = MediaLink(
            anything,
            caller_identity=caller_identity(CALL_ID),
            rate_hz=8000,
            clock=asyncio.get_running_loop().time,
            on_audio=lambda *_: None,
        )
        self.conversation = Conversation(
            plan=plan(**config),
            room=anything,
            link=self.link,
            engines=scripted.engines(),
            account=Account(self.facts.append),
        )
        self.running: asyncio.Task[Ending] | None = None

    async def ended(self, timeout_s: float = 120.0) -> Ending:
        assert self.running is not None
        async with asyncio.timeout(timeout_s):
            return await self.running

    async def until(self, happened: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Wait, in virtual time, until something is so."""
        async with asyncio.timeout(timeout_s):
            while not happened():  # noqa: ASYNC110 - virtual time costs nothing
                await asyncio.sleep(0.01)

    async def lines(self, count: int) -> None:
        """Wait until so many lines are in the transcript."""
        await self.until(lambda: len(self.transcript()) >= count)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def transcript(self) -> list[tuple[str, str]]:
        return [(f.speaker, f.text) for f in self.facts if isinstance(f, TranscriptLine)]

    def said(self, speaker: str) -> list[str]:
        return [text for who, text in self.transcript() if who == speaker]

    def noticed(self) -> list[str]:
        return [fact.name for fact in self.facts if isinstance(fact, Noticed)]

    def types(self) -> list[str]:
        return [fact.type for fact in self.facts]


@asynccontextmanager
async def calling(
    *replies: str | tuple[str, str, str], answer: bool = True, **config: Any
) -> AsyncIterator[Call]:
    call = Call(ScriptedEngines(*replies), **config)
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
async def test_nothing_is_said_before_the_answer() -> None:
    async with calling(answer=False) as call:
        await asyncio.sleep(20)
        assert call.room.packets == []
        assert call.facts == []
        call.room.answer()
        call.answered.set()
        await call.lines(1)
        assert call.transcript() == [("bot", GREETING)]
        assert call.types()[0] == "conversation_started"


@virtual_time
async def test_caller_is_answered_and_facts_stand_in_order() -> None:
    async with calling("We are open daily.") as call:
        await call.lines(1)
        call.caller.say("When are you open?")
        await call.lines(3)
        assert call.transcript()[1:] == [
            ("customer", "When are you open?"),
            ("bot", "We are open daily."),
        ]
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        ending = await call.ended()
        assert ending.reason is Reason.CALLER_HUNG_UP
        assert call.types()[-1] == "usage_counted"
        assert call.room.commands == []


@virtual_time
async def test_silent_caller_is_asked_and_given_up() -> None:
    async with calling(
        re_engagement={"messages": ["Are you there?"], "after_seconds": 5}, no_response_seconds=7
    ) as call:
        ending = await call.ended()
        assert ending.reason is Reason.NO_RESPONSE
        assert call.said("bot") == [GREETING, "Are you there?"]
        assert call.room.commands == [HangUp()]


@virtual_time
async def test_silence_after_words_says_the_closing_line_and_is_dead_air() -> None:
    async with calling("Sure.", dead_air_seconds=6, closing_message="I hang up now.") as call:
        await call.lines(1)
        call.caller.say("Hello there")
        ending = await call.ended()
        assert ending.reason is Reason.DEAD_AIR
        assert call.said("bot")[-1] == "I hang up now."
        assert call.room.commands == [HangUp()]


@virtual_time
async def test_longest_duration_cuts_in_with_the_closing_line() -> None:
    story = "This is a very long story that goes on and on, " * 20
    async with calling(
        story, max_call_duration_seconds=10, closing_message="Time is up. Goodbye."
    ) as call:
        await call.lines(1)
        call.caller.say("Tell me a story")
        ending = await call.ended()
        assert ending.reason is Reason.MAX_DURATION
        assert call.said("bot")[-1] == "Time is up. Goodbye."
        assert len(call.said("bot")[1]) < len(story) / 2
        assert call.room.commands == [HangUp()]


@virtual_time
async def test_goodbye_is_heard_before_the_bot_hangs_up() -> None:
    goodbye = "Thank you for calling. Goodbye."
    async with calling((goodbye, "end_call", "")) as call:
        await call.lines(1)
        call.caller.say("That is all")
        ending = await call.ended()
        assert ending.reason is Reason.BOT_ENDED
        assert call.said("bot") == [GREETING, goodbye]
        assert not call.room.is_playing
        assert call.room.commands == [HangUp()]


@virtual_time
async def test_goodbye_that_is_cut_does_not_end_the_call() -> None:
    goodbye = "Thank you very much for calling us today and goodbye until the next time."
    async with calling((goodbye, "end_call", ""), "At nine.", "At ten.") as call:
        await call.lines(1)
        call.caller.say("That is all")
        await call.lines(2)
        await asyncio.sleep(1.5)
        call.caller.say("Wait, when do you open tomorrow?")
        await call.lines(5)
        assert not call.running.done()  # type: ignore[union-attr]
        assert "Wait, when do you open tomorrow?" in call.said("customer")
        assert call.said("bot")[-1] == "At nine."
        assert "end_call" in [fact.name for fact in call.facts if isinstance(fact, ToolCalled)]
        assert call.room.commands == []


@virtual_time
async def test_machine_gets_the_message_and_is_left() -> None:
    async with calling(("", "detected_voicemail", ""), voicemail_message="Call us back.") as call:
        await call.lines(1)
        call.caller.say("Leave a message after the tone")
        ending = await call.ended()
        assert ending.reason is Reason.VOICEMAIL
        assert call.said("bot")[-1] == "Call us back."
        assert call.room.commands == [HangUp()]


@virtual_time
async def test_transfer_is_announced_then_sent_and_ends_the_call() -> None:
    async with calling(
        ("", "transfer_call", '{"reason": "asked"}'),
        pre_transfer_message="One moment please.",
        transfer_targets=[DESK],
    ) as call:
        await call.lines(1)
        began = call.now()
        call.caller.say("A human please")
        await call.until(lambda: bool(call.room.commands))
        assert call.now() - began < 2
        assert call.said("bot")[-1] == "One moment please."
        (started,) = [fact for fact in call.facts if isinstance(fact, TransferStarted)]
        assert (started.destination, started.target) == ("+14155550123", "Front desk")
        await call.room.leave()
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        assert (await call.ended()).reason is Reason.TRANSFERRED
        assert call.room.commands == [
            Transfer(to="+14155550123", target="Front desk", reason="asked")
        ]


@virtual_time
async def test_what_the_model_says_beside_a_transfer_is_heard_first() -> None:
    async with calling(
        ("Of course, I understand.", "transfer_call", "{}"),
        pre_transfer_message="One moment please.",
        transfer_targets=[DESK],
    ) as call:
        await call.lines(1)
        call.caller.say("A human please")
        await call.until(lambda: bool(call.room.commands))
        assert call.said("bot")[1:] == ["Of course, I understand.", "One moment please."]


@virtual_time
async def test_caller_who_speaks_over_the_announcement_is_still_handed_over() -> None:
    async with calling(
        ("", "transfer_call", "{}"),
        pre_transfer_message="One moment please, I am putting you through.",
        transfer_targets=[DESK],
    ) as call:
        await call.lines(1)
        call.caller.say("A human please")
        await asyncio.sleep(1)
        call.caller.say("Thank you very much indeed")
        await call.until(lambda: bool(call.room.commands))
        assert call.said("bot")[-1] == "One moment please, I am putting you through."


@virtual_time
async def test_machine_that_talks_on_still_gets_the_message() -> None:
    async with calling(("", "detected_voicemail", ""), voicemail_message="Call us back.") as call:
        await call.lines(1)
        call.caller.say("Leave a message after the tone")
        await asyncio.sleep(0.4)
        call.caller.say("or press one for more options")
        assert (await call.ended()).reason is Reason.VOICEMAIL
        assert call.said("bot")[-1] == "Call us back."


@virtual_time
async def test_nothing_is_answered_once_the_caller_is_handed_over() -> None:
    async with calling(("", "transfer_call", "{}"), "Yes?", transfer_targets=[DESK]) as call:
        await call.lines(1)
        call.caller.say("A human please")
        await call.until(lambda: bool(call.room.commands))
        call.caller.say("Hello, is anybody there?")
        await call.ended()
        assert call.said("bot") == [GREETING]
        assert call.said("customer")[-1] == "Hello, is anybody there?"


@virtual_time
async def test_transfer_nobody_confirms_ends_by_itself_without_hanging_up() -> None:
    async with calling(("", "transfer_call", "{}"), transfer_targets=[DESK]) as call:
        await call.lines(1)
        call.caller.say("A human please")
        assert (await call.ended()).reason is Reason.TRANSFERRED
        assert [type(command) for command in call.room.commands] == [Transfer]


@virtual_time
async def test_transfer_without_that_target_goes_on_talking() -> None:
    async with calling(
        ("", "transfer_call", '{"target": "moon"}'), "Nobody is there.", transfer_targets=[DESK]
    ) as call:
        await call.lines(1)
        call.caller.say("The moon please")
        await call.lines(3)
        assert call.said("bot")[-1] == "Nobody is there."
        assert any(isinstance(fact, TransferFailed) for fact in call.facts)
        assert call.room.commands == []


@virtual_time
async def test_caller_who_leaves_while_the_bot_speaks_ends_it_with_what_was_heard() -> None:
    story = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen."
    async with calling(story) as call:
        await call.lines(1)
        call.caller.say("Tell me a story")
        await call.lines(2)
        await asyncio.sleep(1.5)
        await call.room.leave()
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        began = call.now()
        assert (await call.ended()).reason is Reason.CALLER_HUNG_UP
        assert call.now() - began < 1
        assert story.startswith(call.said("bot")[-1])
        assert call.said("bot")[-1] != story
        assert call.room.commands == []


@virtual_time
async def test_last_words_before_the_hang_up_reach_the_transcript_once() -> None:
    async with calling() as call:
        await call.lines(1)
        call.caller.begin()
        call.caller.interim("Please send it")
        await asyncio.sleep(0.3)
        await call.room.leave()
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        await asyncio.sleep(0.1)
        call.caller.final("Please send it by mail")
        await call.ended()
        assert call.said("customer") == ["Please send it by mail"]


@virtual_time
async def test_words_that_nobody_answered_yet_are_told_once() -> None:
    async with calling(turn={"min_delay_s": 3, "max_delay_s": 3}) as call:
        await call.lines(1)
        call.caller.say("One more thing")
        await asyncio.sleep(0.2)
        await call.room.leave()
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        await call.ended()
        assert call.said("customer") == ["One more thing"]


@virtual_time
async def test_first_ending_wins() -> None:
    async with calling() as call:
        await call.lines(1)
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        call.conversation.end(Reason.BOT_ENDED)
        assert (await call.ended()).reason is Reason.CALLER_HUNG_UP
        assert call.room.commands == []


@virtual_time
async def test_stream_of_words_that_dies_ends_the_call() -> None:
    async with calling() as call:
        await call.lines(1)
        call.caller.fail(ValueError("broken model"))
        ending = await call.ended(30)
        assert (ending.reason, ending.detail) == (Reason.PIPELINE_FAILED, "ValueError")
        assert call.room.commands == [HangUp()]


@virtual_time
async def test_service_that_keeps_failing_ends_the_call() -> None:
    async with calling() as call:
        await call.lines(1)
        for _ in range(30):
            call.caller.fail(APIError("away", retryable=False))
        ending = await call.ended()
        assert ending.reason is Reason.PIPELINE_FAILED
        assert "service_error" in call.noticed()


@virtual_time
async def test_session_that_dies_before_the_answer_ends_the_call() -> None:
    async with calling(answer=False) as call:
        call.caller.fail(ValueError("broken model"))
        assert (await call.ended(30)).reason is Reason.PIPELINE_FAILED


@virtual_time
async def test_voice_that_cannot_greet_ends_the_call() -> None:
    scripted = ScriptedEngines()
    scripted.tts.error = APIError("no voice", retryable=False)
    call = Call(scripted)
    await call.conversation.start()
    call.room.answer()
    call.answered.set()
    ending = await asyncio.wait_for(call.conversation.run(call.answered), 30)
    assert ending.reason is Reason.PIPELINE_FAILED
    await call.room.stop()


@virtual_time
async def test_prompt_that_cannot_be_spoken_does_not_stop_the_clock() -> None:
    async with calling(
        re_engagement={"messages": ["Are you there?"], "after_seconds": 5}, no_response_seconds=7
    ) as call:
        await call.lines(1)
        call.tts.error = APIError("no voice", retryable=False)
        ending = await call.ended(60)
        assert ending.reason is Reason.NO_RESPONSE
        assert call.said("bot") == [GREETING]


@virtual_time
async def test_room_that_is_gone_does_not_change_the_ending() -> None:
    async with calling(no_response_seconds=5) as call:
        await call.lines(1)
        call.room.is_gone = True
        assert (await call.ended()).reason is Reason.NO_RESPONSE
        assert call.room.commands == []


@virtual_time
async def test_transfer_the_room_does_not_take_is_told_as_failed() -> None:
    async with calling(("", "transfer_call", "{}"), "Sorry.", transfer_targets=[DESK]) as call:
        await call.lines(1)
        call.room.is_gone = True
        call.caller.say("A human please")
        await call.until(lambda: any(isinstance(fact, TransferFailed) for fact in call.facts))
        call.conversation.end(Reason.ROOM_LOST, by_bot=False)
        assert (await call.ended()).reason is Reason.ROOM_LOST
