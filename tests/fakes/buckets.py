"""Buckets for tests: the real one of a running server, and one in memory that may fail."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from contracts.recording import RecordingTarget
from sidecar.bucket import S3Bucket, open_bucket
from sidecar.storage import Held, ObjectMissing, Opened, StorageError
from tests.fakes.control_plane import settings_for_tests
from tests.fakes.recordings import chunks
from tests.fakes.s3 import S3Server


@asynccontextmanager
async def opened(server: S3Server, **changes: Any) -> AsyncIterator[S3Bucket]:
    """Yield the server's bucket as a sidecar has it; `changes` are of its settings."""
    settings = settings_for_tests(**server.settings(**changes))
    async with httpx.AsyncClient(trust_env=False) as http, open_bucket(settings, http) as bucket:
        yield bucket


class MemoryBucket:
    """Objects in a dictionary.

    Attributes:
        objects: what is there.
        tells_sha256: whether it keeps checksums; not every provider does.
        is_away: whether it fails whatever it is asked.
        before_put: objects that somebody else puts just before the next put is done.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.tells_sha256 = True
        self.is_away = False
        self.before_put: dict[str, bytes] = {}

    async def target(self, key: str, sha256: str) -> RecordingTarget:
        self._check()
        return RecordingTarget(key=key, url=f"memory://{key}", headers={"sha256": sha256})

    async def put(self, key: str, path: Path, sha256: str) -> None:
        self._check()
        content = path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == sha256
        self.objects.update(self.before_put)
        self.before_put = {}
        self.objects[key] = content

    async def head(self, key: str) -> Held:
        content = self._content(key)
        sha256 = hashlib.sha256(content).hexdigest()
        return Held(len(content), sha256 if self.tells_sha256 else None, '"etag"')

    async def open(self, key: str, byte_range: str | None = None) -> Opened:
        content = self._content(key)
        return Opened(len(content), None, '"etag"', chunks(content))

    async def listed(self, prefix: str) -> list[str]:
        self._check()
        return [key for key in self.objects if key.startswith(prefix)]

    async def delete(self, key: str) -> None:
        self._check()
        self.objects.pop(key, None)

    def _content(self, key: str) -> bytes:
        self._check()
        if key not in self.objects:
            raise ObjectMissing(key)
        return self.objects[key]

    def _check(self) -> None:
        if self.is_away:
            raise StorageError("away")
