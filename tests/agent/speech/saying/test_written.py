"""From what a voice has said back to what was written."""

from __future__ import annotations

import pytest
from livekit.agents.types import NOT_GIVEN, TimedString

from agent.speech.saying.figure import Said
from agent.speech.saying.written import Written

FIVE = Said("₹500", "five hundred rupees")


def restored(pieces: list[Said], words: list[str]) -> list[tuple[str, float, float]]:
    """Say words a second each; return what was written, and from when till when it was said."""
    written = Written()
    written.add(pieces)
    timed = [
        TimedString(word, start_time=float(at), end_time=at + 1.0) for at, word in enumerate(words)
    ]
    back = [each for word in timed for each in written.of([word])]
    return [(str(each), float(each.start_time), float(each.end_time)) for each in back]  # type: ignore[arg-type]


def test_figure_counts_as_said_with_its_last_word() -> None:
    pieces = [Said("It costs "), FIVE, Said(". Right?")]
    words = ["It ", "costs ", "five ", "hundred ", "rupees. ", "Right?"]
    assert restored(pieces, words) == [
        ("It ", 0.0, 1.0),
        ("costs ", 1.0, 2.0),
        ("₹500. ", 2.0, 5.0),
        ("Right?", 5.0, 6.0),
    ]
    # Cut off amid the figure, it was not heard.
    assert restored(pieces, words[:4]) == [("It ", 0.0, 1.0), ("costs ", 1.0, 2.0)]


def test_words_that_were_written_so_come_back_as_they_are() -> None:
    written = Written()
    written.add([Said("Sure, let me see.")])
    words = [TimedString(word, start_time=NOT_GIVEN) for word in ("Sure, ", "let ", "me ", "see.")]
    assert all(back is word for back, word in zip(written.of(words), words, strict=True))


@pytest.mark.parametrize(
    ("pieces", "words", "back"),
    [
        ([Said("costs ("), FIVE, Said("), ok")], ["costs ", "(five hundred ", "rupees), ", "ok"],
         ["costs ", "(₹500), ", "ok"]),
        ([Said("a "), Said("5", "five "), Said("km b")], ["a ", "five km ", "b"],
         ["a ", "5 km ", "b"]),
        ([Said("a "), FIVE, Said(" b")], ["a five hundred rupees b"], ["a ₹500 b"]),
        # Markdown is not said, and neither is where a link leads.
        ([Said("**See** [this](http://x.y/z) "), FIVE], ["See ", "this ", "five hundred rupees"],
         ["See ", "this ", "₹500"]),
        # A voice that spells out more than we do.
        ([Said("Dr. Rao, "), FIVE], ["Doctor ", "Rao, ", "five hundred rupees"],
         ["Doctor ", "Rao, ", "₹500"]),
        ([FIVE, Said(" now please")], ["500 ", "now ", "please"], ["500 ", "₹500 now ", "please"]),
        ([Said("आपका "), Said("₹5", "पाँच रुपये")],
         ["आपका ", "पाँच ", "रुपये "],
         ["आपका ", "₹5 "]),
        # Some voices tell the time of sentences alone.
        ([Said("You owe ("), FIVE, Said("). Now?")], ["You owe (five hundred rupees). Now? "],
         ["You owe (₹500). Now? "]),
        ([Said("You owe "), FIVE, Said(" now")], ["You owe five ", "hundred rupees now"],
         ["You owe ", "₹500 now"]),
        # Others tell marks apart, or every letter.
        ([Said("is "), FIVE, Said(".")],
         ["is", " ", "five", " ", "hundred", " ", "rupees", "."], ["is", " ", "₹500", "."]),
        ([Said("is "), Said("₹5", "five"), Said(".")], list("is five."),
         ["i", "s", " ", "₹5", "."]),
        # A name that is said by a pause.
        ([Said("a "), Said("EMI", ","), Said(" is")], ["a ", ", ", "is"], ["a ", ", ", "EMI is"]),
        ([], ["hello"], ["hello"]),
        ([Said("x")], ["... "], ["... "]),
    ],
)  # fmt: skip
def test_marks_and_what_voices_do_to_them(
    pieces: list[Said], words: list[str], back: list[str]
) -> None:
    assert [text for text, _, _ in restored(pieces, words)] == back


def test_word_that_is_named_otherwise_comes_back() -> None:
    assert restored([Said("The "), Said("EMI", "E M I")], ["The ", "E M ", "I"]) == [
        ("The ", 0.0, 1.0),
        ("EMI", 1.0, 3.0),
    ]
