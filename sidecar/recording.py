"""Recordings as files: keys that cannot leave the folder, and uploads that are whole or absent."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterable, Callable
from pathlib import Path

from sidecar.denial import Code, Denied
from sidecar.erasure import RecordingStuck
from sidecar.result import RecordingLink
from sidecar.store.recordings import RecordingRow

_SAFE_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}\.wav")
TOKEN_BYTES = 24
FOLDER = "folder"
"""The place of recordings that are files here."""
MAX_BYTES = 2**32
"""A WAV file cannot be bigger."""


def new_token() -> str:
    """Return a public access token."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class RecordingFolder:
    """The folder of recordings and the addresses they are reached at."""

    def __init__(
        self, path: Path, public_url: str, *, token: Callable[[], str] = new_token
    ) -> None:
        self.path = path
        self.token = token
        self._public_url = public_url.rstrip("/")

    @staticmethod
    def key_of(session_id: str, call_id: str) -> str:
        """Return a call's key; session ids from outside may not be fit for a file name."""
        key = f"{session_id}.wav"
        return key if _SAFE_KEY.fullmatch(key) else f"{call_id}.wav"

    def link(self, row: RecordingRow) -> RecordingLink:
        url = f"{self._public_url}/api/v1/public/recordings/{row.token}"
        return RecordingLink(url, row.recording_key, row.token)

    def file_of(self, key: str) -> Path | None:
        """Return the recording's file, or None for a key that is not one of ours."""
        return self.path / key if _SAFE_KEY.fullmatch(key) else None

    async def delete(self, key: str, place: str = FOLDER) -> None:
        """Remove a recording for good. One that is gone already is fine.

        Raises:
            RecordingStuck: it could not be removed now.
        """
        path = self.file_of(key)
        try:
            if path is not None:
                await asyncio.to_thread(path.unlink, missing_ok=True)
        except OSError as error:
            raise RecordingStuck(type(error).__name__) from error

    async def store(
        self, key: str, chunks: AsyncIterable[bytes], *, max_bytes: int = MAX_BYTES
    ) -> int:
        """Write an upload, visible under its key only once it is complete. Return its size.

        Raises:
            Denied: it is too big.
        """
        await asyncio.to_thread(self.path.mkdir, parents=True, exist_ok=True)
        partial = self.path / f".{key}.{secrets.token_hex(4)}.part"
        size_bytes = 0
        try:
            with await asyncio.to_thread(partial.open, "wb") as file:
                async for chunk in chunks:
                    size_bytes += await asyncio.to_thread(file.write, chunk)
                    if size_bytes > max_bytes:
                        raise Denied(Code.BODY_INVALID, f"more than {max_bytes} bytes")
            await asyncio.to_thread(partial.replace, self.path / key)
        finally:
            await asyncio.to_thread(partial.unlink, missing_ok=True)
        return size_bytes
