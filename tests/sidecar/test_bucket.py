"""S3 on a real server: what it takes, refuses and gives out, and how it fails."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import httpx
import pytest

from contracts.recording import RecordingTarget
from sidecar.bucket import S3Bucket
from sidecar.storage import CHUNK_BYTES, ObjectMissing, RangeUnsatisfiable, StorageError
from tests.fakes.buckets import opened
from tests.fakes.recordings import big_wav
from tests.fakes.s3 import S3Server

MB = 1024 * 1024


async def put(target: RecordingTarget, content: bytes) -> httpx.Response:
    """Put content as anybody may who was given the target."""
    async with httpx.AsyncClient() as http:
        return await http.put(target.url, content=content, headers=target.headers)


async def stored(bucket: S3Bucket, key: str, content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    assert (await put(await bucket.target(key, sha256), content)).is_success
    return sha256


async def read(bucket: S3Bucket, key: str, byte_range: str | None = None) -> bytes:
    found = await bucket.open(key, byte_range)
    content = b"".join([chunk async for chunk in found.chunks])
    assert len(content) == found.size_bytes
    return content


async def test_target_takes_its_content_and_no_other(s3_server: S3Server) -> None:
    async with opened(s3_server) as bucket:
        target = await bucket.target("a/one b.wav", hashlib.sha256(b"right").hexdigest())
        assert target.key == "a/one b.wav"
        refused = await put(target, b"wrong")
        assert (refused.status_code, b"BadDigest" in refused.content) == (400, True)
        unsigned = await put(target.model_copy(update={"headers": {}}), b"right")
        assert unsigned.status_code == 403
        with pytest.raises(ObjectMissing):
            await bucket.head(target.key)
        assert (await put(target, b"right")).is_success
        held = await bucket.head(target.key)
    assert (held.size_bytes, held.sha256) == (5, hashlib.sha256(b"right").hexdigest())


async def test_object_is_read_whole_and_in_ranges(s3_server: S3Server) -> None:
    content = bytes(range(250)) * 100
    async with opened(s3_server) as bucket:
        await stored(bucket, "ranges.wav", content)
        assert await read(bucket, "ranges.wav") == content
        assert await read(bucket, "ranges.wav", "bytes=0-3") == content[:4]
        assert await read(bucket, "ranges.wav", "bytes=24000-") == content[24000:]
        assert await read(bucket, "ranges.wav", "bytes=-10") == content[-10:]
        part = await bucket.open("ranges.wav", "bytes=5-9")
        assert part.content_range == "bytes 5-9/25000"
        assert [chunk async for chunk in part.chunks] == [content[5:10]]
        with pytest.raises(RangeUnsatisfiable):
            await bucket.open("ranges.wav", "bytes=90000-")
        with pytest.raises(ObjectMissing):
            await bucket.open("nothing.wav")


async def test_objects_are_listed_replaced_and_deleted(s3_server: S3Server, tmp_path: Path) -> None:
    path = tmp_path / "new.wav"
    path.write_bytes(b"new")
    async with opened(s3_server) as bucket:
        for key in ("list/1.wav", "list/2.wav", "other/1.wav"):
            await stored(bucket, key, b"old")
        assert sorted(await bucket.listed("list/")) == ["list/1.wav", "list/2.wav"]
        await bucket.put("list/1.wav", path, hashlib.sha256(b"new").hexdigest())
        assert await read(bucket, "list/1.wav") == b"new"
        with pytest.raises(StorageError, match="400"):
            await bucket.put("list/1.wav", path, hashlib.sha256(b"other").hexdigest())
        for _ in range(2):
            await bucket.delete("list/1.wav")
        assert await bucket.listed("list/") == ["list/2.wav"]
        assert await bucket.listed("nothing/") == []


async def test_hundred_megabytes_pass_without_being_held(
    s3_server: S3Server, tmp_path: Path
) -> None:
    offer = big_wav(tmp_path / "big.wav", 100 * MB)
    async with opened(s3_server) as bucket:
        tracemalloc.start()
        try:
            await bucket.put("big.wav", tmp_path / "big.wav", offer.sha256)
            digest, largest = hashlib.sha256(), 0
            async for chunk in (await bucket.open("big.wav")).chunks:
                digest.update(chunk)
                largest = max(largest, len(chunk))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        held = await bucket.head("big.wav")
        await bucket.delete("big.wav")
    assert digest.hexdigest() == held.sha256 == offer.sha256
    assert largest <= CHUNK_BYTES
    assert peak < 16 * MB


@pytest.mark.parametrize(
    "changes",
    [
        {"s3_secret_access_key": "wrong"},
        {"s3_access_key_id": "nobody"},
        {"s3_bucket": "another"},
    ],
)
async def test_wrong_settings_are_told_as_a_failure_of_the_storage(
    s3_server: S3Server, tmp_path: Path, changes: dict[str, str]
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"a")
    async with opened(s3_server, **changes) as bucket:
        for asked in (
            bucket.put("a.wav", path, hashlib.sha256(b"a").hexdigest()),
            bucket.open("a.wav"),
            bucket.listed("a"),
        ):
            with pytest.raises(StorageError):
                await asked
        assert (await put(await bucket.target("a.wav", "0" * 64), b"a")).status_code in (403, 404)


async def test_storage_that_is_away_is_told_and_found_again(tmp_path: Path) -> None:
    server = S3Server(tmp_path)
    server.start()
    path = tmp_path / "a.wav"
    path.write_bytes(b"kept")
    sha256 = hashlib.sha256(b"kept").hexdigest()
    async with opened(server) as bucket:
        await bucket.put("a.wav", path, sha256)
        server.stop()
        for asked in (
            bucket.head("a.wav"),
            bucket.open("a.wav"),
            bucket.put("a.wav", path, sha256),
        ):
            with pytest.raises(StorageError):
                await asked
        server.start()
        try:
            assert await read(bucket, "a.wav") == b"kept"
        finally:
            server.stop()
