"""When a frame was heard, whatever held its delivery up."""

from __future__ import annotations

import pytest

from agent.frame_clock import FrameClock

FRAME_S = 0.02


def test_frames_are_dated_by_the_audio_before_them() -> None:
    clock = FrameClock()
    jitter = [0.0, 0.005, 0.012, 0.0, 0.03, 0.001]
    dated = [clock.ends_at(FRAME_S, 10 + n * FRAME_S + late) for n, late in enumerate(jitter)]
    assert dated == pytest.approx([10 + n * FRAME_S for n in range(len(jitter))])


def test_burst_after_a_stall_belongs_where_it_was_said() -> None:
    clock = FrameClock()
    for number in range(100):
        clock.ends_at(FRAME_S, number * FRAME_S)
    stalled_until = 100 * FRAME_S + 0.8
    burst = [clock.ends_at(FRAME_S, stalled_until) for _ in range(40)]
    assert burst[0] == pytest.approx(100 * FRAME_S)
    assert burst[-1] == pytest.approx(139 * FRAME_S)
    assert clock.ends_at(FRAME_S, 140 * FRAME_S) == pytest.approx(140 * FRAME_S)


def test_frame_that_comes_early_moves_all_that_follow() -> None:
    clock = FrameClock()
    clock.ends_at(FRAME_S, 5.0)
    assert clock.ends_at(FRAME_S, 5.001) == 5.001
    assert clock.ends_at(FRAME_S, 5.03) == pytest.approx(5.021)


def test_audio_that_is_missing_is_a_gap_once_it_is_sure() -> None:
    clock = FrameClock()
    for number in range(50):
        clock.ends_at(FRAME_S, number * FRAME_S)
    late = [clock.ends_at(FRAME_S, 3 + number * FRAME_S) for number in range(150)]
    assert late[0] == pytest.approx(50 * FRAME_S)
    assert late[-1] == pytest.approx(3 + 149 * FRAME_S)
