"""Where documents are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.passages import OVERLAP, SIZE, passages, table_text, tidy


def test_short_text_is_one_passage() -> None:
    assert list(passages("Open 9 to 5.")) == ["Open 9 to 5."]
    assert list(passages(" \n\t ")) == []


def test_passage_ends_at_the_best_boundary_of_its_second_half() -> None:
    first = "a" * 300 + "\n\n" + "b" * 400 + "\n\n" + "c. " * 100
    text = first + "d" * SIZE
    found = list(passages(text))
    assert found[0].endswith("b" * 400)
    # A paragraph that ends too early is no reason to end there.
    early, *_ = passages("a" * 500 + "\n\n" + "b b " * 400)
    assert early.endswith("b")


def test_text_without_any_boundary_is_cut_at_the_size() -> None:
    found = list(passages("x" * (2 * SIZE)))
    assert [len(each) for each in found] == [SIZE, SIZE, 2 * OVERLAP]


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=400), max_size=30))
def test_nothing_is_lost_between_passages(parts: list[str]) -> None:
    text = tidy(" ".join(parts))
    found = list(passages(text))
    assert all(0 < len(each) <= SIZE for each in found)
    place = covered = 0
    for each in found:
        place = text.index(each, max(0, place))
        # Only blanks may lie between one and the next.
        assert not text[covered:place].strip()
        covered = max(covered, place + len(each))
    assert not text[covered:].strip()


def test_each_passage_begins_within_the_end_of_the_last() -> None:
    text = " ".join(f"word{number}" for number in range(1000))
    found = list(passages(text))
    for before, after in pairwise(found):
        assert after[: OVERLAP - 20] in before


def test_layout_is_taken_out() -> None:
    assert tidy("a \t b\r\n c\r\n\r\n \r\n\nd\x00") == "a b\n c\n\nd"


def test_table_tells_each_cell_with_its_column() -> None:
    table = 'item,price,note\n"Cut, wash",₹500,\nColour,"₹1,500",with "care",extra\n\n'
    assert table_text(table) == (
        'item: Cut, wash; price: ₹500\nitem: Colour; price: ₹1,500; note: with "care"; extra'
    )
    assert table_text("only,a header") == "only, a header"
    assert table_text("") == ""


def test_cell_beyond_all_measure_is_no_table() -> None:
    with pytest.raises(ValueError, match="limit"):
        table_text('a\n"' + "x" * 200_000 + '"')
