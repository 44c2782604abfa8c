"""What is said of each turn: stages that add up, on the clock of the phone's leg."""

from __future__ import annotations

import pytest

from agent.ear import Ear
from agent.latency import TurnClock
from agent.leg_clock import LegClock
from contracts.report import STAGES, TurnMeasured

LOUD = b"\x10\x27" * 320
QUIET = bytes(640)
APART_S = 700.0
"""What the agent's clock shows when the leg's shows nought."""


class Turns:
    """A turn clock whose times are the leg's own, in ms."""

    def __init__(self, *, voice_end_ms: int | None = 1000) -> None:
        self.ms = 0.0
        self.told: list[TurnMeasured] = []
        leg, ear = LegClock(), Ear(8000)
        leg.observe(0, APART_S)
        if voice_end_ms is not None:
            for at_ms in range(40, 4000, 40):
                ear.hear(LOUD if at_ms <= voice_end_ms else QUIET, at_ms)
        self.clock = TurnClock(lambda: APART_S + self.ms / 1000, leg, ear, self.told.append)

    def taken_up(self, speech: str, at_ms: float, *, voice_ms: float | None = 1130) -> None:
        self.ms = at_ms
        metrics: dict[str, float] = {}
        if voice_ms is not None:
            # Wall time has yet another zero.
            metrics = {
                "stopped_speaking_at": 5000 + voice_ms / 1000,
                "end_of_turn_delay": (at_ms - voice_ms) / 1000,
            }
        self.clock.taken_up(speech, metrics, 5000 + at_ms / 1000)

    def transcribed(self, at_ms: float) -> None:
        self.ms = at_ms
        self.clock.transcribed()

    def answered(self, speech: str, *, requested_ms: float = 1300) -> None:
        """The model, the voice and the bridge do their part."""
        self.ms = requested_ms
        self.clock.requested(speech)
        self.ms = requested_ms + 200
        self.clock.token(speech)
        self.spoken(speech, requested_ms + 300)

    def spoken(self, speech: str, clause_ms: float) -> None:
        self.ms = clause_ms + 120
        self.clock.voiced(speech, 0.12)
        self.ms += 1
        self.clock.sent(speech)
        self.ms += 40
        self.clock.heard(speech, clause_ms + 125, 30)

    def only(self) -> TurnMeasured:
        (turn,) = self.told
        return turn


def stages(turn: TurnMeasured) -> dict[str, float]:
    """Return the stages that took time; all of them are the whole."""
    shares = {name: getattr(turn, name) for name in STAGES}
    known = {name: ms for name, ms in shares.items() if ms is not None}
    if turn.response_ms is not None:
        assert sum(known.values()) == pytest.approx(turn.response_ms, abs=1)
    return {name.removesuffix("_ms"): ms for name, ms in known.items() if ms}


def test_stages_are_what_each_added_and_sum_to_the_wait() -> None:
    turns = Turns()
    turns.transcribed(1250)
    turns.taken_up("s1", 1300)
    turns.answered("s1")
    turn = turns.only()
    assert stages(turn) == {
        "stt": 250, "endpointing": 50, "llm_ttft": 200, "clause": 100, "tts_ttfb": 120,
        "sending": 1, "playback": 4, "lead_in": 30,
    }  # fmt: skip
    assert (turn.turn, turn.response_ms, turn.detail) == (1, 755, {})
    assert (turn.stt_final_at_ms, turn.decided_at_ms, turn.requested_at_ms) == (250, 300, 300)
    assert (turn.first_token_at_ms, turn.first_clause_at_ms) == (500, 600)
    assert (turn.first_audio_at_ms, turn.sent_at_ms, turn.played_at_ms) == (720, 721, 725)


def test_words_that_come_after_the_decision_are_the_next_turns() -> None:
    turns = Turns()
    turns.transcribed(1200)
    turns.transcribed(1310)
    turns.taken_up("s1", 1300)
    turns.answered("s1")
    assert turns.only().stt_final_at_ms == 200


def test_answer_prepared_early_costs_only_what_was_left() -> None:
    turns = Turns()
    turns.transcribed(1150)
    turns.ms = 1150
    turns.clock.requested("s1")
    turns.ms = 1280
    turns.clock.token("s1")
    turns.taken_up("s1", 1300)
    turns.spoken("s1", 1310)
    turn = turns.only()
    assert (turn.requested_at_ms, turn.first_token_at_ms, turn.decided_at_ms) == (150, 280, 300)
    assert (turn.llm_ttft_ms, turn.clause_ms) == (0, 10)
    stages(turn)


