"""Has documents read by a process of their own, which may take so long and so much memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass

import structlog
from pydantic import TypeAdapter

from sidecar.passages import OVERLAP, SIZE
from sidecar.reading import CPU_S, MAX_CHARS, Unreadable

log = structlog.get_logger(__name__)

TIMEOUT_S = 2 * CPU_S
"""A busy machine gives the reader less than it may take."""
MAX_OUTPUT_BYTES = 12 * MAX_CHARS
"""Of which the longest document in Hindi, whose words are spelt out, takes half."""
MAX_PASSAGES = MAX_CHARS // (SIZE // 2 - OVERLAP) + 1
_MAX_WHY_CHARS = 200
_CHUNK_BYTES = 256 * 1024
_LINE = TypeAdapter[tuple[str, str] | dict[str, str]](tuple[str, str] | dict[str, str])
_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, and its words as a search compares them."""

    text: str
    terms: str


async def read(kind: str, data: bytes, *, timeout_s: float = TIMEOUT_S) -> list[Passage]:
    """Return a document's passages.

    Args:
        kind: how its name ends: one of `sidecar.reading.KINDS`.
        data: the file.
        timeout_s: how long to wait for it.

    Raises:
        Unreadable: it cannot be taken; the message says why.
    """
    reader = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sidecar.reading",
        kind,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # It needs none of the secrets that are in ours.
        env={name: os.environ[name] for name in _KEPT if name in os.environ},
    )
    try:
        async with asyncio.timeout(timeout_s):
            output = await _output(reader, data)
    except TimeoutError as error:
        raise Unreadable("reading it takes too long") from error
    finally:
        await _end(reader)
    try:
        if reader.returncode or len(output) > MAX_OUTPUT_BYTES:
            raise ValueError("the reader failed, or said too much")
        return await asyncio.to_thread(_passages, output)
    except ValueError as error:
        log.warning("document_not_read", kind=kind, status=reader.returncode)
        raise Unreadable("it is broken, or reading it takes too much") from error


async def _end(reader: asyncio.subprocess.Process) -> None:
    """See a reader off, whatever it was doing."""
    assert reader.stdin is not None
    assert reader.stdout is not None
    if reader.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            reader.kill()
    reader.stdin.close()
    # To wait for a process is to wait for its pipes, and one that is full is not looked at.
    while await reader.stdout.read(_CHUNK_BYTES):
        pass
    await reader.wait()


async def _output(reader: asyncio.subprocess.Process, data: bytes) -> bytes:
    """Return what a reader says of a document; of one that says too much, the beginning."""
    assert reader.stdin is not None
    assert reader.stdout is not None
    # It says nothing before it has all of it; one that broke at once takes nothing.
    with contextlib.suppress(ConnectionError):
        reader.stdin.write(data)
        await reader.stdin.drain()
    reader.stdin.close()
    output = bytearray()
    while chunk := await reader.stdout.read(_CHUNK_BYTES):
        output += chunk
        if len(output) > MAX_OUTPUT_BYTES:
            return bytes(output)
    await reader.wait()
    return bytes(output)


def _passages(output: bytes) -> list[Passage]:
    """Return what a reader found.

    Raises:
        Unreadable: it says why it found nothing.
        ValueError: a document has made it say something else.
    """
    lines = output.splitlines()
    if len(lines) > MAX_PASSAGES:
        raise ValueError("more passages than there can be")
    found = []
    for line in lines:
        match _LINE.validate_json(line):
            case {"error": why}:
                raise Unreadable(why[:_MAX_WHY_CHARS])
            case text, terms:
                found.append(Passage(text, terms))
    return found
