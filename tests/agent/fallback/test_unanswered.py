"""What a recogniser owes."""

from __future__ import annotations

import pytest
from livekit import rtc

from agent.fallback.unanswered import Silence, Tape

RATE_HZ = 8000


def push(tape: Tape, seconds: float, value: int = 0) -> None:
    for _ in range(round(seconds / 0.02)):
        data = value.to_bytes(2, "little") * (RATE_HZ // 50)
        tape.push(rtc.AudioFrame(data, RATE_HZ, 1, RATE_HZ // 50))


def test_quiet_is_kept_for_a_moment_and_a_turn_whole() -> None:
    tape = Tape()
    push(tape, 5)
    assert tape.length_s == pytest.approx(0.6, abs=0.03)
    tape.is_owed = True
    push(tape, 4)
    assert round(tape.length_s, 2) == 4.6
    assert len(tape.frames) == 230
    tape.settle(is_speaking=True)
    assert tape.length_s == pytest.approx(0.6, abs=0.03)
    assert tape.is_owed
    tape.settle()
    assert tape.length_s < 0.03
    assert not tape.is_owed


def test_endless_turn_is_kept_as_far_as_it_is_bounded() -> None:
    tape = Tape(kept_s=3.0)
    tape.is_owed = True
    push(tape, 10, 1)
    push(tape, 1, 2)
    assert round(tape.length_s, 2) == 3.0
    assert tape.frames[-1].data[0] == 2


def test_interim_words_are_due_while_the_caller_speaks() -> None:
    silence = Silence(1.5)
    assert silence.due(has_interims=True, final_s=3.0) is None
    silence.voice(True, 10.0)
    assert silence.is_speaking
    assert silence.due(has_interims=True, final_s=3.0) == 12.0
    assert silence.due(has_interims=False, final_s=3.0) is None
    silence.answered(11.0)
    assert silence.due(has_interims=True, final_s=3.0) == 13.0


def test_words_are_due_after_the_caller_has_spoken() -> None:
    silence = Silence(1.5)
    silence.voice(True, 10.0)
    silence.voice(False, 10.6)
    assert silence.due(has_interims=False, final_s=3.0) == 12.1
    silence.answered(11.0)
    assert silence.due(has_interims=True, final_s=3.0) is None


def test_final_words_are_due_where_interim_ones_came() -> None:
    silence = Silence(1.5)
    silence.voice(True, 10.0)
    silence.answered(10.5, is_final=False)
    silence.voice(False, 11.0)
    silence.answered(11.1, is_final=False)
    assert silence.due(has_interims=True, final_s=3.0) == 14.0
    silence.answered(11.2)
    assert silence.due(has_interims=True, final_s=3.0) is None


def test_pauses_within_a_sentence_do_not_put_the_moment_off() -> None:
    silence = Silence(1.5)
    silence.voice(True, 10.0)
    silence.voice(False, 11.0)
    silence.voice(True, 11.2)
    assert silence.due(has_interims=True, final_s=3.0) == 12.2


def test_of_a_cough_no_words_are_due() -> None:
    silence = Silence(1.5)
    silence.voice(True, 10.0)
    silence.voice(False, 10.2)
    assert silence.due(has_interims=True, final_s=3.0) is None


def test_quiet_is_when_nobody_has_spoken_for_a_while() -> None:
    silence = Silence(1.5)
    assert silence.is_quiet(0.0)
    silence.voice(True, 10.0)
    assert not silence.is_quiet(60.0)
    silence.voice(False, 60.0)
    assert not silence.is_quiet(62.0)
    assert silence.is_quiet(63.0)


def test_callers_wait_since_their_last_word() -> None:
    silence = Silence(1.5)
    assert silence.waited_s(5.0) == 0.0
    silence.voice(True, 10.0)
    assert silence.waited_s(12.0) == 0.0, "they still speak"
    silence.voice(False, 12.0)
    assert silence.waited_s(13.5) == 1.5
    silence.answered(13.6)
    assert silence.waited_s(14.0) == 0.0
