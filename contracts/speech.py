"""How text is said: what can be set."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from contracts.open import Open

Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class Pronunciation(Open):
    """How written words become spoken ones (ours)."""

    words: dict[Word, Word] = Field(default_factory=dict, max_length=500)
    """What is written, and how it is said: whole words, whatever their case."""
    numbers: bool = True
    """Whether numbers, money and dates are put into words before they are spoken."""
