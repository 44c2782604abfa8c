"""How text is said, as it can be set."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from contracts.speech import Pronunciation


def test_numbers_are_put_into_words_and_no_word_is_changed_by_default() -> None:
    assert Pronunciation().numbers
    assert Pronunciation().words == {}


@pytest.mark.parametrize(
    "words",
    [{"": "nothing"}, {"EMI": ""}, {"x" * 101: "long"}, {f"w{n}": "too many" for n in range(501)}],
)
def test_words_are_of_a_size_that_can_be_looked_for(words: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Pronunciation(words=words)
