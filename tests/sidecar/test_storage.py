"""Recordings on their whole way: from a host's folder through a sidecar into a real S3, and out."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.uploads import Uploads
from contracts.outcome import Reason
from contracts.report import AgentEnded, LegEnded, Source
from sidecar.store import recordings
from sidecar.store.database import Database
from sidecar.store.recordings import RecordingRow
from sidecar.store.tables import DEFAULT_TENANT
from tests.fakes.buckets import opened
from tests.fakes.control_plane import ControlPlane
from tests.fakes.corrupting_proxy import CorruptingProxy
from tests.fakes.recordings import big_wav, stretches_of, wav_of
from tests.fakes.s3 import BUCKET, S3Server
from tests.fakes.sidecar_app import SidecarApp, running_app

MB = 1024 * 1024
MARK = b"\x55\x55" * 100
SPOKEN = wav_of((1.0, 0x5555), (1.0, 2))


class Way:
    """A sidecar with a bucket, and hosts that have recordings for it."""

    def __init__(self, plane: ControlPlane, sidecar: SidecarApp, server: S3Server) -> None:
        self.plane = plane
        self.sidecar = sidecar
        self.server = server
        self.now = 0.0

    async def ended_call(self, agents: int = 1) -> str:
        """Return an answered and ended call that so many agents have served."""
        plane = self.plane
        await plane.ready()
        call_id = await plane.talking()
        for _ in range(agents - 1):
            await plane.calls.raise_incarnation(await plane.row(call_id))
        at, reason = plane.clock(), Reason.CALLER_HUNG_UP
        await plane.report(call_id, Source.BRIDGE, 2, LegEnded(at=at, reason=reason))
        agent_ended = AgentEnded(at=at, reason=reason)
        seq = 3 if agents == 1 else 1
        await plane.report(call_id, Source.AGENT, seq, agent_ended, incarnation=agents)
        return call_id

    @asynccontextmanager
    async def host(self, folder: Path) -> AsyncIterator[Uploads]:
        """Yield what a worker's main process does with the recordings in its folder."""
        folder.mkdir(exist_ok=True)
        async with self.sidecar.service() as client:
            uploads = Uploads(folder, client, monotonic=lambda: self.now, spread=lambda: 1.0)
            try:
                yield uploads
            finally:
                self.now += 3600
                await uploads.finish(0.0)

    async def later(self, uploads: Uploads) -> None:
        self.now += 61
        await uploads.sweep()

    async def row(self, call_id: str) -> RecordingRow:
        async with self.plane.database.read() as connection:
            row = await recordings.of_call(connection, DEFAULT_TENANT, call_id)
        assert row is not None
        return row

    def object_of(self, row: RecordingRow) -> Path:
        """Return where the S3 server keeps it."""
        return self.server.folder / BUCKET / row.recording_key


@asynccontextmanager
async def way(database: Database, folder: Path, server: S3Server, **s3: Any) -> AsyncIterator[Way]:
    plane = ControlPlane(database, folder / "recordings")
    async with (
        opened(server, **s3) as bucket,
        running_app(database, folder, bucket=bucket) as sidecar,
    ):
        yield Way(plane, sidecar, server)


@pytest.fixture
async def away(tmp_path: Path) -> AsyncIterator[S3Server]:
    """A server of this test's own, to be killed and started again."""
    (tmp_path / "s3").mkdir()
    server = S3Server(tmp_path / "s3")
    server.start()
    yield server
    server.stop()


