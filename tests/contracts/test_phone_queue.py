"""What a phone tells of what it has played, and the clock that stands in for it: by arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.media import Finished, Pause, Resume, Speech, SpeechEnd
from contracts.phone_queue import MARK_PATIENCE_S, MAX_CATCH_UP_S, PhoneQueue
from contracts.playout import FRAME_S, Frame, Marked, Playout, PlayoutEvent

LONG = 3200
FRAME = 320


def run(playout: Playout, until: float) -> list[tuple[float, PlayoutEvent]]:
    """Wake exactly when asked to, as a perfect driver would."""
    events: list[tuple[float, PlayoutEvent]] = []
    while (due := playout.deadline()) is not None and due <= until:
        events += [(round(due, 6), event) for event in playout.tick(due)]
    return events


def times_of_frames(events: list[tuple[float, PlayoutEvent]]) -> list[float]:
    return [at for at, event in events if isinstance(event, Frame)]


def marked(every_s: float = 0.2) -> Playout:
    playout = Playout()
    playout.resize(LONG, 400, mark_every_s=every_s)
    playout.start(0.0)
    return playout


def marks_of(events: list[tuple[float, PlayoutEvent]]) -> list[tuple[float, int]]:
    return [(at, event.mark) for at, event in events if isinstance(event, Marked)]


def test_mark_that_does_not_come_is_missed_once_and_then_not_waited_for() -> None:
    playout = marked()
    for segment in (1, 2):
        playout.accept(Speech(segment, bytes(LONG)), 1.0)
        playout.accept(SpeechEnd(segment), 1.0)

    events = run(playout, 9.0)

    ends = [at for at, event in events if isinstance(event, Finished)]
    assert ends == pytest.approx([1.2 + MARK_PATIENCE_S] * 2)
    assert playout.missed_marks == 2
    # A phone that begins to answer is believed again.
    playout.accept(Speech(3, bytes(LONG)), 10.0)
    playout.accept(SpeechEnd(3), 10.0)
    run(playout, 10.0)
    assert playout.deadline() == pytest.approx(10.2)
    assert playout.confirm(3, 10.1)
    assert playout.deadline() == pytest.approx(10.2)  # sooner than sound it cannot be


def test_late_mark_sets_the_clock_back_and_an_early_one_forth() -> None:
    playout = marked()
    playout.accept(Speech(1, bytes(6 * LONG)), 1.0)
    run(playout, 1.0)
    before = playout.position(1.3)

    assert playout.confirm(1, 1.3)  # 100 ms later than the clock had it
    assert playout.position(1.3) == before == (1, 2400)
    assert playout.position(1.4) == (1, 2400)
    assert playout.position(1.45) == (1, 2800)
    assert playout.deadline() == pytest.approx(1.3)

    assert playout.confirm(2, 1.45)
    assert playout.position(1.45) == (1, 3200)
    assert playout.confirm(3, 1.46)  # not before 0.6 s of audio can be over
    assert playout.position(1.46) == (1, 3680)
    assert playout.position(1.6) == (1, 4800)


def test_mark_skipped_by_the_phone_is_told_by_the_next() -> None:
    playout = marked()
    playout.accept(Speech(1, bytes(3 * LONG)), 1.0)
    playout.accept(SpeechEnd(1), 1.0)
    run(playout, 1.0)

    assert playout.confirm(3, 1.7)
    assert not playout.confirm(2, 1.7)
    assert playout.tick(1.7) == [Finished(1, 4800, interrupted=False)]


def test_mark_long_after_its_time_tells_nothing_but_that_the_phone_knows_marks() -> None:
    playout = marked()
    playout.accept(Speech(1, bytes(LONG)), 1.0)
    playout.accept(SpeechEnd(1), 1.0)
    run(playout, 5.0)

    assert not playout.confirm(1, 5.0)
    assert not playout.confirm(0, 5.0)
    playout.accept(Speech(2, bytes(LONG)), 6.0)
    playout.accept(SpeechEnd(2), 6.0)
    run(playout, 6.0)
    assert playout.deadline() == pytest.approx(6.2 + MARK_PATIENCE_S)


def test_what_follows_a_pause_is_not_moved_by_a_mark_before_it() -> None:
    playout = marked()
    playout.accept(Speech(1, bytes(LONG)), 1.0)
    playout.accept(SpeechEnd(1), 1.0)
    run(playout, 1.0)
    playout.accept(Speech(2, bytes(2 * LONG)), 1.5)
    run(playout, 1.5)

    assert playout.confirm(1, 1.52)
    assert playout.position(1.62)[0] == 2
    assert playout.position(1.62)[1] == 800


def test_mark_of_what_was_taken_back_is_unknown() -> None:
    playout = marked()
    playout.accept(Speech(1, bytes(3 * LONG)), 1.0)
    run(playout, 1.0)
    playout.accept(Pause(), 1.1)

    assert not playout.confirm(2, 1.2)
    playout.accept(Resume(), 1.2)
    assert marks_of(run(playout, 1.2)) == [(1.2, 4), (1.2, 5)]


def test_segment_whose_end_comes_late_needs_no_mark_of_its_own() -> None:
    playout = marked(every_s=10.0)
    playout.accept(Speech(1, bytes(LONG)), 1.0)
    assert marks_of(run(playout, 1.0)) == [(1.0, 1)]
    assert playout.confirm(1, 1.25)
    playout.accept(SpeechEnd(1), 1.3)

    assert [event for _, event in run(playout, 1.3)] == [Finished(1, 1600, interrupted=False)]


def test_message_of_any_number_of_samples_keeps_time() -> None:
    playout = Playout(24_000)
    playout.resize(3200, 0)
    playout.start(0.0)
    playout.accept(Speech(1, bytes(3 * 3200)), 1.0)

    assert times_of_frames(run(playout, 9.0)) == [1.0, 1.066667, 1.133333]


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 30)), max_size=40))
def test_whatever_a_phone_says_every_segment_ends_once_and_positions_never_go_back(
    said: list[tuple[float, int]],
) -> None:
    playout, now, positions = marked(), 1.0, []
    for segment in (1, 2, 3):
        playout.accept(Speech(segment, bytes(3 * LONG + 100)), now)
        playout.accept(SpeechEnd(segment), now)
    events: list[tuple[float, PlayoutEvent]] = []
    for wait_s, mark in said:
        now += wait_s
        events += run(playout, now)
        playout.confirm(mark, now)
        positions.append(playout.position(now))
    # Sound takes its time: nothing is over before it can be.
    for at, event in events:
        if isinstance(event, Finished):
            assert at >= 1.0 + 0.6 * event.segment
    events += run(playout, now + 100.0)

    assert positions == sorted(positions)
    assert [e.segment for _, e in events if isinstance(e, Finished)] == [1, 2, 3]


def test_long_stall_starts_the_clock_anew_and_a_short_one_does_not() -> None:
    phone = PhoneQueue(8000)
    phone.send(1, 0, 1600, 0.2, 0.05, oldest=1)
    assert phone.due == pytest.approx(0.2)

    phone.send(1, 1600, 3200, 0.2, 1.0, oldest=1)
    assert phone.due == pytest.approx(1.2)
    phone.send(2, 0, 1600, 0.2, 2.0, oldest=1)
    assert len(phone) == 2  # the last of the first tells when it ends


def test_segment_without_a_sound_ends_after_what_came_before() -> None:
    phone = PhoneQueue(8000)
    assert phone.ends_at(1, 3.0) == 3.0

    phone.send(1, 0, 1600, 0.2, 3.0, oldest=1)
    assert phone.ends_at(2, 3.0) == pytest.approx(3.2)
    phone.finish(2, 3.1)
    assert phone.missed_marks == 0
    phone.clear()
    assert phone.position(9.0) == (0, 0)


def started(now: float = 0.0) -> Playout:
    playout = Playout()
    playout.start(now)
    return playout


def test_position_is_what_was_played_not_what_was_given_out() -> None:
    playout = started()
    assert playout.position(0.5) == (0, 0)
    playout.accept(Speech(1, bytes(2 * FRAME + 80)), 1.0)
    playout.accept(SpeechEnd(1), 1.0)
    run(playout, 1.0)
    assert [playout.position(at)[1] for at in (1.0, 1.005, 1.02, 1.5)] == [0, 40, 160, 160]
    run(playout, 1.02)
    assert playout.position(1.03) == (1, 240)
    playout.accept(Pause(), 1.03)
    assert playout.position(2.0) == (1, 320)
    playout.accept(Resume(), 2.0)
    run(playout, 2.0)
    assert [playout.position(at)[1] for at in (2.0, 2.0025, 2.005, 2.02)] == [320, 340, 360, 360]


def test_short_delay_is_caught_up_and_kept_on_schedule() -> None:
    playout = started()
    playout.accept(Speech(1, bytes(10 * FRAME)), 1.0)

    late = [event.late_s for event in playout.tick(1.05) if isinstance(event, Frame)]

    assert late == pytest.approx([0.05, 0.03, 0.01])
    assert playout.deadline() == pytest.approx(1.06)


def test_long_stall_costs_one_frame_and_piles_nothing_up() -> None:
    playout = started()
    playout.accept(Speech(1, bytes(50 * FRAME)), 1.0)

    (frame,) = playout.tick(1.0 + MAX_CATCH_UP_S + 0.2)

    assert isinstance(frame, Frame)
    assert frame.late_s == pytest.approx(MAX_CATCH_UP_S + 0.2)
    assert playout.deadline() == pytest.approx(1.0 + MAX_CATCH_UP_S + 0.2 + FRAME_S)


def test_played_messages_are_forgotten() -> None:
    playout = started()
    playout.accept(Speech(1, bytes(1000 * FRAME)), 0.0)

    run(playout, 15.0)

    assert len(playout._phone) <= 2
