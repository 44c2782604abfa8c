"""A call judged: for each thing the caller said, when and how the bot answered. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from bench.peer.caller import Recording, Utterance
from bench.peer.sound import Heard
from bridges.audio.waveform import Span

SAME_TONE_HZ = 12.0
ANSWER_TIMEOUT_S = 6.0
"""An answer that comes later than this is none."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance and its answer; times in seconds since the answer of the phone.

    Attributes:
        answered_s: first sound of the answer after the utterance's end; None where none came, or
            where the bot was already talking.
        false_end: the bot began to talk before the utterance was over.
        barge_in_s: from the utterance's first sound until the bot was silent, where it was talking.
        tone_hz: the answer's tone.
    """

    call: int
    utterance: Utterance
    answered_s: float | None
    false_end: bool
    barge_in_s: float | None
    tone_hz: float

    @property
    def mouth_to_ear_s(self) -> float | None:
        """From the utterance's last sound to the answer's first."""
        return None if self.answered_s is None else self.answered_s - self.utterance.end_s


@dataclass(frozen=True, slots=True)
class Judged:
    """One call's figures.

    Attributes:
        greeting_s: from the answer to the greeting's first sound; None where none came.
        tone_hz: what most of its turns were answered in: the call's own.
        foreign: turns that were answered in another call's tone.
    """

    recording: Recording
    greeting_s: float | None
    turns: tuple[Turn, ...]
    speech_s: float
    tone_hz: float
    foreign: int

    @property
    def unanswered(self) -> int:
        """How many utterances got no answer."""
        return sum(turn.answered_s is None and not turn.false_end for turn in self.turns)


def judge(recording: Recording) -> Judged:
    """Work out one call's figures from its waveform."""
    heard = Heard.of(recording.heard)
    said = recording.utterances
    ends = [*(utterance.start_s for utterance in said[1:]), float("inf")][: len(said)]
    turns = [
        _turn(recording.number, utterance, next_s, heard)
        for utterance, next_s in zip(said, ends, strict=True)
    ]
    first = heard.spans[0].start_s if heard.spans else None
    greeted = first is not None and (not said or first < said[0].start_s)
    tones = [turn.tone_hz for turn in turns if turn.tone_hz]
    own = Counter(round(tone / 20) * 20 for tone in tones).most_common(1)
    own_hz = float(own[0][0]) if own else 0.0
    foreign = sum(abs(tone - own_hz) > SAME_TONE_HZ for tone in tones)
    return Judged(
        recording, first if greeted else None, tuple(turns), heard.speech_s, own_hz, foreign
    )


def shared_tones(calls: list[Judged]) -> int:
    """Return how many calls were answered in a tone that was another call's as well."""
    counted = Counter(call.tone_hz for call in calls if call.tone_hz)
    return sum(count for count in counted.values() if count > 1)


def _turn(call: int, utterance: Utterance, next_s: float, heard: Heard) -> Turn:
    talking = _at(heard, utterance.start_s)
    barge_in_s = None if talking is None else talking.end_s - utterance.start_s
    began = [span for span in heard.spans if utterance.start_s < span.start_s < next_s]
    false_end = any(span.start_s < utterance.end_s for span in began)
    overrun = talking is not None and talking.end_s > utterance.end_s
    answers = [
        span
        for span in began
        if utterance.end_s <= span.start_s < utterance.end_s + ANSWER_TIMEOUT_S
    ]
    answered_s = answers[0].start_s if answers and not false_end and not overrun else None
    tone = heard.tone_hz(answers[0]) if answers else 0.0
    return Turn(call, utterance, answered_s, false_end, barge_in_s, tone)


def _at(heard: Heard, moment_s: float) -> Span | None:
    return next((span for span in heard.spans if span.start_s < moment_s < span.end_s), None)