async def test_recording_is_put_served_in_ranges_and_gone_from_its_host(
    sqlite: Database, tmp_path: Path, s3_server: S3Server
) -> None:
    async with way(sqlite, tmp_path, s3_server) as site:
        call_id = await site.ended_call()
        async with site.host(tmp_path / "host") as uploads:
            (tmp_path / "host" / f"{call_id}.1.wav").write_bytes(SPOKEN)
            await uploads.sweep()
        assert list((tmp_path / "host").iterdir()) == []
        row = await site.row(call_id)
        assert row.place == "s3"
        assert row.recording_key == f"recordings/2026/06/05/{call_id}.wav"
        assert site.object_of(row).read_bytes() == SPOKEN
        assert not list((tmp_path / "recordings").rglob("*.wav"))
        etag = f'"{hashlib.sha256(SPOKEN).hexdigest()}"'
        paths = (f"/api/v1/public/recordings/{row.token}", f"/recordings/{row.recording_key}")
        async with site.sidecar.http(X_VoxCore_Secret="s3cret") as http:
            for path in (*paths, f"/recordings/{call_id}.wav"):
                whole = await http.get(path)
                assert (whole.status_code, whole.content) == (200, SPOKEN)
                assert whole.headers["Content-Type"] == "audio/wav"
                assert whole.headers["Content-Length"] == str(len(SPOKEN))
                assert whole.headers["ETag"] == etag
                for asked, start, end in (
                    ("bytes=0-3", 0, 4),
                    ("bytes=31000-", 31_000, len(SPOKEN)),
                    ("bytes=-5", len(SPOKEN) - 5, len(SPOKEN)),
                ):
                    part = await http.get(path, headers={"Range": asked, "If-Range": etag})
                    assert (part.status_code, part.content) == (206, SPOKEN[start:end])
                    told = f"bytes {start}-{end - 1}/{len(SPOKEN)}"
                    assert part.headers["Content-Range"] == told
                beyond = await http.get(path, headers={"Range": "bytes=900000-"})
                assert beyond.status_code == 416
                assert beyond.headers["Content-Range"] == f"bytes */{len(SPOKEN)}"
                for ignored in (
                    {"Range": "bytes=0-3", "If-Range": '"another"'},
                    {"Range": "bytes=0-3, 5-6"},
                    {"Range": "words=0-3"},
                ):
                    assert (await http.get(path, headers=ignored)).content == SPOKEN
                head = await http.head(path)
                assert (head.status_code, head.content) == (200, b"")
                assert head.headers["Content-Length"] == str(len(SPOKEN))


async def test_two_segments_of_two_hosts_become_one_recording(
    sqlite: Database, tmp_path: Path, s3_server: S3Server
) -> None:
    async with way(sqlite, tmp_path, s3_server) as site:
        call_id = await site.ended_call(agents=2)
        async with site.host(tmp_path / "second") as uploads:
            second = wav_of((2.5, 0), (1.0, 2))
            (tmp_path / "second" / f"{call_id}.2.wav").write_bytes(second)
            await uploads.sweep()
        assert site.object_of(await site.row(call_id)).read_bytes() == second
        async with site.host(tmp_path / "first") as uploads:
            (tmp_path / "first" / f"{call_id}.1.wav").write_bytes(wav_of((1.0, 1))[:-3])
            await uploads.sweep()
        row = await site.row(call_id)
        joined = site.object_of(row).read_bytes()
        # Three bytes short of a second, so one frame.
        frames = [(round(seconds * 8000), value) for seconds, value in stretches_of(joined)]
        assert frames == [(7999, 1), (12_001, 0), (8000, 2)]
        assert (row.size_bytes, row.duration_s) == (len(joined), 3.5)
        async with site.sidecar.http(X_VoxCore_Secret="s3cret") as http:
            assert (await http.get(f"/recordings/{row.recording_key}")).content == joined
        assert not list((tmp_path / "recordings").rglob("*.part"))


async def test_storage_that_is_away_gets_the_recording_once_it_is_back(
    sqlite: Database, tmp_path: Path, away: S3Server
) -> None:
    async with way(sqlite, tmp_path, away) as site:
        call_id = await site.ended_call()
        async with site.host(tmp_path / "host") as uploads:
            path = tmp_path / "host" / f"{call_id}.1.wav"
            path.write_bytes(SPOKEN)
            away.stop()
            for _ in range(3):
                await site.later(uploads)
            assert path.read_bytes() == SPOKEN
            async with site.sidecar.http() as http:
                public = f"/api/v1/public/recordings/{(await site.row(call_id)).token}"
                assert (await http.get(public)).status_code == 404
                away.start()
                await site.later(uploads)
                assert not path.exists()
                assert (await http.get(public)).content == SPOKEN
                away.stop()
                unanswered = await http.get(public)
                assert unanswered.status_code == 503
                assert unanswered.json()["error"]["code"] == "store_unavailable"
                # A copy in the folder is as good.
                copy = tmp_path / "recordings/2026/06/05" / f"{call_id}.wav"
                copy.parent.mkdir(parents=True)
                copy.write_bytes(SPOKEN)
                assert (await http.get(public)).content == SPOKEN


