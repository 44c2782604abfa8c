"""A bot's lines in words its voice can read."""

from __future__ import annotations

from collections.abc import AsyncIterator

from livekit import rtc
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT, TimedString

from agent.pronounce import Pronunciations
from contracts.speech import Pronunciation


def test_whole_line_is_said_in_the_voices_language() -> None:
    written = "Nova: ₹1,50,000 by 5/8/2026"
    config = Pronunciation(words={"Nova": "Nohva"})
    assert Pronunciations(config, "en-IN").of(written) == (
        "Nohva: one lakh fifty thousand rupees by fifth August, twenty twenty six"
    )
    assert Pronunciations(config, "en").of("5/8/2026") == "May eighth, twenty twenty six"


def test_figures_can_be_left_to_the_voice() -> None:
    config = Pronunciation(words={"Nova": "Nohva"}, numbers=False)
    assert Pronunciations(config, "en").of("Nova has 5") == "Nohva has 5"


async def test_text_is_said_as_it_comes_and_its_words_come_back_as_written() -> None:
    async def tokens() -> AsyncIterator[str]:
        for token in ("You", " owe", " ₹", "5", "00", "."):
            yield token

    line = Pronunciations(Pronunciation(), "en").line()
    assert [text async for text in line.spoken(tokens())] == [
        "You",
        " owe",
        " ",
        "five hundred rupees.",
    ]
    frame = rtc.AudioFrame(bytes(2), 8000, 1, 1)
    said = ("You ", "owe ", "five ", "hundred ", "rupees.")
    frame.userdata[USERDATA_TIMED_TRANSCRIPT] = [
        TimedString(word, start_time=at, end_time=at + 1.0) for at, word in enumerate(said)
    ]
    line.restore(frame)
    words = frame.userdata[USERDATA_TIMED_TRANSCRIPT]
    assert [(str(word), word.end_time) for word in words] == [
        ("You ", 1.0),
        ("owe ", 2.0),
        ("₹500.", 5.0),
    ]


def test_frame_without_words_is_left_alone() -> None:
    frame = rtc.AudioFrame(bytes(2), 8000, 1, 1)
    Pronunciations(Pronunciation(), "en").line().restore(frame)
    assert USERDATA_TIMED_TRANSCRIPT not in frame.userdata
