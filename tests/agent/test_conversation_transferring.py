"""A transfer that may fail: a call by SIP is handed over, or the bot comes back."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest

from agent.handover import NOBODY_ANSWERED, UNHEARD_S
from agent.line import NOT_SENT, Taken
from agent.telephone import UNDER_WAY
from agent.tools import NotTransferred
from contracts.command import HangUp, Transfer
from contracts.ids import Channel
from contracts.leg_news import TransferAccepted, TransferDone, TransferRefused
from contracts.outcome import Reason
from contracts.report import ToolCalled, TransferFailed, TransferStarted
from tests.fakes.spoken_call import GREETING, Call, calling
from tests.fakes.virtual_time import virtual_time

DESK = {
    "id": "desk",
    "label": "Front desk",
    "method": "livekit_sip_refer",
    "value": "+14155550123",
    "is_default": True,
}
ASKED = ("", "transfer_call", '{"reason": "asked"}')
SORRY = "I'm sorry, I could not put you through."
NOT_INTERRUPTING = {"should_interrupt": False}
SIP: dict[str, Any] = {"channel": Channel.SIP, "transfer_targets": [DESK]}


def failures(call: Call) -> list[str]:
    return [fact.failed_reason for fact in call.facts if isinstance(fact, TransferFailed)]


async def handed_over(call: Call) -> None:
    """Let the caller ask for a human; return once the line was told."""
    await call.lines(1)
    call.caller.say("A human please")
    await call.until(lambda: bool(call.room.commands))


@virtual_time
async def test_refused_transfer_brings_the_bot_back() -> None:
    async with calling(ASKED, "What else?", **SIP) as call:
        await handed_over(call)
        assert not call.conversation._session.input.audio_enabled
        call.room.news(TransferAccepted())
        await asyncio.sleep(2)
        call.room.news(TransferRefused(reason="486 Busy Here"))
        await call.lines(4)
        assert call.said("bot") == [GREETING, SORRY, "What else?"]
        assert "486 Busy Here" in call.llm.asked[-1]
        assert SORRY in call.llm.asked[-1]
        # The bridge has reported it; nobody does twice.
        assert failures(call) == []
        assert call.conversation._session.input.audio_enabled
        call.caller.say("Never mind")
        await call.lines(6)
        assert call.said("customer")[-1] == "Never mind"


@pytest.mark.parametrize("then", ["", "I am putting you through now."])
@virtual_time
async def test_words_kept_for_after_the_line_wait_for_the_transfer(then: str) -> None:
    polite = {"stt": {"provider": "deepgram_flux", "api_key": "k", "extra": NOT_INTERRUPTING}}
    asked = ("I will put you through to the front desk, please stay.", *ASKED[1:])
    config = {**SIP, **polite, "pre_transfer_message": then}
    async with calling(asked, "What else?", "I see.", **config) as call:
        await call.lines(1)
        call.caller.say("A human please")
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(1)
        call.caller.say("And my invoice is wrong")
        await call.until(lambda: bool(call.room.commands))
        call.room.news(TransferAccepted())
        await asyncio.sleep(8)
        assert call.llm.asked == ["A human please"]
        call.room.news(TransferRefused(reason="busy"))
        await call.until(lambda: call.said("bot")[-1] == "I see.")
        assert call.llm.asked[-1] == "And my invoice is wrong"


@virtual_time
async def test_silence_counts_anew_after_a_transfer_that_failed() -> None:
    silent: dict[str, Any] = {"re_engagement": {"messages": ["Are you there?"], "after_seconds": 5}}
    async with calling(ASKED, "What else?", **SIP, **silent) as call:
        await handed_over(call)
        await asyncio.sleep(20)
        assert call.said("bot") == [GREETING]
        call.room.news(TransferRefused(reason="busy"))
        await call.lines(4)
        back = call.now()
        await call.lines(5)
        assert call.said("bot")[-1] == "Are you there?"
        assert call.now() - back < 8


@virtual_time
async def test_bot_without_a_sentence_lets_its_brain_find_one() -> None:
    async with calling(ASKED, "Nobody is free.", transfer_failed_message="", **SIP) as call:
        await handed_over(call)
        call.room.news(TransferRefused(reason="busy"))
        await call.lines(3)
        assert call.said("bot") == [GREETING, "Nobody is free."]
        assert "busy" in call.llm.asked[-1]
        (tool,) = [fact for fact in call.facts if isinstance(fact, ToolCalled)]
        assert tool.error == "busy"


@virtual_time
async def test_announcement_is_heard_before_the_transfer_starts() -> None:
    async with calling(ASKED, pre_transfer_message="One moment please.", **SIP) as call:
        await handed_over(call)
        assert call.said("bot")[-1] == "One moment please."
        order = [f.type for f in call.facts if f.type in ("transcript_line", "transfer_started")]
        assert order[-2:] == ["transcript_line", "transfer_started"]
        (started,) = [fact for fact in call.facts if isinstance(fact, TransferStarted)]
        assert started.method == "livekit_sip_refer"


@virtual_time
async def test_transfer_that_is_through_ends_the_call_without_hanging_up() -> None:
    async with calling(ASKED, **SIP) as call:
        await handed_over(call)
        call.room.news(TransferAccepted())
        await asyncio.sleep(25)
        call.room.news(TransferDone())
        assert (await call.ended(1)).reason is Reason.TRANSFERRED
        assert [type(command) for command in call.room.commands] == [Transfer]
        assert failures(call) == []


@virtual_time
async def test_leg_that_leaves_as_soon_as_it_is_through_was_handed_over() -> None:
    async with calling(ASKED, **SIP) as call:
        await handed_over(call)
        call.room.news(TransferDone())
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        assert (await call.ended()).reason is Reason.TRANSFERRED


@virtual_time
async def test_caller_who_hangs_up_before_the_outcome_was_not_handed_over() -> None:
    for is_accepted in (False, True):
        async with calling(ASKED, **SIP) as call:
            await handed_over(call)
            if is_accepted:
                call.room.news(TransferAccepted())
            await asyncio.sleep(3)
            call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
            assert (await call.ended()).reason is Reason.CALLER_HUNG_UP
            assert failures(call) == []


@virtual_time
async def test_transfer_nothing_is_heard_of_has_failed_and_is_told_once() -> None:
    async with calling(ASKED, "What else?", **SIP) as call:
        await handed_over(call)
        sent = call.now()
        await call.lines(3)
        assert UNHEARD_S - 1 < call.now() - sent < UNHEARD_S + 5
        assert failures(call) == [NOBODY_ANSWERED]
        assert call.said("bot")[1] == SORRY


@virtual_time
async def test_news_of_no_transfer_is_ignored() -> None:
    async with calling("Yes.", **SIP) as call:
        await call.lines(1)
        call.room.news(TransferDone())
        call.room.news(TransferRefused(reason="what?"))
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        assert (await call.ended()).reason is Reason.CALLER_HUNG_UP


@virtual_time
async def test_asked_for_twice_at_once_it_is_one_transfer() -> None:
    async with calling(ASKED, **SIP) as call:
        await handed_over(call)
        # Nothing of the step that asks is looked at.
        again = await call.conversation._phone.transfer(Mock(), "asked", "")
        assert again == NotTransferred(UNDER_WAY)
        call.room.news(TransferDone())
        assert (await call.ended()).reason is Reason.TRANSFERRED
        assert len(call.room.commands) == 1
        assert failures(call) == []


@virtual_time
async def test_second_try_may_succeed() -> None:
    async with calling(ASKED, "Once more.", ASKED, **SIP) as call:
        await handed_over(call)
        call.room.news(TransferRefused(reason="busy"))
        await call.lines(4)
        call.caller.say("Try again please")
        await call.until(lambda: len(call.room.commands) == 2)
        call.room.news(TransferDone())
        assert (await call.ended()).reason is Reason.TRANSFERRED


@virtual_time
async def test_line_held_while_it_is_handed_over_hears_of_the_failure_afterwards() -> None:
    async with calling(ASKED, "What else?", **SIP) as call:
        await handed_over(call)
        call.room.hold()
        call.room.news(TransferRefused(reason="busy"))
        await asyncio.sleep(40)
        assert call.said("bot") == [GREETING]
        call.room.hold(False)
        await call.lines(4)
        assert call.said("bot") == [GREETING, SORRY, "What else?"]


@virtual_time
async def test_announcement_that_a_hold_breaks_off_is_heard_to_its_end_afterwards() -> None:
    announced = "One moment please, I am putting you through to the front desk."
    async with calling(ASKED, pre_transfer_message=announced, **SIP) as call:
        await call.lines(1)
        call.caller.say("A human please")
        await call.until(lambda: call.room.is_playing)
        await asyncio.sleep(1)
        call.room.hold()
        await asyncio.sleep(60)
        assert call.room.commands == []
        call.room.hold(False)
        await call.until(lambda: bool(call.room.commands))
        assert call.said("bot")[-1] == announced


class SidecarLine:
    """A line the sidecar looks after: answers when told, as the test says."""

    def __init__(self, taken: Taken, after_s: float = 2.0) -> None:
        self.taken = taken
        self.after_s = after_s
        self.asked: list[Transfer | HangUp] = []

    async def hang_up(self) -> None:
        self.asked.append(HangUp())

    async def transfer(self, command: Transfer) -> Taken:
        self.asked.append(command)
        await asyncio.sleep(self.after_s)
        return self.taken

    async def send_digits(self, digits: str) -> bool:
        return True


@virtual_time
async def test_transfer_the_sidecar_has_done_ends_the_call_as_handed_over() -> None:
    line = SidecarLine(Taken(is_told=True))
    async with calling(ASKED, line=line, **SIP) as call:
        await call.lines(1)
        call.caller.say("A human please")
        assert (await call.ended()).reason is Reason.TRANSFERRED
        assert [type(asked) for asked in line.asked] == [Transfer]


@virtual_time
async def test_caller_who_hangs_up_before_the_sidecar_answers_was_not_handed_over() -> None:
    line = SidecarLine(Taken(is_told=True))
    async with calling(ASKED, line=line, **SIP) as call:
        await call.lines(1)
        call.caller.say("A human please")
        await call.until(lambda: bool(line.asked))
        await asyncio.sleep(1.9)
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        assert (await call.ended()).reason is Reason.CALLER_HUNG_UP


@virtual_time
async def test_transfer_the_sidecar_reports_as_failed_is_not_reported_again() -> None:
    for taken, told in (
        (Taken("486 Busy Here", is_told=True), []),
        (Taken(NOT_SENT), [NOT_SENT]),
    ):
        async with calling(ASKED, "What else?", line=SidecarLine(taken), **SIP) as call:
            await call.lines(1)
            call.caller.say("A human please")
            await call.lines(4)
            assert call.said("bot") == [GREETING, SORRY, "What else?"]
            assert failures(call) == told
