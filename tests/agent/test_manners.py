"""The silence policy and the interruption rule, as arithmetic."""

from __future__ import annotations

import pytest

from agent.manners import (
    CLOSING_PHRASES,
    INTENDED_PHRASES,
    GiveUp,
    Prompt,
    SilencePolicy,
    interrupts,
)
from contracts.bot import BotConfig, ReEngagement
from contracts.outcome import Reason


def policy(**changes: object) -> SilencePolicy:
    config = {
        "re_engagement": ReEngagement(messages=["Hello?", "Anyone?"], after_seconds=5),
        "no_response_seconds": 7,
        "dead_air_seconds": 9,
        **changes,
    }
    return SilencePolicy(BotConfig.model_validate(config))


def test_silence_prompts_in_turn_and_then_gives_up_on_a_silent_caller() -> None:
    silence = policy()
    silence.quiet(100.0)
    assert silence.deadline() == 105.0
    assert silence.expire(104.9) is None
    assert silence.expire(105.0) == Prompt("Hello?", 1)
    assert silence.deadline() is None
    silence.quiet(110.0)
    assert silence.expire(115.0) == Prompt("Anyone?", 2)
    silence.quiet(120.0)
    assert silence.deadline() == 127.0
    assert silence.expire(127.0) == GiveUp(Reason.NO_RESPONSE)


def test_silence_after_a_conversation_is_dead_air() -> None:
    silence = policy(re_engagement=None)
    silence.heard_caller()
    silence.quiet(0.0)
    assert silence.expire(8.9) is None
    assert silence.expire(9.0) == GiveUp(Reason.DEAD_AIR)


def test_words_start_the_prompts_anew() -> None:
    silence = policy()
    silence.quiet(0.0)
    assert silence.expire(5.0) == Prompt("Hello?", 1)
    silence.heard_caller()
    silence.quiet(10.0)
    assert silence.expire(15.0) == Prompt("Hello?", 1)


def test_silence_does_not_count_while_somebody_speaks() -> None:
    silence = policy()
    silence.quiet(0.0)
    silence.quiet(3.0)
    assert silence.deadline() == 5.0
    silence.busy()
    assert silence.deadline() is None
    assert silence.expire(99.0) is None
    silence.quiet(100.0)
    assert silence.deadline() == 105.0


@pytest.mark.parametrize(
    ("text", "line", "remaining_s", "expected"),
    [
        ("I already told you that", "We are open daily.", 4.0, True),
        ("okay", "We are open daily.", 4.0, False),
        ("uh huh, right", "We are open daily.", 4.0, False),
        ("yes", "Shall I book it?", 0.6, True),
        ("yes", "Shall I book it?", 4.0, False),
        ("yes", "We are open daily.", 0.6, False),
        ("Wait!", "We are open daily.", 4.0, True),
        ("wrong number", "We are open daily.", 4.0, True),
        ("now", "We are open daily.", 4.0, False),
        ("Great, thank you so much", "We are open daily.", 4.0, True),
        ("Okay, thank you", "We are open daily.", 4.0, False),
        ("", "Shall I book it?", 0.2, False),
    ],
)
def test_words_decide_whether_the_bot_was_interrupted(
    text: str, line: str, remaining_s: float, expected: bool
) -> None:
    assert (
        interrupts(
            text,
            min_words=3,
            line=line,
            remaining_s=remaining_s,
            intended_phrases=INTENDED_PHRASES,
        )
        is expected
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Bye!", False), ("Thank you", False), ("Wait", True), ("One more question please", True)],
)
def test_courtesies_do_not_hold_up_a_goodbye(text: str, expected: bool) -> None:
    cut = interrupts(
        text,
        min_words=3,
        line="Thank you for calling. Goodbye.",
        remaining_s=2.0,
        intended_phrases=CLOSING_PHRASES,
    )
    assert cut is expected


def test_silence_may_be_stretched() -> None:
    config = BotConfig.model_validate(
        {"re_engagement": {"messages": ["Hello?"], "after_seconds": 5}, "dead_air_seconds": 9}
    )
    silence = SilencePolicy(config, 4.0)
    silence.heard_caller()
    silence.quiet(100.0)
    assert silence.deadline() == 120.0
    assert silence.expire(120.0) == Prompt("Hello?", 1)
    silence.quiet(130.0)
    assert silence.deadline() == 166.0
    assert silence.expire(166.0) == GiveUp(Reason.DEAD_AIR)
