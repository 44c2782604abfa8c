"""S3, of any provider: the only module that imports its client.

Files are put by an address that is signed for one content, whoever puts them: the storage itself
refuses any other. A WAV is at most 4 GiB, which S3 takes in one piece.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from contracts.recording import RecordingTarget
from sidecar.client import file_chunks
from sidecar.settings import Settings
from sidecar.storage import (
    CHUNK_BYTES,
    Held,
    ObjectMissing,
    Opened,
    RangeUnsatisfiable,
    StorageError,
)

TARGET_VALID_S = 15 * 60
_MISSING = {"404", "NoSuchKey", "NotFound"}
_TIMEOUT = httpx.Timeout(10.0, read=60.0, write=60.0)
_CHECKSUM = "x-amz-checksum-sha256"
_TYPE = "audio/wav"


class S3Bucket:
    """A `sidecar.storage.Bucket` in S3."""

    def __init__(self, client: Any, http: httpx.AsyncClient, bucket: str) -> None:
        self._client = client
        self._http = http
        self._bucket = bucket

    async def target(self, key: str, sha256: str) -> RecordingTarget:
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        with _mapped():
            url = await self._client.generate_presigned_url(
                "put_object",
                Params={**self._at(key), "ChecksumSHA256": checksum, "ContentType": _TYPE},
                ExpiresIn=TARGET_VALID_S,
            )
        return RecordingTarget(
            key=key, url=url, headers={"Content-Type": _TYPE, _CHECKSUM: checksum}
        )

    async def put(self, key: str, path: Path, sha256: str) -> None:
        target = await self.target(key, sha256)
        length = {"Content-Length": str(path.stat().st_size)}
        try:
            answer = await self._http.put(
                target.url,
                content=file_chunks(path),
                headers=target.headers | length,
                timeout=_TIMEOUT,
            )
        except httpx.TransportError as error:
            raise StorageError(type(error).__name__) from error
        if not answer.is_success:
            raise StorageError(f"status {answer.status_code}")

    async def head(self, key: str) -> Held:
        with _mapped():
            found = await self._client.head_object(**self._at(key), ChecksumMode="ENABLED")
        checksum = found.get("ChecksumSHA256")
        is_whole = found.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
        sha256 = base64.b64decode(checksum).hex() if checksum and is_whole else None
        return Held(found["ContentLength"], sha256, found["ETag"])

    async def open(self, key: str, byte_range: str | None = None) -> Opened:
        wanted = {"Range": byte_range} if byte_range else {}
        with _mapped():
            found = await self._client.get_object(**self._at(key), **wanted)
        return Opened(
            found["ContentLength"], found.get("ContentRange"), found["ETag"], _read(found["Body"])
        )

    async def listed(self, prefix: str) -> list[str]:
        keys: list[str] = []
        with _mapped():
            pages = self._client.get_paginator("list_objects_v2")
            async for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
                keys += [each["Key"] for each in page.get("Contents", ())]
        return keys

    async def delete(self, key: str) -> None:
        with _mapped():
            await self._client.delete_object(**self._at(key))

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": key}


@asynccontextmanager
async def open_bucket(settings: Settings, http: httpx.AsyncClient) -> AsyncIterator[S3Bucket]:
    """Yield the bucket that is set, with a connection pool of its own; nothing is asked of it yet.

    Without keys in the settings the client looks where it always does: the machine's role, files.
    """
    config = AioConfig(
        signature_version="s3v4",
        connect_timeout=5,
        read_timeout=30,
        retries={"max_attempts": 3, "mode": "standard"},
        # Other providers know neither the trailers nor the checksums of the newest client.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    async with get_session().create_client(
        "s3",
        endpoint_url=settings.s3_endpoint_url or None,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key_id or None,
        aws_secret_access_key=settings.s3_secret_access_key or None,
        config=config,
    ) as client:
        yield S3Bucket(client, http, settings.s3_bucket)


@contextmanager
def _mapped() -> Iterator[None]:
    """Let no exception of the client's own out."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code in _MISSING:
            raise ObjectMissing(code) from error
        if status == 416:
            raise RangeUnsatisfiable(code) from error
        raise StorageError(f"{status} {code}") from error
    except (BotoCoreError, OSError) as error:
        raise StorageError(type(error).__name__) from error


async def _read(body: Any) -> AsyncIterator[bytes]:
    try:
        with _mapped():
            async for chunk in body.iter_chunks(CHUNK_BYTES):
                yield chunk
    finally:
        body.close()
