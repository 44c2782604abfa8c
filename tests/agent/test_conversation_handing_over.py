"""How a call ends in a machine's mailbox or with somebody else."""

from __future__ import annotations

import asyncio

from contracts.command import HangUp, Transfer
from contracts.outcome import Reason
from contracts.report import (
    TransferFailed,
    TransferStarted,
)
from tests.fakes.spoken_call import GREETING, calling
from tests.fakes.virtual_time import virtual_time

DESK = {"id": "desk", "label": "Front desk", "value": "+14155550123", "is_default": True}


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
async def test_transfer_the_room_does_not_take_is_told_as_failed() -> None:
    async with calling(("", "transfer_call", "{}"), "Sorry.", transfer_targets=[DESK]) as call:
        await call.lines(1)
        call.room.is_gone = True
        call.caller.say("A human please")
        await call.until(lambda: any(isinstance(fact, TransferFailed) for fact in call.facts))
        call.conversation.end(Reason.ROOM_LOST, by_bot=False)
        assert (await call.ended()).reason is Reason.ROOM_LOST
