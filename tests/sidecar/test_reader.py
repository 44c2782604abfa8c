"""Documents read by a process of their own: what is in them, and what a hostile one comes to."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from sidecar import reader, reading
from sidecar.reader import MAX_OUTPUT_BYTES, read
from sidecar.reading import CPU_S, MAX_CHARS, MAX_PAGES, MEMORY_BYTES, Unreadable, text_of
from sidecar.terms import terms
from tests.fakes.documents import docx, pdf, zip_bomb


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package that the reader takes for its library of PDFs, still empty."""
    package = tmp_path / "pypdf"
    package.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return package


async def texts(kind: str, data: bytes) -> list[str]:
    return [passage.text for passage in await read(kind, data)]


async def test_pdf_is_read_by_another_process() -> None:
    [passage] = await read("pdf", pdf("We open at nine.", "Parking is free."))
    assert passage.text == "We open at nine.\n\nParking is free."
    assert passage.terms.split() == terms("we open at nine. parking is free.")


async def test_word_document_is_read_with_its_tables() -> None:
    data = docx("We open at nine.", "हम नौ बजे खुलते हैं।", table=(("Cut", "500"), ("Colour", "1500")))
    assert await texts("docx", data) == [
        "We open at nine.\n\nहम नौ बजे खुलते हैं।\n\nCut; 500\nColour; 1500"
    ]


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        ("txt", b"\xef\xbb\xbfnine", "nine"),
        ("md", "# नौ".encode(), "# नौ"),
        ("txt", "nine".encode("utf-16"), "nine"),
        ("csv", b"item,price\nCut,500\n", "item: Cut; price: 500"),
    ],
)
def test_plain_text_is_taken_as_it_is(kind: str, data: bytes, text: str) -> None:
    assert text_of(kind, data) == text


@pytest.mark.parametrize(
    ("kind", "made", "why"),
    [
        ("txt", lambda: b"\xff\xfe\xff", "not text"),
        ("txt", lambda: b"\xe9", "not text in UTF-8"),
        ("txt", lambda: b" \n", "no text"),
        ("md", lambda: b"a" * (MAX_CHARS + 1), "more than 2,000,000"),
        ("csv", lambda: b'a\n"' + b"x" * 200_000 + b'"', "not a CSV"),
        ("pdf", lambda: b"%PDF-1.4\nnonsense", "not a PDF"),
        ("pdf", lambda: b"", "not a PDF"),
        ("pdf", lambda: pdf(""), "no text"),
        ("pdf", lambda: pdf(*["page"] * (MAX_PAGES + 1)), "more than 1000 pages"),
        ("docx", lambda: b"PK\x03\x04nonsense", "not a Word"),
        ("docx", lambda: zip_bomb(110 * 1024 * 1024), "unpacks to more"),
        ("docx", lambda: docx(*["x" * 100_000] * 21), "more than 2,000,000"),
        ("docx", lambda: docx(), "no text"),
    ],
)
def test_what_cannot_be_read_is_told(kind: str, made: Callable[[], bytes], why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        text_of(kind, made())


async def test_why_it_cannot_be_read_comes_from_the_other_process() -> None:
    with pytest.raises(Unreadable, match="not a PDF"):
        await read("pdf", b"nonsense")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("while True: pass", "too long"),
        ("x = bytearray(2 ** 40)", "broken"),
        ("import os; os.abort()", "broken"),
        ("print('nonsense' * 100); raise SystemExit(3)", "broken"),
        ("print('nonsense' * 100); raise SystemExit", "broken"),
        ("print('[1, 2]'); raise SystemExit", "broken"),
        ('print(\'["text", "terms"]\\n\' * 10_000); raise SystemExit', "broken"),
        ("while True: print('x' * 65536)", "broken"),
    ],
)
async def test_reader_that_a_document_breaks_is_given_up(
    stand_in: Path, code: str, why: str
) -> None:
    """The reader's own module stands in for a library with a hole."""
    (stand_in / "__init__.py").write_text(f"{code}\n")
    with pytest.raises(Unreadable, match=why):
        await read("pdf", pdf("text"), timeout_s=3.0)


async def test_reader_is_seen_off_though_its_pipe_is_full(
    stand_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stand_in / "__init__.py").write_text("while True: print('x' * 65536)\n")

    async def too_much(process: asyncio.subprocess.Process, _: bytes) -> bytes:
        stdin, stdout = process.stdin, cast(Any, process.stdout)
        assert stdin is not None
        stdin.close()
        while not stdout._paused:  # noqa: ASYNC110 - the pipe tells nobody
            await asyncio.sleep(0.01)
        return bytes(MAX_OUTPUT_BYTES + 1)

    monkeypatch.setattr(reader, "_output", too_much)
    async with asyncio.timeout(10):
        with pytest.raises(Unreadable, match="broken"):
            await read("pdf", b"")


async def test_reader_has_so_much_processor_time_and_memory(stand_in: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    (stand_in / "__init__.py").write_text(
        "import json; from resource import *\n"
        "bounds = [getrlimit(RLIMIT_CPU), getrlimit(RLIMIT_AS)]\n"
        f"open({str(seen)!r}, 'w').write(json.dumps(bounds))\n1 / 0\n"
    )
    with pytest.raises(Unreadable):
        await read("pdf", pdf("text"))
    assert json.loads(seen.read_text()) == [[CPU_S] * 2, [MEMORY_BYTES] * 2]


async def test_half_a_letter_is_no_reason_to_refuse_the_rest(stand_in: Path) -> None:
    (stand_in / "errors.py").write_text("class PyPdfError(Exception): ...\n")
    (stand_in / "__init__.py").write_text(
        "class PdfReader:\n"
        "    def __init__(self, _): self.is_encrypted, self.pages = False, [self]\n"
        "    def extract_text(self): return 'open \\ud800 at nine नौ'\n"
    )
    assert await texts("pdf", pdf("text")) == ["open ? at nine नौ"]


async def test_reader_whose_asker_leaves_is_ended(stand_in: Path, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    os.mkfifo(told)
    (stand_in / "__init__.py").write_text(
        f"import os, time\nopen({str(told)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
    )
    asking = asyncio.create_task(read("pdf", pdf("text")))
    reader = int(await asyncio.to_thread(told.read_text))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    with pytest.raises(ProcessLookupError):
        os.kill(reader, 0)


async def test_reader_has_none_of_our_secrets(
    stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    (stand_in / "__init__.py").write_text(
        f"import json, os\nopen({str(seen)!r}, 'w').write(json.dumps(dict(os.environ)))\n1 / 0\n"
    )
    monkeypatch.setenv("VOXCORE_SECRET", "s3cret")
    with pytest.raises(Unreadable):
        await read("pdf", pdf("text"))
    assert "VOXCORE_SECRET" not in json.loads(seen.read_text())


def test_every_kind_has_its_reader() -> None:
    assert sorted(reading.KINDS) == ["csv", "docx", "md", "pdf", "txt"]
