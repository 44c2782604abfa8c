"""Where a voice broke off, and what it owed."""

from __future__ import annotations

import pytest
from livekit.agents.types import TimedString

from agent.fallback.rest import Pace, end_of, is_latin, is_sayable, said_by, share_of

LINE = "Your booking is on Monday — at 10:30, I think."


def test_words_count_once_their_audio_is_made() -> None:
    words = [TimedString("Your ", end_time=0.4), TimedString("booking ", end_time=1.0)]
    assert said_by(words, 0.2) == 0
    assert said_by(words, 0.4) == 1
    assert said_by(words, 0.93) == 2, "the last 80 ms of a word are not missed"
    assert said_by([TimedString("No times at all.")], 0.0) == 1


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("", LINE),
        ("Your booking is ", " on Monday — at 10:30, I think."),
        # Dashes are no words, and a voice may spell words in its own way.
        ("YOUR BOOKING IS ON MONDAY", " at 10:30, I think."),
        ("your booking is on monday , at ten-thirty, I", " think."),
        ("your booking is on monday , at ten-", " 10:30, I think."),
        (LINE, ""),
        (LINE + " And more.", ""),
    ],
)
def test_rest_begins_at_the_first_word_that_was_not_said(said: str, left: str) -> None:
    assert LINE[end_of(said, LINE) :] == left


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("You owe one thousand two", " ₹1,250 since Monday, the two of you on the 3rd."),
        (
            "You owe one thousand two hundred fifty rupees since",
            " Monday, the two of you on the 3rd.",
        ),
        # Nothing alike: as many words as were said.
        ("Vous devez", " ₹1,250 since Monday, the two of you on the 3rd."),
    ],
)
def test_number_that_the_voice_spells_out_is_one_word_of_the_line(said: str, left: str) -> None:
    text = "You owe ₹1,250 since Monday, the two of you on the 3rd."
    assert text[end_of(said, text) :] == left


def test_without_times_the_rest_begins_by_the_share_of_audio() -> None:
    text = "one two three four five six seven eight"
    assert text[share_of(text, 1.0) :] == " four five six seven eight"
    assert share_of(text, 0.0) == 0
    assert share_of(text, 60.0) == len(text)


def test_what_makes_a_sound() -> None:
    assert is_sayable(" 10!")
    assert is_sayable("हाँ")
    assert not is_sayable(" 🙂 … ")


def test_wait_for_the_first_sound_is_owed() -> None:
    pace = Pace()
    assert pace.owed_s(5.0) == 0.0, "nothing to say yet"
    pace.begin(5.0)
    pace.begin(6.0)
    assert pace.owed_s(6.0) == 1.0


def test_scripts_are_told_apart() -> None:
    assert is_latin("Auf Wiedersehen, schönen Tag!")
    assert is_latin("Goodbye, प्रिया.")
    assert not is_latin("धन्यवाद, bye")
    assert not is_latin("10:30")


def test_gaps_between_what_is_played_add_up() -> None:
    pace = Pace()
    pace.begin(0.0)
    pace.made(0.5, 1.0)
    assert pace.owed_s(1.5) == 0.5
    pace.made(2.0, 1.0)
    pace.made(2.1, 1.0)
    assert pace.owed_s(4.0) == 1.0, "made ahead of time, the rest plays without a gap"
    assert pace.owed_s(4.5) == 1.5


def test_time_without_text_is_not_the_voices_fault() -> None:
    pace = Pace()
    pace.excuse(1.0)
    pace.begin(1.0)
    pace.made(1.0, 1.0)
    pace.excuse(9.0)
    assert pace.owed_s(9.5) == 0.5
