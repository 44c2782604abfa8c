"""Which lines answer a turn, and what is said of it."""

from __future__ import annotations

from datetime import UTC, datetime

from agent.latency import TurnClock

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def test_answer_is_measured_stage_by_stage() -> None:
    clock = TurnClock()
    clock.asked({"end_of_turn_delay": 0.3, "transcription_delay": 0.28})
    measured = clock.answered(
        {"e2e_latency": 0.4123, "llm_node_ttft": 0.01, "tts_node_ttfb": 0.02}, AT
    )
    assert measured is not None
    assert measured.turn == 1
    assert (measured.response_ms, measured.endpointing_ms, measured.stt_ms) == (412.3, 300.0, 280.0)
    assert (measured.llm_ttft_ms, measured.tts_ttfb_ms, measured.playback_ms) == (10.0, 20.0, None)


def test_greeting_answers_nobody() -> None:
    assert TurnClock().answered({"e2e_latency": 0.4}, AT) is None


def test_one_turn_is_answered_once() -> None:
    clock = TurnClock()
    clock.asked({})
    assert clock.answered({}, AT) is None
    assert clock.answered({"e2e_latency": 0.4}, AT) is not None
    assert clock.answered({"e2e_latency": 0.4}, AT) is None
