"""What becomes of a caller whose bot has nobody left to talk to them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import APIConnectionError, APIStatusError, llm, tts

from agent.apology import Apology
from agent.breakdown import Breakdown
from agent.ending import Ending
from agent.engines import Engines
from agent.fallback.line_up import LineUp
from agent.fallback.llm import FallbackLLM
from agent.fallback.tts import FallbackTTS
from contracts.command import HangUp, Transfer
from contracts.engines import Resilience
from contracts.ids import Channel
from contracts.leg_news import TransferDone, TransferRefused
from contracts.outcome import Reason
from tests.fakes.engines import ScriptedEngines, ScriptedLLM, ScriptedTTS
from tests.fakes.spoken_call import GREETING, Call, running
from tests.fakes.virtual_time import virtual_time

SORRY = "I am so very sorry."
FRAME = rtc.AudioFrame(b"\x00\x10" * 8000, 8000, 1, 8000)
"""One second."""


async def kept(text: str) -> AsyncIterator[rtc.AudioFrame]:
    yield FRAME


class Desk:
    """A breakdown and what it did."""

    def __init__(self, transfer_fails: str | None = None, **resilience: Any) -> None:
        self.did: list[str] = []

        async def announce(text: str, audio: Sequence[rtc.AudioFrame] | None) -> None:
            self.did.append(f"says {text}")

        async def hand_over(reason: str) -> str:
            self.did.append("hands over")
            assert transfer_fails is not None
            return transfer_fails

        async def is_taken_over() -> bool:
            return False

        self.breakdown = Breakdown(
            Resilience(**resilience),
            Apology(SORRY, kept),
            announce=announce,
            is_taken_over=is_taken_over,
            hand_over=None if transfer_fails is None else hand_over,
            end=lambda reason, why: self.did.append(f"ends as {reason}: {why}"),
            notice=lambda name, **_: self.did.append(name),
        )

    async def break_down(self) -> list[str]:
        self.breakdown.begin()
        self.breakdown.come("all are lost")
        self.breakdown.come("once more")
        await asyncio.sleep(30)
        await self.breakdown.aclose()
        return self.did


@virtual_time
async def test_caller_is_apologised_to_and_handed_over() -> None:
    assert await Desk("").break_down() == ["engines_lost", f"says {SORRY}", "hands over"]


@virtual_time
async def test_call_ends_where_nobody_can_or_will_take_the_caller() -> None:
    ends = ["engines_lost", f"says {SORRY}", "ends as pipeline_failed: all are lost"]
    assert await Desk().break_down() == ends
    assert await Desk("", when_lost="goodbye").break_down() == ends
    assert await Desk("busy").break_down() == [*ends[:2], "hands over", ends[2]]


@virtual_time
async def test_before_anybody_listens_the_call_just_ends() -> None:
    desk = Desk("")
    desk.breakdown.come("all are lost")
    assert desk.did == ["ends as pipeline_failed: all are lost"]
    assert not desk.breakdown.is_here
    await desk.breakdown.aclose()


class Dead(ScriptedEngines):
    """Engines whose brain and voice are line-ups of one."""

    def engines(self) -> Engines:
        made = super().engines()
        brains = LineUp[llm.LLM[Any]]("llm", [("brain", self.llm)], cool_down_s=30)
        voices = LineUp[tts.TTS[Any]]("tts", [("voice", self.tts)], cool_down_s=30)
        made.llm = FallbackLLM(brains, first_token_s=2.5)
        made.tts = FallbackTTS(voices, first_audio_s=1.5)
        return made


def dead_call(**config: Any) -> Call:
    return Call(Dead(), apology=Apology(SORRY, kept), **config)


async def told(
    break_it: Callable[[ScriptedLLM, ScriptedTTS], None], **config: Any
) -> tuple[Call, Ending]:
    """Have a call whose engines break after the greeting, and a caller who asks once."""
    async with running(dead_call(**config)) as call:
        await call.lines(1)
        await asyncio.sleep(7)
        break_it(call.llm, call.tts)
        call.caller.say("Are you there?")
        return call, await call.ended(30)


def break_brain(brain: ScriptedLLM, _: ScriptedTTS) -> None:
    brain.error = APIConnectionError("gone")


def break_voice(_: ScriptedLLM, voice: ScriptedTTS) -> None:
    voice.error = APIStatusError("no", status_code=401)


@virtual_time
async def test_apology_is_heard_though_the_voice_is_what_failed() -> None:
    call, ending = await told(break_voice)
    assert call.said("bot") == [GREETING, SORRY]
    assert (ending.reason, ending.detail) == (
        Reason.PIPELINE_FAILED,
        "ScriptedTTS answered 401",
    )
    assert call.room.commands == [HangUp()]


@virtual_time
async def test_brain_that_is_lost_ends_the_call_after_the_apology() -> None:
    call, ending = await told(break_brain)
    assert call.said("bot") == [GREETING, SORRY]
    assert ending.detail == "ScriptedLLM lost the connection"
    assert "provider_switched" in call.noticed()
    assert "engines_lost" in call.noticed()


@virtual_time
async def test_caller_is_handed_over_where_there_is_somebody() -> None:
    target = {"value": "1001", "type": "extension", "is_default": True}
    call, ending = await told(break_brain, transfer_targets=[target])
    assert ending.reason is Reason.TRANSFERRED
    [command] = call.room.commands
    assert isinstance(command, Transfer)
    assert command.to == "1001"


@virtual_time
async def test_call_ends_where_it_would_be_a_guess_whom_to_hand_over_to() -> None:
    targets = [{"id": each, "value": each, "type": "extension"} for each in ("1001", "1002")]
    call, ending = await told(break_brain, transfer_targets=targets)
    assert ending.reason is Reason.PIPELINE_FAILED
    assert call.said("bot") == [GREETING, SORRY]
    assert call.room.commands == [HangUp()]


DESK = {"id": "desk", "value": "+14155550123", "method": "livekit_sip_refer", "is_default": True}
HUMAN = ("", "transfer_call", '{"reason": "asked"}')


async def mute_on_the_way(
    news: TransferDone | TransferRefused, human: tuple[str, str, str] = HUMAN, **config: Any
) -> tuple[Call, Ending]:
    """Have a call whose voice fails as it announces a transfer, of which `news` comes later."""
    dead = Call(
        Dead(human),
        apology=Apology(SORRY, kept),
        channel=Channel.SIP,
        pre_transfer_message="One moment.",
        **{"transfer_targets": [DESK], **config},
    )
    async with running(dead) as call:
        await call.lines(1)
        await asyncio.sleep(7)
        call.tts.error = APIStatusError("no", status_code=401)
        call.caller.say("A human please")
        await call.until(lambda: bool(call.room.commands))
        await asyncio.sleep(2)
        call.room.news(news)
        return call, await call.ended(60)


@pytest.mark.parametrize("when_lost", ["transfer", "goodbye"])
def test_transfer_under_way_is_let_come_to_its_end(when_lost: str) -> None:
    @virtual_time
    async def run() -> None:
        call, ending = await mute_on_the_way(TransferDone(), resilience={"when_lost": when_lost})
        assert "engines_lost" in call.noticed()
        assert ending.reason is Reason.TRANSFERRED

    run()


@virtual_time
async def test_caller_who_comes_back_to_nobody_is_apologised_to() -> None:
    call, ending = await mute_on_the_way(
        TransferRefused(reason="busy"), resilience={"when_lost": "goodbye"}
    )
    assert call.said("bot")[-1] == SORRY
    assert ending.reason is Reason.PIPELINE_FAILED


@virtual_time
async def test_transfer_that_failed_a_moment_ago_is_not_tried_again() -> None:
    call, ending = await mute_on_the_way(TransferRefused(reason="busy"))
    assert [type(each) for each in call.room.commands] == [Transfer, HangUp]
    assert call.said("bot") == [GREETING, SORRY]
    assert ending.reason is Reason.PIPELINE_FAILED


@virtual_time
async def test_somebody_else_is_asked_than_the_one_who_did_not_take_the_caller() -> None:
    sales = {**DESK, "id": "sales", "value": "+14155550199", "is_default": False}
    human = ("", "transfer_call", '{"reason": "asked", "target": "sales"}')
    call, _ = await mute_on_the_way(
        TransferRefused(reason="busy"), human=human, transfer_targets=[DESK, sales]
    )
    asked = [each.to for each in call.room.commands if isinstance(each, Transfer)]
    assert asked == ["+14155550199", "+14155550123"]


@virtual_time
async def test_brain_that_is_lost_after_a_transfer_failed_does_not_try_it_again() -> None:
    dead = Call(
        Dead(HUMAN),
        apology=Apology(SORRY, kept),
        channel=Channel.SIP,
        transfer_targets=[DESK],
        transfer_failed_message="Nobody is there.",
    )
    async with running(dead) as call:
        await call.lines(1)
        call.caller.say("A human please")
        await call.until(lambda: bool(call.room.commands))
        call.llm.error = APIConnectionError("gone")
        call.room.news(TransferRefused(reason="busy"))
        await call.ended(60)
        assert call.said("bot")[-2:] == ["Nobody is there.", SORRY]
        assert [type(each) for each in call.room.commands] == [Transfer, HangUp]


@virtual_time
async def test_greeting_that_nobody_can_say_is_followed_by_the_apology() -> None:
    dead = dead_call()
    dead.tts.error = APIStatusError("no", status_code=401)
    async with running(dead) as call:
        ending = await call.ended(30)
        assert call.said("bot")[-1] == SORRY
        assert ending.detail == "ScriptedTTS answered 401"


@pytest.mark.parametrize("break_it", [break_brain, break_voice])
def test_nobody_is_left_with_a_failure_that_was_dealt_with(
    break_it: Callable[[ScriptedLLM, ScriptedTTS], None], caplog: pytest.LogCaptureFixture
) -> None:
    @virtual_time
    async def run() -> None:
        async with running(dead_call(re_engagement={"after_seconds": 5})) as call:
            await call.lines(1)
            await asyncio.sleep(4)
            break_it(call.llm, call.tts)
            await asyncio.sleep(3)  # the prompt into the silence is a line of the bot's own
            call.caller.say("Are you there?")
            await call.ended(30)

    run()
    gc.collect()
    assert "never retrieved" not in caplog.text
