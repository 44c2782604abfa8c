"""The playback clock, by arithmetic: every `now` is ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.media import Clear, DownPacket, Finished, Pause, Resume, Speech, SpeechEnd
from contracts.phone_queue import MARK_PATIENCE_S
from contracts.playout import Frame, Marked, Playout, PlayoutEvent, Stopped

FRAME = 320


def started(now: float = 0.0) -> Playout:
    playout = Playout()
    playout.start(now)
    return playout


def run(playout: Playout, until: float) -> list[tuple[float, PlayoutEvent]]:
    """Wake exactly when asked to, as a perfect driver would."""
    events: list[tuple[float, PlayoutEvent]] = []
    while (due := playout.deadline()) is not None and due <= until:
        events += [(round(due, 6), event) for event in playout.tick(due)]
    return events


def times_of_frames(events: list[tuple[float, PlayoutEvent]]) -> list[float]:
    return [at for at, event in events if isinstance(event, Frame)]


def test_speech_plays_one_frame_each_20_ms_and_finishes_when_the_last_is_over() -> None:
    playout = started()
    pcm = bytes(range(256)) * 4

    playout.accept(Speech(1, pcm), 1.0)
    playout.accept(SpeechEnd(1), 1.0)

    assert run(playout, 9.0) == [
        (1.0, Frame(pcm[:320], 0.0)),
        (1.02, Frame(pcm[320:640], 0.0)),
        (1.04, Frame(pcm[640:960], 0.0)),
        (1.06, Frame(pcm[960:] + bytes(256), 0.0)),
        (1.08, Finished(1, 512, interrupted=False)),
    ]
    assert playout.position(9.0) == (1, 512)
    assert playout.deadline() is None


def test_nothing_plays_before_answer() -> None:
    playout = Playout()
    playout.accept(Speech(1, bytes(FRAME)), 1.0)
    assert playout.deadline() is None
    assert playout.tick(5.0) == []

    playout.start(6.0)
    assert playout.deadline() == 6.0


def test_less_than_a_frame_waits_for_more() -> None:
    playout = started()
    playout.accept(Speech(1, bytes(FRAME - 2)), 1.0)
    assert playout.deadline() is None

    playout.accept(Speech(1, bytes(2)), 1.5)
    assert playout.deadline() == 1.5


def test_speech_that_comes_late_is_an_underrun_and_is_never_hurried() -> None:
    playout = started()
    playout.accept(Speech(1, bytes(FRAME)), 1.0)
    playout.tick(1.0)

    playout.accept(Speech(1, bytes(FRAME)), 1.005)
    assert (playout.deadline(), playout.underruns) == (1.02, 0)
    playout.tick(1.02)

    playout.accept(Speech(1, bytes(FRAME)), 2.0)
    assert (playout.deadline(), playout.underruns) == (2.0, 1)


def test_segments_follow_each_other_without_a_gap() -> None:
    playout = started()
    for segment in (1, 2):
        playout.accept(Speech(segment, bytes(FRAME)), 1.0)
        playout.accept(SpeechEnd(segment), 1.0)

    events = run(playout, 9.0)

    assert times_of_frames(events) == [1.0, 1.02]
    assert [event for _, event in events if isinstance(event, Finished)] == [
        Finished(1, 160, interrupted=False),
        Finished(2, 160, interrupted=False),
    ]


def test_newer_segment_completes_the_one_before() -> None:
    playout = started()
    playout.accept(Speech(1, bytes(10)), 1.0)
    playout.accept(Speech(2, bytes(FRAME)), 1.0)
    playout.accept(Speech(1, bytes(FRAME)), 1.0)  # too late for segment 1

    finished = [event for _, event in run(playout, 9.0) if isinstance(event, Finished)]
    assert finished == [Finished(1, 5, interrupted=False)]


def test_empty_segment_finishes_at_once() -> None:
    playout = started()
    playout.accept(SpeechEnd(1), 1.0)

    assert run(playout, 9.0) == [(1.0, Finished(1, 0, interrupted=False))]


def test_clear_drops_everything_up_to_its_segment_and_tells_the_positions() -> None:
    playout = started()
    for segment in (1, 2, 3):
        playout.accept(Speech(segment, bytes(10 * FRAME)), 1.0)
    playout.tick(1.0)

    assert playout.accept(Clear(2), 1.01) == [
        Stopped(),
        Finished(1, 160, interrupted=True),
        Finished(2, 0, interrupted=True),
    ]
    playout.accept(Speech(2, bytes(FRAME)), 1.01)  # was on its way
    playout.accept(SpeechEnd(2), 1.01)
    assert run(playout, 1.02)[0] == (1.02, Frame(bytes(FRAME), 0.0))
    assert playout.position(1.03)[0] == 3


def test_clear_is_answered_even_before_its_speech_and_only_once() -> None:
    playout = started()

    assert playout.accept(Clear(1), 1.0) == [Finished(1, 0, interrupted=True)]
    assert playout.accept(Clear(1), 1.0) == []


def test_clear_after_the_end_was_answered_by_the_end() -> None:
    playout = started()
    playout.accept(Speech(1, bytes(FRAME)), 1.0)
    playout.accept(SpeechEnd(1), 1.0)
    run(playout, 9.0)

    assert playout.accept(Clear(1), 9.0) == []


def test_pause_stops_the_phone_at_once_and_resume_goes_on_where_it_stood() -> None:
    playout = started()
    pcm = bytes(range(160)) * 6
    playout.accept(Speech(1, pcm), 1.0)
    playout.tick(1.0)

    assert playout.accept(Pause(), 1.005) == [Stopped()]
    assert playout.accept(Pause(), 1.006) == []
    assert playout.deadline() is None
    assert playout.tick(5.0) == []

    assert playout.accept(Resume(), 5.0) == []
    assert playout.tick(5.0) == [Frame(pcm[320:640], 0.0)]
    assert playout.underruns == 0


def test_resume_at_once_does_not_run_ahead() -> None:
    playout = started()
    playout.accept(Speech(1, bytes(2 * FRAME)), 1.0)
    playout.tick(1.0)

    playout.accept(Pause(), 1.001)
    playout.accept(Resume(), 1.002)

    assert playout.deadline() == 1.02


def test_pause_of_a_silent_bot_tells_the_phone_nothing() -> None:
    assert started().accept(Pause(), 1.0) == []


def test_clear_ends_a_pause() -> None:
    playout = started()
    playout.accept(Speech(1, bytes(2 * FRAME)), 1.0)
    playout.tick(1.0)
    playout.accept(Pause(), 1.0)

    assert playout.accept(Clear(1), 2.0) == [Finished(1, 160, interrupted=True)]
    playout.accept(Speech(2, bytes(FRAME)), 3.0)
    assert playout.deadline() == 3.0


def test_new_agent_counts_from_one_again() -> None:
    playout = started()
    playout.accept(Speech(7, bytes(9 * FRAME)), 1.0)
    playout.tick(1.0)

    assert playout.reset(1.0) == [Stopped()]
    assert playout.position(2.0) == (0, 0)
    playout.accept(Speech(1, bytes(FRAME)), 2.0)
    assert playout.deadline() == 2.0


def test_speech_beyond_the_limit_is_dropped_and_counted() -> None:
    playout = started()
    playout.accept(Speech(1, bytes(4_800_000 - 10)), 1.0)
    playout.accept(Speech(1, bytes(FRAME)), 1.0)
    playout.accept(Speech(1, bytes(FRAME)), 1.0)

    assert playout.dropped_bytes == 2 * FRAME - 10


LONG = 10 * FRAME


def long_messages() -> Playout:
    playout = Playout(message_ms=200, lead_ms=200)
    playout.start(0.0)
    return playout


def test_long_message_leaves_when_it_is_complete_and_the_phone_holds_one_at_most() -> None:
    playout = long_messages()
    playout.accept(Speech(1, bytes(LONG - 2)), 1.0)
    assert playout.deadline() is None

    playout.accept(Speech(1, bytes(3 * LONG)), 1.1)
    playout.accept(SpeechEnd(1), 1.1)

    assert run(playout, 9.0) == [
        (1.1, Frame(bytes(LONG), 0.0)),
        (1.1, Frame(bytes(LONG), 0.0)),
        (1.3, Frame(bytes(LONG), 0.0)),
        (1.5, Frame(bytes(LONG), 0.0)),  # padded by a sample
        (1.9, Finished(1, 4 * 1600 - 1, interrupted=False)),
    ]


def test_position_within_long_messages_is_what_the_phone_has_played() -> None:
    playout = long_messages()
    playout.accept(Speech(1, bytes(2 * LONG + 320)), 1.0)
    playout.accept(SpeechEnd(1), 1.0)

    heard = []
    for at in (1.0, 1.05, 1.2, 1.3, 1.41, 1.6):
        run(playout, at)
        heard.append(playout.position(at))

    assert heard == [(1, samples) for samples in (0, 400, 1600, 2400, 3280, 3360)]


def test_pause_takes_back_what_the_phone_has_not_begun() -> None:
    playout = long_messages()
    pcm = bytes(LONG) + b"\x01" * LONG + b"\x02" * LONG
    playout.accept(Speech(1, pcm), 1.0)
    run(playout, 1.0)

    assert playout.accept(Pause(), 1.05) == [Stopped()]
    assert playout.position(3.0) == (1, 1600)  # the message that plays is played to its end
    playout.accept(Resume(), 3.0)

    assert [event for _, event in run(playout, 3.0)] == [
        Frame(b"\x01" * LONG, 0.0),
        Frame(b"\x02" * LONG, 0.0),
    ]


def test_resume_within_a_long_message_follows_it() -> None:
    playout = long_messages()
    playout.accept(Speech(1, bytes(3 * LONG)), 1.0)
    run(playout, 1.0)
    playout.accept(Pause(), 1.05)
    playout.accept(Resume(), 1.06)

    run(playout, 1.2)

    assert playout.position(1.3) == (1, 2400)


def test_clear_tells_the_end_of_the_message_that_plays() -> None:
    playout = long_messages()
    for segment in (1, 2):
        playout.accept(Speech(segment, bytes(LONG)), 1.0)
        playout.accept(SpeechEnd(segment), 1.0)
    run(playout, 1.1)

    assert playout.accept(Clear(1), 1.1) == [Stopped(), Finished(1, 1600, interrupted=True)]
    # The other's message was on the phone already, and is sent again.
    assert run(playout, 9.0) == [
        (1.1, Frame(bytes(LONG), 0.0)),
        (1.4, Finished(2, 1600, interrupted=False)),
    ]


def test_segment_ends_while_the_next_is_on_its_way() -> None:
    playout = long_messages()
    playout.accept(Speech(1, bytes(LONG)), 1.0)
    playout.accept(Speech(2, bytes(2 * LONG)), 1.0)
    playout.accept(SpeechEnd(2), 1.0)
    run(playout, 1.0)

    late = playout.tick(1.25)

    assert [type(event) for event in late] == [Finished, Frame]
    assert run(playout, 9.0) == [(1.6, Finished(2, 3200, interrupted=False))]


def test_message_size_may_change_before_the_first() -> None:
    playout = started()
    playout.resize(LONG, 200)
    playout.accept(Speech(1, bytes(LONG - FRAME)), 1.0)

    assert playout.deadline() is None


PACKETS = st.one_of(
    st.builds(Speech, st.integers(1, 4), st.integers(0, 400).map(lambda n: bytes(2 * n))),
    st.builds(SpeechEnd, st.integers(1, 4)),
    st.builds(Clear, st.integers(1, 4)),
    st.just(Pause()),
    st.just(Resume()),
)


@given(
    st.lists(st.tuples(st.floats(0, 0.5), PACKETS), max_size=30),
    st.sampled_from([(20, 0), (20, 20), (40, 120), (200, 200)]),
)
def test_no_message_is_ever_ahead_of_its_lead_and_every_segment_finishes_once(
    script: list[tuple[float, DownPacket]], size: tuple[int, int]
) -> None:
    playout, now = Playout(message_ms=size[0], lead_ms=size[1]), 0.0
    playout.start(now)
    events: list[tuple[float, PlayoutEvent]] = []
    for wait_s, packet in script:
        events += run(playout, now + wait_s)
        now += wait_s
        events += [(now, event) for event in playout.accept(packet, now)]
    events += [(now, event) for event in playout.accept(Resume(), now)]
    events += [(now, event) for event in playout.accept(SpeechEnd(5), now)]
    events += run(playout, now + 1000.0)

    message_s, lead_s = size[0] / 1000, size[1] / 1000
    phone_until = 0.0
    begins: list[float] = []
    for at, event in events:
        match event:
            case Frame():
                assert max(phone_until, at) - at <= lead_s + 1e-6
                begins.append(max(phone_until, at))
                phone_until = begins[-1] + message_s
            case Stopped():
                # What is not begun is dropped; what plays is played to its end.
                while begins and begins[-1] > at:
                    phone_until = begins.pop()
    finished = [event.segment for _, event in events if isinstance(event, Finished)]
    assert len(finished) == len(set(finished))
    assert finished == sorted(finished)
    assert 5 in finished


def marked(every_s: float = 0.2) -> Playout:
    playout = Playout()
    playout.resize(LONG, 400, mark_every_s=every_s)
    playout.start(0.0)
    return playout


def marks_of(events: list[tuple[float, PlayoutEvent]]) -> list[tuple[float, int]]:
    return [(at, event.mark) for at, event in events if isinstance(event, Marked)]


def test_phone_is_asked_for_a_mark_after_enough_audio_and_at_the_end() -> None:
    playout = marked(every_s=0.4)
    playout.accept(Speech(1, bytes(5 * LONG)), 1.0)
    playout.accept(SpeechEnd(1), 1.0)

    events = run(playout, 1.7)

    assert times_of_frames(events) == [1.0, 1.0, 1.0, 1.2, 1.4]
    assert marks_of(events) == [(1.0, 1), (1.2, 2), (1.4, 3)]


def test_segment_ends_when_the_phone_says_so() -> None:
    playout = marked()
    playout.accept(Speech(1, bytes(LONG)), 1.0)
    playout.accept(SpeechEnd(1), 1.0)
    run(playout, 1.3)
    assert playout.deadline() == pytest.approx(1.2 + MARK_PATIENCE_S)

    assert playout.confirm(1, 1.35)
    assert playout.tick(1.35) == [Finished(1, 1600, interrupted=False)]
    assert not playout.confirm(1, 1.4)
    assert playout.missed_marks == 0
