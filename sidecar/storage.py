"""Object storage as the sidecar sees it: what it is asked for, and how it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contracts.recording import RecordingTarget

CHUNK_BYTES = 8 * 1024
"""How much of an object is handed on at once."""


class StorageError(Exception):
    """The storage did not do it; trying again may help."""


class ObjectMissing(StorageError):
    """There is no such object."""


class RangeUnsatisfiable(StorageError):
    """The object ends before the range that was asked for."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the storage says of an object.

    Attributes:
        sha256: hexadecimal; None where the storage keeps none.
        etag: its own mark of this content.
    """

    size_bytes: int
    sha256: str | None
    etag: str


@dataclass(frozen=True, slots=True)
class Opened:
    """An object, or the range of it that was asked for, about to be read.

    Attributes:
        content_range: the range's place in the whole, as a header; None for the whole.
        chunks: the content; closes the connection when it is done or dropped.
    """

    size_bytes: int
    content_range: str | None
    etag: str
    chunks: AsyncIterator[bytes]


class Bucket(Protocol):
    """One bucket. Every method may raise `StorageError`; keys are as they are in the bucket."""

    async def target(self, key: str, sha256: str) -> RecordingTarget:
        """Return where, and with which headers, anybody may put exactly this content."""

    async def put(self, key: str, path: Path, sha256: str) -> None:
        """Put a file there; what had the key before is replaced at once."""

    async def head(self, key: str) -> Held:
        """Return what is there."""

    async def open(self, key: str, byte_range: str | None = None) -> Opened:
        """Begin to read, all or one `bytes=…` range."""

    async def listed(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`."""

    async def delete(self, key: str) -> None:
        """Remove it; one that is gone already is fine."""
