"""A turn split into stages by the stand-ins' journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.peer.caller import Recording, Utterance
from bench.peer.stage import STAGES, Journal, medians
from bench.peer.turn import Judged, Turn

ANSWERED_AT = 1_000_000.0
STEPS = [
    (4.01, "stt", "speech_end", "R1", "T1"),
    (4.02, "stt", "speech_end", "R2", "T1"),  # somebody else's
    (4.16, "stt", "final", "R1", "T1"),
    (4.26, "llm", "request", "R1", "T1"),
    (4.46, "llm", "first_token", "R1", "T1"),
    (4.56, "tts", "text", "R1", "T1"),
    (4.68, "tts", "first_audio", "R1", "T1"),
    (4.90, "tts", "text", "R1", "T1"),
]


def journal(path: Path) -> Journal:
    file = path / "journal.jsonl"
    lines = [
        {"t": ANSWERED_AT + at, "vendor": vendor, "what": what, "ref": ref, "turn": turn}
        for at, vendor, what, ref, turn in reversed(STEPS)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Journal.read(file)


def call_and_turn(tone_hz: float = 340.0) -> tuple[Judged, Turn]:
    utterance = Utterance("plain", "words", 2.0, 4.0, 0.0, 2.0)
    turn = Turn(0, utterance, 4.7, False, None, tone_hz)
    recording = Recording(0, early=False, answered_at=ANSWERED_AT)
    return Judged(recording, 0.1, (turn,), 1.0, tone_hz, 0), turn


def test_stages_add_up_to_mouth_to_ear(tmp_path: Path) -> None:
    call, turn = call_and_turn()

    split = journal(tmp_path).split(call, turn)

    assert split is not None
    assert list(split) == list(STAGES)
    assert [round(stage) for stage in split.values()] == [10, 150, 100, 200, 100, 120, 20]
    assert sum(split.values()) == pytest.approx(1000 * (turn.mouth_to_ear_s or 0))


def test_turn_answered_in_a_tone_of_nobody_who_listened_then_does_not_belong(
    tmp_path: Path,
) -> None:
    book = journal(tmp_path)

    assert book.belongs(*call_and_turn(340.0))
    assert book.belongs(*call_and_turn(380.0))
    assert not book.belongs(*call_and_turn(420.0))


def test_medians_of_nothing_are_nothing() -> None:
    assert medians([]) == {}
