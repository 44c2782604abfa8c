"""What a streaming voice is sent, and how soon."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.vendor.clauses import ClauseTokenizer, sayable


async def sent_at(text: str) -> list[tuple[int, str]]:
    """Feed `text` word by word; return each piece with the number of words fed when it came."""
    stream = ClauseTokenizer().stream()
    tokens = re.findall(r"\s*\S+", text)
    found: list[tuple[int, str]] = []
    for count, token in enumerate(tokens, 1):
        stream.push_text(token)
        found += [(count, piece) for piece in drain(stream)]
    stream.end_input()
    return [*found, *[(len(tokens), piece) for piece in drain(stream)]]


def drain(stream: object) -> list[str]:
    channel = stream._event_ch  # type: ignore[attr-defined]
    pieces = []
    while not channel.empty():
        pieces.append(channel.recv_nowait().token)
    return pieces


@pytest.mark.parametrize(
    ("text", "first", "after_words"),
    [
        # Behind a letter a comma says enough; behind a digit the next word must be seen.
        ("Yes of course, I can do that for you today.", "Yes of course,", 3),
        ("Sure R1T3, let me check that for you.", "Sure R1T3,", 3),
        ("Good morning! How can I help you today?", "Good morning!", 2),
        ("Let me check that. Your booking is on Monday.", "Let me check that.", 5),
        ("Sure, let me check that. Your booking is here.", "Sure, let me check that.", 6),
        ("\u0928\u092e\u0938\u094d\u0924\u0947 \u091c\u0940\u0964 \u0915\u0939\u093f\u090f",
         "\u0928\u092e\u0938\u094d\u0924\u0947 \u091c\u0940\u0964", 2),
    ],
)  # fmt: skip
async def test_first_clause_is_sent_as_soon_as_it_can_be_said(
    text: str, first: str, after_words: int
) -> None:
    assert (await sent_at(text))[0] == (after_words, first)


async def test_long_clause_without_punctuation_is_not_waited_for() -> None:
    text = (
        "Our opening hours are usually nine until five every weekday and ten until two on Saturday."
    )
    words, first = (await sent_at(text))[0]
    assert words <= 13
    assert 4 <= len(first.split()) <= 8


@pytest.mark.parametrize(
    "text",
    [
        "The appointment with Dr. Hall costs 1,250.75 rupees and begins at 9 a.m. on Monday.",
        "Please call us on +91 98765 43210 98765 43210 98765 43210 98765 43210 98765 43210 soon.",
        "Write to us at help@example.com or see https://www.example.com/a,b for more of this.",
        "It is 3.5 percent, or 1,00,000 rupees, i.e. the whole of the sum that you have asked for.",
    ],
)
async def test_no_word_number_or_abbreviation_is_split(text: str) -> None:
    # Fed letter by letter: no token boundary helps.
    stream = ClauseTokenizer().stream()
    for letter in text:
        stream.push_text(letter)
    stream.end_input()
    pieces = drain(stream)
    assert " ".join(pieces) == text
    for piece in pieces[:-1]:
        assert not re.search(r"(\d|Dr\.|i\.e\.|\ba\.m\.)$", piece)


@given(st.text(alphabet="ab1 ,.!?-", max_size=80))
async def test_nothing_that_is_said_is_lost(text: str) -> None:
    whole = sayable(text).replace(" ", "")
    assert re.sub(r"[\s-]", "", "".join(piece for _, piece in await sent_at(text))) == re.sub(
        r"-", "", whole
    )


def test_text_at_once_is_cut_alike() -> None:
    text = "Let me check that. Your booking is on Monday."
    assert ClauseTokenizer().tokenize(text) == ["Let me check that.", "Your booking is on Monday."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**Monday** at _nine_", "Monday at nine"),
        ("# Hours\n- Monday\n* Tuesday", "Hours Monday Tuesday"),
        ("See [our page](https://example.com/x).", "See our page."),
        ("Done \U0001f600!", "Done !"),
        ("2*3 is 6, snake_case stays", "2*3 is 6, snake_case stays"),
        ("Use `make test` now", "Use make test now"),
    ],
)
def test_what_is_written_but_not_said_is_taken_out(text: str, expected: str) -> None:
    assert sayable(text) == expected