def test_draft_that_was_thrown_away_leaves_no_trace() -> None:
    turns = Turns()
    turns.ms = 1100
    turns.clock.requested("draft")
    turns.clock.token("draft")
    turns.clock.voiced("draft", 0.0)
    turns.taken_up("s2", 1300)
    turns.answered("s2")
    turn = turns.only()
    assert (turn.requested_at_ms, turn.first_token_at_ms) == (300, 500)


def test_tools_are_a_stage_of_their_own() -> None:
    turns = Turns()
    turns.taken_up("s1", 1300)
    turns.clock.requested("s1")
    turns.ms = 1450
    turns.clock.tool_asked("s1")
    turns.clock.tool_asked("s1")
    turns.ms = 2450
    turns.answered("s1", requested_ms=2450)
    turn = turns.only()
    assert (turn.tool_ms, turn.llm_ttft_ms, turn.first_token_at_ms) == (1000, 350, 1650)
    stages(turn)


def test_tool_after_the_first_words_delays_nothing() -> None:
    turns = Turns()
    turns.taken_up("s1", 1300)
    turns.clock.requested("s1")
    turns.ms = 1400
    turns.clock.token("s1")
    turns.clock.tool_asked("s1")
    turns.spoken("s1", 1500)
    turns.answered("s1", requested_ms=4000)
    assert turns.only().tool_ms is None


def test_line_that_a_tool_says_is_the_answer() -> None:
    turns = Turns()
    turns.taken_up("s1", 1300)
    turns.clock.requested("s1")
    turns.ms = 1400
    turns.clock.tool_asked("s1")
    turns.clock.belongs("said", to="s1")
    turns.spoken("said", 1500)
    turn = turns.only()
    assert (turn.llm_ttft_ms, turn.tool_ms, turn.first_token_at_ms) == (100, 100, None)
    stages(turn)


def test_lines_that_answer_nobody_are_not_turns() -> None:
    turns = Turns()
    turns.clock.belongs("prompt", to="")
    turns.spoken("prompt", 1300)
    turns.clock.heard("", 900, 0)
    turns.clock.taken_up("", {}, 0.0)
    assert turns.told == []


def test_turn_is_told_once_and_numbered() -> None:
    turns = Turns()
    for number, speech in enumerate(("s1", "s2"), 1):
        turns.taken_up(speech, 1300)
        turns.answered(speech)
        turns.clock.heard(speech, 2000, 0)
        assert turns.told[-1].turn == number == len(turns.told)


def test_end_of_speech_is_the_detectors_where_the_audio_does_not_show_it() -> None:
    turns = Turns(voice_end_ms=None)
    turns.taken_up("s1", 1300)
    turns.answered("s1")
    turn = turns.only()
    assert (turn.response_ms, turn.decided_at_ms) == (625, 170)
    assert turn.detail == {"speech_end": "vad"}


def test_words_too_quiet_to_show_are_dated_by_the_detector() -> None:
    turns = Turns(voice_end_ms=200)
    turns.taken_up("s1", 1300)
    turns.answered("s1")
    assert turns.only().detail == {"speech_end": "vad"}


def test_noise_after_the_voice_is_not_its_end() -> None:
    turns = Turns(voice_end_ms=600)
    turns.taken_up("s1", 1300, voice_ms=480)
    turns.answered("s1")
    assert turns.only().decided_at_ms == pytest.approx(820)


def test_without_a_voice_detector_the_audio_alone_tells() -> None:
    turns = Turns()
    turns.taken_up("s1", 1300, voice_ms=None)
    turns.answered("s1")
    assert turns.only().response_ms == 755


def test_where_nobody_knows_when_speech_ended_the_rest_is_told() -> None:
    turns = Turns(voice_end_ms=None)
    turns.taken_up("s1", 1300, voice_ms=None)
    turns.answered("s1")
    turn = turns.only()
    assert (turn.response_ms, turn.stt_ms, turn.played_at_ms) == (None, None, None)
    assert (turn.llm_ttft_ms, turn.tts_ttfb_ms) == (200, 120)


def test_voice_that_names_no_time_for_its_text_costs_all_of_it() -> None:
    turns = Turns()
    turns.taken_up("s1", 1300)
    turns.clock.requested("s1")
    turns.ms = 1500
    turns.clock.token("s1")
    turns.ms = 1700
    turns.clock.voiced("s1", None)
    turns.clock.heard("s1", 1705, 0)
    turn = turns.only()
    assert (turn.clause_ms, turn.first_clause_at_ms, turn.tts_ttfb_ms) == (None, None, 200)
    stages(turn)


def test_old_speeches_are_forgotten() -> None:
    turns = Turns()
    turns.taken_up("s1", 1300)
    for number in range(100):
        turns.clock.requested(f"draft-{number}")
    turns.answered("s1")
    assert turns.told == []
