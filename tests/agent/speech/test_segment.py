"""The segmenter: where speech starts, pauses and ends, by probabilities alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from agent.speech.segment import Cue, Segmenter, SegmentRule, windows


def heard(segmenter: Segmenter, *runs: tuple[float, float]) -> list[Cue]:
    """Return the cues of runs of (probability, seconds)."""
    return [
        cue
        for probability, seconds in runs
        for _ in range(windows(seconds))
        for cue in segmenter.hear(probability)
    ]


def test_speech_starts_after_two_voiced_windows() -> None:
    segmenter = Segmenter(SegmentRule())
    assert segmenter.hear(0.9) == []
    assert segmenter.hear(0.9) == [Cue.STARTED]
    assert segmenter.voiced == 2


def test_single_voiced_windows_start_nothing() -> None:
    segmenter = Segmenter(SegmentRule())
    assert heard(segmenter, *[(0.9, 0.03), (0.1, 0.03)] * 5) == []


def test_voice_that_wavers_keeps_on_above_the_lower_threshold() -> None:
    segmenter = Segmenter(SegmentRule())
    assert Cue.PAUSED not in heard(segmenter, (0.9, 0.2), (0.4, 0.5))


def test_first_interim_comes_within_300_ms_and_then_every_400() -> None:
    segmenter = Segmenter(SegmentRule())
    cues = [segmenter.hear(0.9) for _ in range(windows(1.2))]
    at = [number for number, found in enumerate(cues, 1) if Cue.INTERIM in found]
    assert at[0] <= windows(0.3)
    assert [later - earlier for earlier, later in pairwise(at)] == [12, 12]


def test_long_speech_is_looked_at_less_often() -> None:
    segmenter = Segmenter(SegmentRule())
    assert heard(segmenter, (0.9, 10.0)).count(Cue.INTERIM) < 15


def test_pause_is_announced_once_and_undone_by_voice() -> None:
    segmenter = Segmenter(SegmentRule())
    cues = heard(segmenter, (0.9, 0.2), (0.0, 0.3), (0.9, 0.1))
    assert cues == [Cue.STARTED, Cue.PAUSED, Cue.RESUMED, Cue.INTERIM]


def test_gap_shorter_than_a_pause_means_nothing() -> None:
    segmenter = Segmenter(SegmentRule())
    assert heard(segmenter, (0.9, 0.1), (0.0, 0.03), (0.9, 0.03)) == [Cue.STARTED]


def test_silence_ends_an_utterance() -> None:
    segmenter = Segmenter(SegmentRule(end_s=0.5))
    assert heard(segmenter, (0.9, 0.2), (0.0, 0.6))[-1] is Cue.ENDED


def test_long_speech_is_cut_at_the_next_pause() -> None:
    segmenter = Segmenter(SegmentRule(cut_s=2.0))
    cues = heard(segmenter, (0.9, 2.5), (0.0, 0.064))
    assert cues[-2:] == [Cue.PAUSED, Cue.ENDED]


def test_speech_without_any_pause_is_cut_at_the_limit() -> None:
    segmenter = Segmenter(SegmentRule(max_s=3.0))
    assert heard(segmenter, (0.9, 3.0))[-1] is Cue.ENDED


@pytest.mark.parametrize(("seconds", "is_speech"), [(0.064, False), (0.096, True)])
def test_short_noise_is_no_speech(seconds: float, is_speech: bool) -> None:
    segmenter = Segmenter(SegmentRule())
    heard(segmenter, (0.9, seconds), (0.0, 0.2))
    assert segmenter.is_speech is is_speech


def test_reset_forgets_the_utterance() -> None:
    segmenter = Segmenter(SegmentRule())
    heard(segmenter, (0.9, 0.5))
    segmenter.reset()
    assert not segmenter.speaking
    assert not segmenter.is_speech
    assert heard(segmenter, (0.9, 0.1)) == [Cue.STARTED]
