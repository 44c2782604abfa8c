"""Recordings over HTTP: secret or token, ranges, and no way out of the folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.store import recordings
from sidecar.store.database import Database
from tests.fakes.control_plane import START
from tests.fakes.sidecar_app import SidecarApp, running_app

SECRET = {"X_VoxCore_Secret": "s3cret"}


@pytest.fixture
async def sidecar(sqlite: Database, tmp_path: Path) -> AsyncIterator[SidecarApp]:
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "s1.wav").write_bytes(b"0123456789")
    (tmp_path / "secret.wav").write_bytes(b"not yours")
    async with sqlite.transaction() as connection:
        await recordings.expect(connection, "default", "c1", "s1.wav", "token-1", START)
        await recordings.expect(connection, "default", "c2", "s2.wav", "token-2", START)
    async with running_app(sqlite, tmp_path) as app:
        yield app


@pytest.mark.parametrize("path", ["/recordings/s1.wav", "/api/v1/public/recordings/token-1"])
async def test_recording_is_served_whole_and_in_ranges(sidecar: SidecarApp, path: str) -> None:
    async with sidecar.http(**SECRET) as http:
        whole = await http.get(path)
        part = await http.get(path, headers={"Range": "bytes=2-4"})
        beyond = await http.get(path, headers={"Range": "bytes=50-60"})
        head = await http.head(path)
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert whole.headers["Content-Type"] == "audio/wav"
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert (part.status_code, part.content) == (206, b"234")
    assert part.headers["Content-Range"] == "bytes 2-4/10"
    assert beyond.status_code == 416
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "10", b"")


@pytest.mark.parametrize(
    "key",
    [
        "../secret.wav",
        "%2e%2e/secret.wav",
        "..%2fsecret.wav",
        "/etc/passwd",
        "s3.wav",
        "s1",
        ".wav",
    ],
)
async def test_key_that_is_not_a_recording_is_not_found(sidecar: SidecarApp, key: str) -> None:
    async with sidecar.http(**SECRET) as http:
        assert (await http.get(f"/recordings/{key}")).status_code == 404


@pytest.mark.parametrize("token", ["token-2", "nonsense"])
async def test_token_without_a_file_is_not_found(sidecar: SidecarApp, token: str) -> None:
    async with sidecar.http() as http:
        assert (await http.get(f"/api/v1/public/recordings/{token}")).status_code == 404


async def test_key_without_the_secret_is_refused(sidecar: SidecarApp) -> None:
    async with sidecar.http() as http:
        assert (await http.get("/recordings/s1.wav")).status_code == 403
