"""Which lines of a whole conversation are answers, and that each is measured once."""

from __future__ import annotations

from contracts.outcome import Reason
from contracts.report import TurnMeasured
from tests.fakes.spoken_call import Call, calling
from tests.fakes.virtual_time import virtual_time


def measured(call: Call) -> list[TurnMeasured]:
    return [fact for fact in call.facts if isinstance(fact, TurnMeasured)]


@virtual_time
async def test_every_answer_is_measured_and_the_greeting_is_not() -> None:
    async with calling("We are open daily.", "You are welcome.") as call:
        await call.lines(1)
        assert measured(call) == []
        for number in (1, 2):
            call.caller.say("When are you open?")
            await call.lines(1 + 2 * number)
        assert [turn.turn for turn in measured(call)] == [1, 2]
        for turn in measured(call):
            assert None not in (turn.llm_ttft_ms, turn.clause_ms, turn.tts_ttfb_ms)
            assert None not in (turn.sending_ms, turn.playback_ms, turn.lead_in_ms)


@virtual_time
async def test_answer_is_told_when_it_begins() -> None:
    async with calling("We are open daily, from nine in the morning until five.") as call:
        await call.lines(1)
        call.caller.say("When are you open?")
        await call.until(lambda: bool(measured(call)))
        assert call.said("bot") == ["Hello, how can I help you?"]


@virtual_time
async def test_prompt_into_silence_is_no_answer() -> None:
    async with calling(
        re_engagement={"messages": ["Are you there?"], "after_seconds": 5}, no_response_seconds=7
    ) as call:
        assert (await call.ended()).reason is Reason.NO_RESPONSE
        assert measured(call) == []


@virtual_time
async def test_answer_after_a_tool_is_measured_by_its_own_words() -> None:
    async with calling(("", "look_up", "{}"), "I cannot look that up.") as call:
        await call.lines(1)
        call.caller.say("When is my appointment?")
        await call.lines(3)
        (turn,) = measured(call)
        assert turn.first_token_at_ms is not None


@virtual_time
async def test_line_that_a_tool_says_counts_as_the_answer() -> None:
    async with calling(
        ("", "transfer_call", "{}"),
        pre_transfer_message="One moment, I am putting you through.",
        transfer_targets=[{"id": "desk", "value": "+14155550123", "is_default": True}],
    ) as call:
        await call.lines(1)
        call.caller.say("Somebody else, please.")
        await call.until(lambda: bool(measured(call)))
        (turn,) = measured(call)
        assert turn.first_token_at_ms is None
        assert None not in (turn.llm_ttft_ms, turn.playback_ms)
