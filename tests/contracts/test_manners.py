"""How a bot behaves on the line, as it can be set."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from contracts.manners import Manners, ReEngagement


def test_defaults_suit_a_telephone_call() -> None:
    manners = Manners()
    assert manners.opening.enabled
    assert manners.backchannel.enabled
    assert manners.high_intent.enabled
    assert manners.false_interruption.enabled
    assert manners.loop.enabled
    assert (manners.filler.enabled, manners.filler.after_s) == (True, 1.2)
    assert manners.closure.bot_enabled
    # A false match would hang up on a caller.
    assert not manners.closure.caller_enabled
    assert manners.language.mode == "free"


def test_silence_has_bounds() -> None:
    with pytest.raises(ValidationError):
        ReEngagement(after_seconds=0)


@pytest.mark.parametrize(
    ("resume_after_s", "longest_pause_s", "is_fine"),
    [(3.0, 2.0, False), (2.0, 2.0, False), (5.0, 4.0, False), (1.9, 2.0, True), (5.0, 0.0, True)],
)
def test_silence_to_resume_after_is_shorter_than_the_longest_pause(
    resume_after_s: float, longest_pause_s: float, is_fine: bool
) -> None:
    config = {
        "false_interruption": {
            "resume_after_s": resume_after_s,
            "longest_pause_s": longest_pause_s,
        }
    }
    if is_fine:
        assert Manners.model_validate(config).false_interruption.resume_after_s == resume_after_s
    else:
        with pytest.raises(ValidationError, match="must be less than longest_pause_s"):
            Manners.model_validate(config)


def test_languages_are_codes_of_no_region() -> None:
    manners = Manners.model_validate(
        {"language": {"languages": ["HI"], "voices": {"HI": {"voice": "asha"}}}}
    )
    assert manners.language.languages == ["hi"]
    assert manners.language.voices["hi"].voice == "asha"


@pytest.mark.parametrize(
    "wrong",
    [
        {"backchannel": {"phrases": ["  "]}},
        {"high_intent": {"phrases": ["x" * 201]}},
        {"false_interruption": {"resume_after_s": 0}},
        {"loop": {"after": 0}},
        {"filler": {"after_s": 0.1}},
        {"closure": {"wait_s": 0}},
        {"language": {"mode": "guess"}},
        {"language": {"languages": ["hi-IN"]}},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Manners.model_validate(wrong)
