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


def test_third_clear_utterance_is_the_last_chance_of_an_stt_that_never_found_words() -> None:
    unheard = Unheard()
    assert [unheard.spoke(1.2, 2.0) for _ in range(4)] == [False, False, True, True]
    assert unheard.spoke(0.3, 2.0), "somebody still waits"


def test_coughs_and_one_long_babble_are_no_utterances() -> None:
    unheard = Unheard()
    assert not any(unheard.spoke(0.8, 5.0) for _ in range(10))
    assert not any(unheard.spoke(4.0, 0.5) for _ in range(10))


def test_stt_that_found_words_once_is_not_given_up_for_utterances() -> None:
    unheard = Unheard()
    unheard.heard()
    assert not any(unheard.spoke(2.0, 2.0) for _ in range(10))


def test_answers_without_words_are_no_silence_and_prove_nothing() -> None:
    unheard = Unheard()
    for _ in range(2):
        assert not unheard.spoke(1.2, 2.0)
        assert not unheard.missed(1.2)
        unheard.listened()
    assert unheard.spoke(1.2, 2.0)
    assert not unheard.missed(1.2)
