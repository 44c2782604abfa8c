"""Word errors, and sentences found again in a recording."""

from __future__ import annotations

import numpy as np
import pytest

from bench.wer import compared, errors, voice, wer
from contracts.wav import HEADER_BYTES


@pytest.mark.parametrize(
    ("said", "heard", "wrong"),
    [
        ("Yes please.", "yes, please", 0),
        ("It is five o'clock.", "it is 5 oclock", 0),
        ("I would like to go.", "I would to go", 1),
        ("I would like to go.", "I would like to go now", 1),
        ("My name is Robert.", "my name is rabbit", 1),
        ("Yes please.", "", 2),
    ],
)
def test_words_are_compared_as_they_are_spoken(said: str, heard: str, wrong: int) -> None:
    assert errors(said, heard)[0] == wrong


def test_rate_is_of_all_words() -> None:
    assert wer([("one two three", "one two"), ("four", "four")]) == 25.0


def recorded(*sentences: str) -> bytes:
    """Return a recording of a caller who said these, while the bot was silent."""
    pcm = bytearray(8000)
    for sentence in sentences:
        pcm += voice(sentence) + bytes(2 * 8000 * 2)
    caller = np.frombuffer(bytes(pcm), "<i2")
    both = np.stack([caller, np.zeros_like(caller)], axis=1)
    return bytes(HEADER_BYTES) + both.tobytes()


def test_sentences_of_a_recording_are_told_apart() -> None:
    said = ["Yes please.", "My name is Robert Miller."]
    heard = compared(said, recorded(*said))
    assert [each.sentence for each in heard] == said
    assert wer([(each.direct, each.called) for each in heard]) == 0
    assert all(each.is_exact for each in heard)


def test_recording_that_lacks_a_sentence_is_not_taken() -> None:
    with pytest.raises(ValueError, match="2 sentences were said, 1 are there"):
        compared(["Yes please.", "No."], recorded("Yes please."))