async def test_object_that_was_removed_from_the_bucket_is_not_found(
    sqlite: Database, tmp_path: Path, s3_server: S3Server
) -> None:
    async with way(sqlite, tmp_path, s3_server) as site:
        call_id = await site.ended_call()
        async with site.host(tmp_path / "host") as uploads:
            (tmp_path / "host" / f"{call_id}.1.wav").write_bytes(SPOKEN)
            await uploads.sweep()
        row = await site.row(call_id)
        site.object_of(row).unlink()
        async with site.sidecar.http() as http:
            answer = await http.get(f"/api/v1/public/recordings/{row.token}")
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("s3", "said"),
    [
        ({"s3_secret_access_key": "wrong"}, "403 SignatureDoesNotMatch"),
        ({"s3_access_key_id": "nobody"}, "404 XAdminUserNotFound"),
        ({"s3_bucket": "another"}, "404 NoSuchBucket"),
    ],
)
async def test_wrong_settings_keep_the_recording_here_and_say_why(
    sqlite: Database,
    tmp_path: Path,
    s3_server: S3Server,
    capsys: pytest.CaptureFixture[str],
    s3: dict[str, str],
    said: str,
) -> None:
    async with way(sqlite, tmp_path, s3_server, **s3) as site:
        call_id = await site.ended_call()
        async with site.host(tmp_path / "host") as uploads:
            path = tmp_path / "host" / f"{call_id}.1.wav"
            path.write_bytes(SPOKEN)
            await uploads.sweep()
            await site.later(uploads)
            assert path.read_bytes() == SPOKEN
    logged = capsys.readouterr().out
    assert said in logged
    assert "X-Amz" not in logged


async def test_recording_that_is_changed_on_its_way_is_sent_again(
    sqlite: Database, tmp_path: Path, s3_server: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        CorruptingProxy(s3_server.port, MARK) as proxy,
        way(sqlite, tmp_path, s3_server, s3_endpoint_url=proxy.url) as site,
    ):
        call_id = await site.ended_call()
        async with site.host(tmp_path / "host") as uploads:
            path = tmp_path / "host" / f"{call_id}.1.wav"
            path.write_bytes(SPOKEN)
            await uploads.sweep()
            assert proxy.changed == 1
            assert "BadDigest" in capsys.readouterr().out
            assert path.exists()
            assert not site.object_of(await site.row(call_id)).exists()
            proxy.is_corrupting = False
            await site.later(uploads)
            assert not path.exists()
        assert site.object_of(await site.row(call_id)).read_bytes() == SPOKEN


async def test_hundred_megabytes_go_up_and_down_without_being_held(
    sqlite: Database, tmp_path: Path, s3_server: S3Server
) -> None:
    async with way(sqlite, tmp_path, s3_server) as site:
        call_id = await site.ended_call()
        async with site.host(tmp_path / "host") as uploads:
            offer = big_wav(tmp_path / "host" / f"{call_id}.1.wav", 100 * MB)
            tracemalloc.start()
            try:
                await uploads.sweep()
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert peak < 16 * MB
        row = await site.row(call_id)
        assert (row.size_bytes, row.sha256) == (offer.size_bytes, offer.sha256)
        async with site.sidecar.http() as http:
            last = await http.get(
                f"/api/v1/public/recordings/{row.token}", headers={"Range": "bytes=-1000"}
            )
        assert (last.status_code, len(last.content)) == (206, 1000)
        site.object_of(row).unlink()
