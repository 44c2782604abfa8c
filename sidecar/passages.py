"""Cuts a document's text into passages that a search may return: pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

SIZE = 1200
OVERLAP = 180
_BOUNDARIES = ("\n\n", "\n", ". ", "? ", "! ", "। ", "; ", ", ", " ")
"""Where a passage may end, the best first."""
_BLANKS = re.compile(r"[^\S\n]+")
_GAPS = re.compile(r" ?\n ?(?:\n ?)+")


def passages(text: str) -> Iterator[str]:
    """Yield passages of up to `SIZE` characters, each beginning within the end of the last.

    One ends at the best boundary in its second half: a paragraph's end, a line's, a sentence's.
    """
    text = tidy(text)
    start = 0
    while start < len(text):
        end = _end(text, start)
        if passage := text[start:end].strip():
            yield passage
        if end >= len(text):
            return
        start = _next_start(text, start, end)


def tidy(text: str) -> str:
    """Return a text without the blanks that layout put into it; empty lines part paragraphs."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    return _GAPS.sub("\n\n", _BLANKS.sub(" ", lines)).strip()


def table_text(text: str) -> str:
    """Return a CSV table as sentences: each row's cells with the names of their columns.

    Raises:
        ValueError: it is no table.
    """
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    header, *body = rows or [[]]
    told = ["; ".join(_told(header, row)) for row in body] or [", ".join(header)]
    return "\n".join(line for line in told if line)


def _told(header: list[str], row: list[str]) -> Iterator[str]:
    for at, cell in enumerate(row):
        name = header[at].strip() if at < len(header) else ""
        if cell.strip():
            yield f"{name}: {cell.strip()}" if name else cell.strip()


def _end(text: str, start: int) -> int:
    most = start + SIZE
    if most >= len(text):
        return len(text)
    for boundary in _BOUNDARIES:
        at = text.rfind(boundary, start + SIZE // 2, most)
        if at >= 0:
            return at + len(boundary)
    return most


def _next_start(text: str, start: int, end: int) -> int:
    """Return where the next passage begins: `OVERLAP` before the last one's end, at a word."""
    back = max(start + 1, end - OVERLAP)
    blank = text.find(" ", back, end)
    return blank + 1 if 0 <= blank < end - 1 else back
