"""When an STT that answers nothing is given up."""

from __future__ import annotations

from agent.unheard import Unheard


def test_third_stretch_of_speech_in_a_row_without_words_is_too_much() -> None:
    unheard = Unheard()
    assert [unheard.missed(speech_s) for speech_s in (0.8, 1.6, 2.4)] == [False, False, True]


def test_coughs_do_not_count() -> None:
    unheard = Unheard()
    assert not any(unheard.missed(0.2 * count) for count in range(1, 5))
    assert not unheard.is_suspicious


def test_words_start_the_count_anew() -> None:
    unheard = Unheard()
    unheard.missed(0.8)
    unheard.missed(1.6)
    assert unheard.is_suspicious
    unheard.heard()
    assert not unheard.is_suspicious
    assert not unheard.missed(0.8)
