"""Detection of answering machines, as it can be set."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from contracts.machine import MachineDetection


def test_it_depends_on_who_dialled_unless_a_bot_says_so() -> None:
    assert MachineDetection().enabled is None
    assert MachineDetection.model_validate({"enabled": False}).enabled is False


def test_phrases_belong_to_a_class() -> None:
    own = {"phrases": {"voicemail": ["  du bist verbunden mit "]}}
    assert MachineDetection.model_validate(own).phrases == {"voicemail": ["du bist verbunden mit"]}
    with pytest.raises(ValidationError):
        MachineDetection.model_validate({"phrases": {"robot": ["beep boop"]}})
    with pytest.raises(ValidationError):
        MachineDetection.model_validate({"phrases": {"human": [" "]}})


@pytest.mark.parametrize(
    ("times", "why"),
    [
        ({"pause_s": 0.6, "long_pause_s": 0.2}, r"pause_s \(0.6\) must be at most long_pause_s"),
        ({"short_greeting_s": 7}, r"short_greeting_s \(7\) must be at most long_greeting_s \(6\)"),
    ],
)
def test_short_is_shorter_than_long(times: dict[str, float], why: str) -> None:
    assert MachineDetection(pause_s=0.5, long_pause_s=0.5).pause_s == 0.5
    with pytest.raises(ValidationError, match=why):
        MachineDetection.model_validate(times)
