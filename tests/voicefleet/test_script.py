"""`voicefleet.script`: what a caller is told to do, and how a mistake in it is explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicefleet.script import (
    HangUp,
    Interrupt,
    Pause,
    Play,
    Say,
    Scenario,
    ScenarioInvalid,
    WaitFor,
    parse_scenario,
    scenario_of,
)

FOLDER = Path("/scenarios")


def test_every_kind_of_step_is_read() -> None:
    text = """
    - wait_for: how can I help
      timeout_s: 5
    - say: I'd like an appointment.
    - interrupt: Wait
    - play: answer.wav
    - pause_s: 1.5
    - hang_up
    """
    assert parse_scenario(text, FOLDER) == Scenario(
        steps=[
            WaitFor(wait_for="how can I help", timeout_s=5),
            Say(say="I'd like an appointment."),
            Interrupt(interrupt="Wait"),
            Play(play=FOLDER / "answer.wav"),
            Pause(pause_s=1.5),
            HangUp(),
        ]
    )


def test_mapping_names_bot_and_caller() -> None:
    text = "{bot: desk, caller_id: '+911', crm: {customer_name: Asha}, steps: [{say: Hello}]}"
    scenario = parse_scenario(text, FOLDER)
    assert (scenario.bot, scenario.caller_id) == ("desk", "+911")
    assert scenario.crm == {"customer_name": "Asha"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "neither a list"),
        ("just words", "neither a list"),
        ("{bot: desk}", "neither a list"),
        ("[", "not YAML"),
        ("[]", "steps: List should have at least 1"),
        ("[shout]", "step 1: 'shout' is not one of say, interrupt,"),
        ("[{say: a}, {shout: b}]", r"step 2: .* is not one of"),
        ("[{say: a, hang_up: true}]", "step 1: .* is not one of"),
        ("[{say: ''}]", "step 1: say: String should have at least 1"),
        ("[{say: a, loudly: true}]", "step 1: loudly: Extra inputs"),
        ("[{pause_s: -1}]", "step 1: pause_s: Input should be greater"),
        ("[{wait_for: '('}]", "step 1: wait_for: .*not a pattern"),
        ("{steps: [hang_up], volume: 3}", "volume: Extra inputs"),
    ],
)
def test_mistake_is_explained(text: str, why: str) -> None:
    with pytest.raises(ScenarioInvalid, match=why):
        parse_scenario(text, FOLDER)


def test_options_become_a_scenario_that_hangs_up() -> None:
    assert scenario_of(["One.", "Two."], None).steps == [Say(say="One."), Say(say="Two."), HangUp()]
    assert scenario_of([], Path("a.wav")).steps == [Play(play=Path("a.wav")), HangUp()]
