"""The judge of a call, on waveforms made for it."""

from __future__ import annotations

import numpy as np

from bench.peer.caller import Recording, Utterance
from bench.peer.sound import Heard
from bench.peer.turn import Judged, judge, shared_tones
from bridges.audio.waveform import Span

RATE_HZ = 8000


def heard(*tones: tuple[float, float, float]) -> bytes:
    """Return a waveform of `(from, to, frequency)` tones with silence between."""
    samples = np.zeros(round(max(end for _, end, _ in tones) * RATE_HZ) + RATE_HZ)
    for start, end, hz in tones:
        at = np.arange(round(start * RATE_HZ), round(end * RATE_HZ))
        samples[at] = 8000 * np.sin(2 * np.pi * hz * at / RATE_HZ)
    return samples.astype("<i2").tobytes()


def said(start_s: float, end_s: float, kind: str = "plain") -> Utterance:
    return Utterance(kind, "words", start_s, end_s, 0.0, start_s)


def judged(pcm: bytes, *utterances: Utterance, number: int = 0) -> Judged:
    return judge(Recording(number, early=False, heard=pcm, utterances=list(utterances)))


def test_sound_is_found_with_its_tone() -> None:
    found = Heard.of(heard((0.5, 1.0, 340.0), (1.2, 1.5, 340.0), (2.0, 3.0, 1860.0)))

    assert found.spans == (Span(0.5, 1.5), Span(2.0, 3.0))
    assert [round(found.tone_hz(span)) for span in found.spans] == [340, 1860]


def test_turn_is_measured_from_the_last_sound_to_the_first() -> None:
    call = judged(heard((0.2, 1.0, 250.0), (4.7, 6.0, 340.0)), said(2.0, 4.0))

    (turn,) = call.turns
    assert call.greeting_s == 0.2
    assert round(turn.mouth_to_ear_s or 0, 3) == 0.7
    assert (turn.false_end, turn.barge_in_s, call.unanswered) == (False, None, 0)


def test_interruption_lasts_until_the_bot_is_silent() -> None:
    question, protest = said(1.0, 2.0, "interrupt"), said(4.0, 5.0, "protest")

    first, second = judged(heard((2.5, 4.25, 340.0), (5.5, 6.0, 340.0)), question, protest).turns

    assert first.mouth_to_ear_s == 0.5
    assert second.barge_in_s == 0.25
    assert second.mouth_to_ear_s == 0.5


def test_answer_inside_a_sentence_is_a_false_end_and_no_answer_time() -> None:
    call = judged(heard((1.6, 1.9, 340.0), (3.5, 4.0, 340.0)), said(1.0, 3.0, "hesitant"))

    (turn,) = call.turns
    assert turn.false_end
    assert turn.mouth_to_ear_s is None
    assert call.unanswered == 0


def test_sentence_without_an_answer_is_counted() -> None:
    call = judged(heard((0.1, 0.5, 250.0), (9.0, 9.5, 340.0)), said(1.0, 2.0), said(7.0, 8.0))

    assert call.unanswered == 1


def test_bot_that_does_not_stop_has_not_answered() -> None:
    question, protest = said(1.0, 2.0, "interrupt"), said(3.0, 4.0, "protest")

    _, turn = judged(heard((2.5, 6.0, 340.0)), question, protest).turns

    assert (turn.barge_in_s, turn.mouth_to_ear_s) == (3.0, None)


def test_answers_in_another_calls_tone_are_foreign() -> None:
    pcm = heard((2.5, 3.0, 340.0), (5.5, 6.0, 340.0), (8.5, 9.0, 380.0))

    call = judged(pcm, said(1.0, 2.0), said(4.0, 5.0), said(7.0, 8.0))

    assert (call.tone_hz, call.foreign) == (340.0, 1)


def test_calls_that_share_a_tone_are_counted() -> None:
    tones = (340.0, 340.0, 380.0)
    calls = [judged(heard((2.5, 3.0, tone)), said(1.0, 2.0)) for tone in tones]

    assert shared_tones(calls) == 2


def test_call_that_failed_at_once_has_no_figures() -> None:
    call = judged(b"")

    assert (call.greeting_s, call.turns, call.speech_s) == (None, (), 0)
