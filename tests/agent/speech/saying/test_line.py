"""A line as it is said, while it is still written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.speech.saying.language import Language
from agent.speech.saying.line import SpokenLine

WORDS = {"EMI": "E M I", "Nova Dental": "Nohva Dental", "नोवा": "No-va"}
LINES = [
    ("en-IN", "Your EMI of ₹12,500 is due on 5 May, 2026 at 10:30 am. Call +91 98765 43210."),
    ("en-IN", "Pay Rs. 2.5 lakh or 3 crore by 05/08/2026; flight AI202. OTP is 4829."),
    ("en", "On March 23rd, 2027 we met. May 5, then $1.5 million, 3-5 days."),
    ("en-IN", "Loans of ₹1.5 to 2.5 lakh: ₹5,000 - ₹500 = ₹4,500 per Rs. 1 lakh/month, 500/- now."),
    ("en-IN", "Bengaluru 560 001 (080) 2345 6789, 24 x 7, order #AB123, 05-Aug-2026, 17:30 hrs."),
    ("hi", "आपका ₹12,500 10:30 बजे दें। 5 मई 2026 तक"),
    ("hi", "Aapka balance ₹1,250.50 hai aur 10:30 baje tak 2.5 lakh rupaye"),
]  # fmt: skip


def spoken(line: SpokenLine, *texts: str) -> str:
    pieces = [piece for text in texts for piece in line.push(text)] + line.flush()
    assert "".join(piece.written for piece in pieces) == "".join(texts)
    return "".join(piece.written if piece.spoken is None else piece.spoken for piece in pieces)


def new(code: str = "en-IN", words: dict[str, str] | None = None) -> SpokenLine:
    return SpokenLine(Language(code), WORDS if words is None else words)


@pytest.mark.parametrize(("code", "text"), LINES)
@pytest.mark.parametrize("size", range(1, 9))
def test_it_does_not_matter_where_tokens_end(code: str, text: str, size: int) -> None:
    tokens = [text[at : at + size] for at in range(0, len(text), size)]
    assert spoken(new(code), *tokens) == spoken(new(code), text)


@given(st.data())
def test_it_does_not_matter_at_all(data: st.DataObject) -> None:
    code, text = data.draw(st.sampled_from(LINES))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text) - 1), max_size=12)))
    tokens = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert spoken(new(code), *tokens) == spoken(new(code), text)


@pytest.mark.parametrize(
    ("tokens", "held"),
    [
        # Nothing waits but what may become, or go on with, a figure.
        (["Sure", ",", " let", " me", " check"], ""),
        (["Sure, your balance"], ""),
        (["It is", " 12"], "12"),
        (["It is", " 12", ","], "12,"),
        (["It is", " 12", ",", "500", " rup"], "12,500 rup"),
        (["It is", " 12", ",", "500", " in"], "12,500 in"),
        (["It is", " 12", ",", "500", " only"], ""),
        (["It is", " 12", "."], "12."),
        (["It is", " 12", ".", " Then"], ""),
        (["It is", " 12,", " 13"], "13"),
        (["in", " Ma"], "Ma"),
        (["in", " May"], "May"),
        (["in", " Maybe"], ""),
        (["on", " 5", " of", " May,"], "5 of May,"),
        (["on", " 5", " May,", " we"], ""),
        (["on", " May", " 5,", " 20"], "May 5, 20"),
        (["The", " EM"], "EM"),
        (["The", " EMI"], "EMI"),
        (["The", " EMI", " is"], ""),
        (["Nova"], "Nova"),
        (["Nova Dent"], "Nova Dent"),
        (["Nova Den", "im"], ""),
        (["pay", " Rs."], "Rs."),
        (["pay", " ₹500", " to", " 2"], "₹500 to 2"),
        (["pay", " ₹500", " to", " you"], ""),
        (["5", " -", " 3", " ="], "5 - 3 ="),
    ],
)
def test_no_more_is_held_back_than_has_to_be(tokens: list[str], held: str) -> None:
    line = new()
    passed = "".join(piece.written for token in tokens for piece in line.push(token))
    assert "".join(tokens).removeprefix(passed).strip() == held


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Your EMI at Nova Dental.", "Your E M I at Nohva Dental."),
        ("emi, Emi!", "E M I, E M I!"),
        ("Eminent premium", "Eminent premium"),
        ("EMI5", "EMI5"),
        ("नोवा में", "No-va में"),
        ("नोवां", "नोवां"),
    ],
)
def test_words_are_said_as_they_are_set(text: str, words: str) -> None:
    assert spoken(SpokenLine(None, WORDS), text) == words


def test_figure_in_a_words_pronunciation_is_the_bots_own_affair() -> None:
    assert spoken(new(words={"24x7": "24 by 7"}), "Open 24x7, at 5") == "Open 24 by 7, at five"


def test_figures_are_left_alone_where_they_are_switched_off() -> None:
    assert spoken(SpokenLine(None, {}), "It is ₹5") == "It is ₹5"
    assert spoken(SpokenLine(Language("ta"), {}), "It is ₹5") == "It is ₹5"


def test_label_in_an_earlier_token_still_tells_a_code() -> None:
    assert spoken(new(), "Your PIN is ", "44", "11", " now") == "Your PIN is four four one one now"


def test_numbers_without_end_are_said_as_they_come() -> None:
    line = SpokenLine(Language("en"), {})
    waited = 0
    for _ in range(500):
        line.push(" 5 -")
        waited = max(waited, len(line._text))
    assert waited < 100
