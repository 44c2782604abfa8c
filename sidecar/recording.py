"""Recordings as files: keys that cannot leave the folder, and uploads that are whole or absent."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sidecar.denial import Code, Denied
from sidecar.erasure import RecordingStuck
from sidecar.result import RecordingLink
from sidecar.store.recordings import RecordingRow

TOKEN_BYTES = 24
FOLDER = "folder"
"""The place of recordings that are files here."""
MAX_BYTES = 2**32
"""A WAV file cannot be bigger."""

_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}"
_DAY = r"[0-9]{4}/[0-9]{2}/[0-9]{2}/"
_FIT_NAME = re.compile(_NAME)
_KEY = re.compile(rf"(?:recordings/{_DAY})?{_NAME}\.wav")
_SEGMENT = re.compile(rf"segments/(?:{_DAY})?{_NAME}/(?P<incarnation>[1-9][0-9]{{0,5}})\.wav")
_ARRIVING = ".arriving"
_STALE_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file as it came in."""

    size_bytes: int
    sha256: str


def new_token() -> str:
    """Return a public access token."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def segment_folder(key: str) -> str:
    """Return where the segments of a recording are, when its call had several agents."""
    return f"segments/{key.removeprefix('recordings/').removesuffix('.wav')}/"


def segment_key(key: str, incarnation: int) -> str:
    """Return the key of what one incarnation recorded of it."""
    return f"{segment_folder(key)}{incarnation}.wav"


def incarnation_of(key: str) -> int | None:
    """Return whose segment a key names; None if it names none."""
    match = _SEGMENT.fullmatch(key)
    return int(match["incarnation"]) if match else None


def is_ours(key: str) -> bool:
    """Return whether a key is one that recordings or their segments have."""
    return bool(_KEY.fullmatch(key) or _SEGMENT.fullmatch(key))


class RecordingFolder:
    """The folder of recordings and the addresses they are reached at.

    `recordings/2026/06/05/s-1.wav` is the file `2026/06/05/s-1.wav` in it; segments are in a
    hidden folder beside it.
    """

    def __init__(
        self, path: Path, public_url: str, *, token: Callable[[], str] = new_token
    ) -> None:
        self.path = path
        self.token = token
        self._public_url = public_url.rstrip("/")

    @staticmethod
    def key_of(session_id: str, call_id: str, at: datetime) -> str:
        """Return a call's key; session ids from outside may not be fit for a file name.

        Args:
            session_id: names the file.
            call_id: names it otherwise.
            at: when the call was answered.
        """
        name = session_id if _FIT_NAME.fullmatch(session_id) else call_id
        return f"recordings/{at.astimezone(UTC):%Y/%m/%d}/{name}.wav"

    def link(self, row: RecordingRow) -> RecordingLink:
        url = f"{self._public_url}/api/v1/public/recordings/{row.token}"
        return RecordingLink(url, row.recording_key, row.token)

    def file_of(self, key: str) -> Path | None:
        """Return the recording's or segment's file, or None for a key that is not one of ours."""
        if _SEGMENT.fullmatch(key):
            return self.path / f".{key}"
        return self.path / key.removeprefix("recordings/") if _KEY.fullmatch(key) else None

    async def segments(self, key: str) -> list[str]:
        """Return the keys of the segments that are there of a recording."""
        folder = segment_folder(key)
        paths = await asyncio.to_thread(list, (self.path / f".{folder}").glob("*.wav"))
        return [f"{folder}{path.name}" for path in paths]

    async def delete(self, key: str, place: str = FOLDER) -> None:
        """Remove a recording for good, its segments too. One that is gone already is fine.

        Raises:
            RecordingStuck: it could not be removed now.
        """
        path = self.file_of(key)
        if path is None:
            return
        try:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            if _KEY.fullmatch(key):
                await asyncio.to_thread(_remove_tree, self.path / f".{segment_folder(key)}")
        except OSError as error:
            raise RecordingStuck(type(error).__name__) from error

    async def store(
        self, key: str, chunks: AsyncIterable[bytes], sha256: str, *, max_bytes: int = MAX_BYTES
    ) -> Arrived:
        """Write an upload, visible under its key only once it is complete and what was announced.

        Raises:
            Denied: it is too big, or is something else.
            OSError: the disk does not take it.
        """
        partial = await asyncio.to_thread(self.scratch)
        digest = hashlib.sha256()
        size_bytes = 0
        try:
            with await asyncio.to_thread(partial.open, "wb") as file:
                async for chunk in chunks:
                    size_bytes += await asyncio.to_thread(file.write, chunk)
                    digest.update(chunk)
                    if size_bytes > max_bytes:
                        raise Denied(Code.BODY_INVALID, f"more than {max_bytes} bytes")
            if digest.hexdigest() != sha256:
                raise Denied(Code.RECORDING_DIFFERS, "this is not the file that was announced")
            await self.keep(key, partial)
        finally:
            await asyncio.to_thread(partial.unlink, missing_ok=True)
        return Arrived(size_bytes, sha256)

    async def keep(self, key: str, path: Path) -> None:
        """Move a file of this disk under its key, in place of what had it."""
        target = self.file_of(key)
        if target is None:
            raise ValueError(f"{key!r} is no key of a recording")
        await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(path.replace, target)

    def scratch(self) -> Path:
        """Return a path for a file that is about to be made, on the same disk."""
        folder = self.path / _ARRIVING
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{secrets.token_hex(8)}.part"

    def tidy(self) -> None:
        """Remove what arrivals left that were cut off, by a crash, a day ago or longer."""
        for path in (self.path / _ARRIVING).glob("*.part"):
            if time.time() - path.stat().st_mtime > _STALE_S:
                path.unlink(missing_ok=True)


def _remove_tree(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
