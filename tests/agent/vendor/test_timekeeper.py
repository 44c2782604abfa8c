"""Word times of a vendor on the utterance's clock."""

from __future__ import annotations

from typing import Any, cast

import pytest
from livekit.agents import tts
from livekit.agents.types import TimedString

from agent.vendor.timekeeper import Timekeeper

RATE_HZ = 8000


class Heard:
    """Keeps the words an emitter is given."""

    def __init__(self) -> None:
        self.words: list[tuple[str, float, float]] = []
        self.audio = b""
        self.calls: list[str] = []

    def push_timed_transcript(self, words: list[TimedString]) -> None:
        self.words += [
            (
                str(word),
                round(cast(float, word.start_time), 3),
                round(cast(float, word.end_time), 3),
            )
            for word in words
        ]

    def push(self, audio: bytes) -> None:
        self.audio += audio

    def initialize(self, **_: Any) -> None:
        self.calls.append("initialize")

    def start_segment(self, **_: Any) -> None:
        self.calls.append("start")

    def end_segment(self) -> None:
        self.calls.append("end")


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def keeper(heard: Heard) -> Timekeeper:
    return Timekeeper(cast(tts.AudioEmitter, heard), RATE_HZ)


def word(text: str, start_s: float, end_s: float) -> TimedString:
    return TimedString(text, start_time=start_s, end_time=end_s)


def audio(seconds: float) -> bytes:
    return bytes(round(2 * RATE_HZ * seconds))


def test_times_that_restart_with_each_message_are_put_in_a_row(
    keeper: Timekeeper, heard: Heard
) -> None:
    # Messages of one second; the second word straddles the first boundary, the last is left over.
    keeper.push_timed_transcript([word("one ", 0.0, 0.5)])
    keeper.push(audio(1.0))
    keeper.push_timed_transcript([word("two ", 0.5, 0.2), word("three ", 0.2, 0.6)])
    keeper.push(audio(1.0))
    keeper.push_timed_transcript([word("four", 0.6, 1.0)])
    keeper.end_segment()
    assert heard.words == [
        ("one ", 0.0, 0.5),
        ("two ", 0.5, 1.2),
        ("three ", 1.2, 1.6),
        ("four", 1.6, 2.0),
    ]
    assert len(heard.audio) == 2 * 2 * RATE_HZ
    assert heard.calls == ["end"]


def test_times_that_run_on_are_left_alone(keeper: Timekeeper, heard: Heard) -> None:
    keeper.push_timed_transcript([word("one ", 0.0, 0.5)])
    keeper.push(audio(1.0))
    keeper.push_timed_transcript([word("two ", 0.5, 1.2), word("three ", 1.2, 1.6)])
    keeper.push(audio(1.0))
    keeper.push_timed_transcript([word("four", 1.6, 2.0)])
    keeper.end_segment()
    assert [end_s for _, _, end_s in heard.words] == [0.5, 1.2, 1.6, 2.0]


def test_word_that_spans_several_messages_begins_in_the_first(
    keeper: Timekeeper, heard: Heard
) -> None:
    for words in ([word("a ", 0.0, 0.1)], [], [word("long ", 0.1, 0.05)]):
        keeper.push_timed_transcript(words)
        keeper.push(audio(0.2))
    keeper.end_segment()
    assert heard.words == [("a ", 0.0, 0.1), ("long ", 0.1, 0.45)]


def test_audio_without_words_passes(keeper: Timekeeper, heard: Heard) -> None:
    keeper.initialize(request_id="r", sample_rate=RATE_HZ, num_channels=1, mime_type="audio/pcm")
    keeper.start_segment(segment_id="s")
    keeper.push(audio(0.5))
    keeper.end_segment()
    assert heard.words == []
    assert heard.calls == ["initialize", "start", "end"]
