"""When an STT that answers nothing is given up."""

from __future__ import annotations

from agent.unheard import Unheard


def test_third_stretch_of_speech_in_a_row_without_words_is_too_much() -> None:
    unheard = Unheard()
    assert [unheard.missed(0.8) for _ in range(3)] == [False, False, True]


def test_coughs_do_not_count() -> None:
    unheard = Unheard()
    assert not any(unheard.missed(0.2) for _ in range(10))
    assert not unheard.is_suspicious


def test_words_start_the_count_anew() -> None:
    unheard = Unheard()
    unheard.missed(0.8)
    unheard.missed(0.8)
    assert unheard.is_suspicious
    unheard.heard()
    assert not unheard.is_suspicious
    assert not unheard.missed(0.8)
