"""A caller who presses keys, and a bot that does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit import rtc

from agent.keypad import PAUSE_S
from agent.line import KEY_S, BridgeLine
from agent.telephone import ON_HOLD
from contracts.command import SendDigits
from contracts.ids import Channel
from contracts.leg_news import DigitHeard
from contracts.outcome import Reason
from contracts.report import DigitPressed, DigitsSent, ToolCalled, TurnMeasured
from tests.fakes.phone_room import FakeCaller
from tests.fakes.spoken_call import GREETING, Call, calling
from tests.fakes.virtual_time import virtual_time

STORY = "This is a long story that goes on and on, " * 10
SIP = Channel.SIP


def tools(call: Call) -> list[ToolCalled]:
    return [fact for fact in call.facts if isinstance(fact, ToolCalled)]


async def greeted(call: Call) -> None:
    await call.lines(1)
    await asyncio.sleep(0.5)


@virtual_time
async def test_keys_pressed_in_a_row_are_one_turn() -> None:
    async with calling("Thank you.", channel=SIP) as call:
        await greeted(call)
        for digit in "415":
            call.room.press(digit)
            await asyncio.sleep(1)
        await call.lines(3)
        assert call.llm.asked == ["[pressed 4 1 5]"]
        assert call.transcript()[1:] == [("customer", "[pressed 4 1 5]"), ("bot", "Thank you.")]


@virtual_time
async def test_hash_ends_the_entry_at_once() -> None:
    async with calling("Thank you.", channel=SIP) as call:
        await greeted(call)
        began = call.now()
        call.room.press("12#")
        await call.until(lambda: bool(call.llm.asked))
        assert call.llm.asked == ["[pressed 1 2 #]"]
        assert call.now() - began < PAUSE_S / 2


@virtual_time
async def test_key_cuts_the_bot_off() -> None:
    async with calling(STORY, "Sales, one moment.", channel=SIP) as call:
        await greeted(call)
        call.caller.say("Tell me a story")
        await asyncio.sleep(3)
        call.room.press("1")
        await asyncio.sleep(0.2)
        assert not call.room.is_playing
        await call.lines(5)
        assert len(call.said("bot")[1]) < len(STORY) / 2


@virtual_time
async def test_key_waits_for_the_bot_where_it_may_not_interrupt() -> None:
    async with calling(STORY, "Sales.", channel=SIP, dtmf_interrupts=False) as call:
        await greeted(call)
        call.caller.say("Tell me a story")
        await asyncio.sleep(3)
        call.room.press("1")
        await call.lines(5)
        assert call.said("bot")[1:] == [STORY.strip(), "Sales."]


@virtual_time
async def test_keys_are_a_sign_of_life() -> None:
    async with calling(
        "Go on.", "Go on.", channel=SIP, no_response_seconds=6, dead_air_seconds=6
    ) as call:
        await greeted(call)
        await asyncio.sleep(4)
        call.room.press("1#")
        await call.lines(3)
        assert (await call.ended()).reason is Reason.DEAD_AIR


@virtual_time
async def test_keys_measure_no_turn() -> None:
    async with calling("Thank you.", channel=SIP) as call:
        await greeted(call)
        call.room.press("1#")
        await call.lines(3)
        await asyncio.sleep(1)
        assert not any(isinstance(fact, TurnMeasured) for fact in call.facts)


@virtual_time
async def test_keys_of_somebody_else_are_nobodys() -> None:
    async with calling(channel=SIP) as call:
        await greeted(call)
        call.room.news(DigitHeard(digit="1"), sender=FakeCaller("supervisor"))
        dtmf: Any = rtc.SipDTMF(code=1, digit="1", participant=None)
        call.room.emit("sip_dtmf_received", dtmf)
        await asyncio.sleep(5)
        assert (call.llm.asked, "digit_pressed" in call.types()) == ([], False)


@virtual_time
async def test_keys_through_livekit_are_reported_by_the_agent_itself() -> None:
    async with calling("Thank you.", channel=SIP) as call:
        await greeted(call)
        for code, digit in ((5, "5"), (10, "*"), (11, "")):
            caller: Any = call.room.caller
            call.room.emit("sip_dtmf_received", rtc.SipDTMF(code, digit, caller))
        await call.lines(3)
        assert call.llm.asked == ["[pressed 5 * #]"]
        told = [fact.digit for fact in call.facts if isinstance(fact, DigitPressed)]
        assert told == ["5", "*", "#"]


@virtual_time
async def test_keys_of_a_bridge_are_reported_by_the_bridge_alone() -> None:
    async with calling("Thank you.", channel=SIP) as call:
        await greeted(call)
        call.room.press("5#")
        await call.lines(3)
        assert "digit_pressed" not in call.types()


COLLECT = ("Your number please.", "collect_digits", '{"max_digits": 4}')


@virtual_time
async def test_tool_waits_for_as_many_keys_as_it_wants() -> None:
    async with calling(COLLECT, "Thank you.", channel=SIP) as call:
        await greeted(call)
        call.caller.say("I have a number")
        await call.lines(3)
        for digit in "1234":
            await asyncio.sleep(2)
            call.room.press(digit)
        pressed_at = call.now()
        await call.lines(4)
        assert call.now() - pressed_at < 2
        (tool,) = tools(call)
        assert tool.result == {"digits": "1234", "ended_by": "count"}
        assert "1234" in call.llm.asked[-1]
        assert call.said("bot") == [GREETING, "Your number please.", "Thank you."]


@virtual_time
async def test_tool_asks_by_itself_and_its_question_may_be_cut() -> None:
    arguments = '{"prompt": "Please enter the number on the front of your card now."}'
    async with calling(("", "collect_digits", arguments), "Thanks.", channel=SIP) as call:
        await greeted(call)
        call.caller.say("I have a card")
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(1)
        call.room.press("77#")
        await call.until(lambda: bool(tools(call)))
        assert tools(call)[0].result == {"digits": "77", "ended_by": "key"}
        await call.lines(4)
        assert call.said("bot")[1].startswith("Please enter")
        assert call.said("bot")[1] != "Please enter the number on the front of your card now."
        assert call.said("bot")[2] == "Thanks."


@virtual_time
async def test_tool_hears_of_a_caller_who_presses_nothing() -> None:
    silent: dict[str, Any] = {"re_engagement": {"messages": ["Are you there?"], "after_seconds": 3}}
    async with calling(COLLECT, "Never mind.", channel=SIP, **silent) as call:
        await greeted(call)
        call.caller.say("I have a number")
        await call.lines(3)
        asked = call.now()
        await call.lines(4)
        assert 7.5 < call.now() - asked < 11
        assert tools(call)[0].result == {"digits": "", "ended_by": "timeout"}
        # Nobody is asked whether they are there while they look for their card.
        assert call.said("bot") == [GREETING, "Your number please.", "Never mind."]


@virtual_time
async def test_caller_who_speaks_instead_is_answered() -> None:
    async with calling(COLLECT, "Then let us do without.", channel=SIP) as call:
        await greeted(call)
        call.caller.say("I have a number")
        await call.lines(3)
        call.caller.say("I have no keys on this phone")
        await call.lines(5)
        assert call.said("bot")[-1] == "Then let us do without."
        assert tools(call)[0].result == {"digits": "", "ended_by": "speech"}
        await asyncio.sleep(5)
        assert len(call.said("bot")) == 3


@virtual_time
async def test_tools_for_keys_are_offered_where_there_are_keys_and_the_bot_allows_it() -> None:
    cases: list[tuple[Channel, dict[str, Any], set[str]]] = [
        (SIP, {}, {"collect_digits"}),
        (SIP, {"send_digits_enabled": True}, {"collect_digits", "send_digits"}),
        (SIP, {"collect_digits_enabled": False}, set()),
        (Channel.WEBSOCKET, {"send_digits_enabled": True}, set()),
        (Channel.EXOTEL, {"send_digits_enabled": True}, {"collect_digits"}),
    ]
    for channel, settings, expected in cases:
        async with calling(channel=channel, **settings) as call:
            offered: list[Any] = list(call.conversation._bot.tools)
            assert {tool.id for tool in offered} & {"collect_digits", "send_digits"} == expected


@virtual_time
async def test_bot_presses_keys_once_it_has_spoken() -> None:
    send = ("One moment.", "send_digits", '{"digits": "1,2 3#"}')
    async with calling(send, "Done.", channel=SIP, send_digits_enabled=True) as call:
        await greeted(call)
        call.caller.say("Press one")
        await call.lines(4)
        assert call.room.commands == [SendDigits(digits="1,23#")]
        (sent,) = [fact for fact in call.facts if isinstance(fact, DigitsSent)]
        assert sent.digits == "1,23#"
        assert call.said("bot") == [GREETING, "One moment.", "Done."]


@virtual_time
async def test_bot_that_presses_keys_for_long_owes_no_answer_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send_digits = BridgeLine.send_digits

    async def slowly(self: BridgeLine, digits: str) -> bool:
        await asyncio.sleep(KEY_S * len(digits))
        return await send_digits(self, digits)

    monkeypatch.setattr(BridgeLine, "send_digits", slowly)
    send = ("", "send_digits", f'{{"digits": "{"1" * 64}"}}')
    async with calling(send, "Done.", channel=SIP, send_digits_enabled=True) as call:
        await greeted(call)
        call.caller.say("Enter the number of the card")
        await call.lines(3)
        assert call.said("bot") == [GREETING, "Done."]
        await asyncio.sleep(1)
        assert call.conversation._is_quiet()


@virtual_time
async def test_keys_wanted_while_the_line_is_held_are_refused_and_never_pressed() -> None:
    send = ("", "send_digits", '{"digits": "1"}')
    async with calling(send, "Later.", channel=SIP, send_digits_enabled=True) as call:
        await greeted(call)
        call.caller.say("Press one")
        call.room.hold()
        await call.until(lambda: bool(tools(call)))
        assert tools(call)[0].error == ON_HOLD
        call.room.hold(False)
        await call.lines(3)
        await asyncio.sleep(2)
        assert (call.room.commands, "digits_sent" in call.types()) == ([], False)


@virtual_time
async def test_keys_that_waited_for_the_bot_to_finish_go_with_a_hold() -> None:
    send = (STORY, "send_digits", '{"digits": "1"}')
    async with calling(send, "Later.", channel=SIP, send_digits_enabled=True) as call:
        await greeted(call)
        call.caller.say("Press one")
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(2)
        call.room.hold()
        await asyncio.sleep(1)
        call.room.hold(False)
        await call.until(lambda: bool(tools(call)))
        assert tools(call)[0].error == ON_HOLD
        await asyncio.sleep(2)
        assert (call.room.commands, "digits_sent" in call.types()) == ([], False)


@virtual_time
async def test_keys_that_are_none_are_refused() -> None:
    send = ("", "send_digits", '{"digits": "call me"}')
    async with calling(send, "Sorry.", channel=SIP, send_digits_enabled=True) as call:
        await greeted(call)
        call.caller.say("Press one")
        await call.lines(3)
        assert (call.room.commands, "digits_sent" in call.types()) == ([], False)
        assert (tools(call)[0].error or "").startswith("digits:")


@virtual_time
async def test_keys_go_with_a_hold_that_cut_nothing_off() -> None:
    send = (STORY, "send_digits", '{"digits": "1"}')
    async with calling(send, "Later.", channel=SIP, send_digits_enabled=True) as call:
        await greeted(call)
        call.caller.say("Press one")
        await call.until(lambda: call.room.is_playing)
        speech = call.conversation._session.current_speech
        assert speech is not None
        speech.allow_interruptions = False
        call.room.hold()
        await asyncio.sleep(1)
        call.room.hold(False)
        await call.until(lambda: bool(tools(call)), 120)
        assert tools(call)[0].error == ON_HOLD
        assert call.room.commands == []
