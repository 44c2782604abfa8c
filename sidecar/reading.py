"""Reads one document: a program of its own, since a hostile file may do anything to its reader.

`python -m sidecar.reading pdf` takes the bytes on its standard input and prints JSON, a line per
passage: `[text, terms]`, the terms separated by spaces; or one line `{"error": "…"}`. It limits its
own memory and time; `sidecar.reader` starts it and waits no longer than that.
"""

from __future__ import annotations

import io
import json
import logging
import os
import resource
import sys
import zipfile
from collections.abc import Callable, Iterator

from sidecar.passages import passages, table_text
from sidecar.terms import terms

MAX_CHARS = 2_000_000
MAX_PAGES = 1000
MAX_UNPACKED_BYTES = 100 * 1024 * 1024
MAX_PARTS = 2000
CPU_S = 30
MEMORY_BYTES = 1024 * 1024 * 1024
_NICE = 10


class Unreadable(Exception):
    """A document cannot be taken; the message says why, for whoever uploaded it."""


def text_of(kind: str, data: bytes) -> str:
    """Return a document's text.

    Args:
        kind: `txt`, `md`, `csv`, `pdf` or `docx`.
        data: the file.

    Raises:
        Unreadable: it has none, or too much.
    """
    text = _READERS[kind](data)
    if len(text) > MAX_CHARS:
        raise _too_long()
    if not text.strip():
        raise Unreadable("there is no text in it; a scan has only pictures of words")
    return text


def _plain(data: bytes) -> str:
    for encoding in ("utf-8-sig", "utf-16"):
        # Without its mark nothing tells UTF-16 from noise.
        if encoding == "utf-16" and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
            break
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Unreadable("it is not text in UTF-8")


def _table(data: bytes) -> str:
    try:
        return table_text(_plain(data))
    except ValueError as error:
        raise Unreadable(f"it is not a CSV table: {error}") from error


def _pdf(data: bytes) -> str:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("it is protected by a password")
        if len(reader.pages) > MAX_PAGES:
            raise Unreadable(f"it has more than {MAX_PAGES} pages")
        return "\n\n".join(_bounded(page.extract_text() for page in reader.pages))
    # pypdf's word for an encryption or a filter that it does not know.
    except (PyPdfError, NotImplementedError) as error:
        raise Unreadable("it is not a PDF that can be read") from error


def _docx(data: bytes) -> str:
    from docx import Document
    from docx.table import Table

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            listed = parts.infolist()
        # A part never unpacks to more than it says: that is checked as it is read.
        size_bytes = sum(part.file_size for part in listed)
        if size_bytes > MAX_UNPACKED_BYTES or len(listed) > MAX_PARTS:
            raise Unreadable("it unpacks to more than 100 MB")
        document = Document(io.BytesIO(data))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise Unreadable("it is not a Word document (.docx)") from error

    def lines() -> Iterator[str]:
        for block in document.iter_inner_content():
            if isinstance(block, Table):
                yield "\n".join("; ".join(cell.text for cell in row.cells) for row in block.rows)
            else:
                yield block.text

    return "\n\n".join(_bounded(lines()))


def _bounded(parts: Iterator[str]) -> Iterator[str]:
    chars = 0
    for part in parts:
        chars += len(part)
        if chars > MAX_CHARS:
            raise _too_long()
        yield part


def _too_long() -> Unreadable:
    return Unreadable(f"it has more than {MAX_CHARS:,} characters; split it")


_READERS: dict[str, Callable[[bytes], str]] = {
    "txt": _plain,
    "md": _plain,
    "csv": _table,
    "pdf": _pdf,
    "docx": _docx,
}
KINDS = frozenset(_READERS)


def main(kind: str) -> None:
    """Read a document from standard input, within bounds, and print what is in it."""
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # Libraries tell of odd files by the line; nobody reads that here.
    logging.disable(logging.CRITICAL)
    assert isinstance(sys.stdout, io.TextIOWrapper)
    # A PDF may have halves of surrogate pairs in it, which nothing can encode.
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    try:
        for passage in passages(text_of(kind, sys.stdin.buffer.read())):
            _print([passage, " ".join(terms(passage))])
    except Unreadable as error:
        _print({"error": str(error)})


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
