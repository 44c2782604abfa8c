"""Recordings leaving their host: to the sidecar or to a storage, again until they have arrived."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from agent.recording import Recorder
from agent.uploads import Uploads
from contracts.recording import RecordingTarget
from tests.fakes.call_desk import CallDesk
from tests.fakes.virtual_time import virtual_time

CALLS = [f"6f1c7d52-92a4-4c5e-9a39-0d3c1f0a7b1{n}" for n in range(4)]
HOUR_S = 3600.0
IN_STORAGE = RecordingTarget(
    key="recordings/2026/06/05/s1.wav",
    url="http://storage/recordings/2026/06/05/s1.wav?signature=secret",
    headers={"x-amz-checksum-sha256": "abc"},
)


class Host:
    """A host with recordings, a sidecar, a storage, and clocks that are set by hand."""

    def __init__(self, folder: Path, *, keep_local_h: float = 0) -> None:
        self.folder = folder
        self.desk = CallDesk()
        self.now = 1_780_000_000.0
        self.monotonic = 0.0
        self.stored: dict[str, bytes] = {}
        self.put: list[httpx.Request] = []
        self.storage: Callable[[], httpx.Response] = lambda: httpx.Response(200)
        self.uploads = Uploads(
            folder,
            self.desk.client(),
            keep_local_h=keep_local_h,
            now=lambda: self.now,
            monotonic=lambda: self.monotonic,
            spread=lambda: 1.0,
            transport=httpx.MockTransport(self._take),
        )

    def leave(self, call_id: str, incarnation: int = 1, seconds: int = 2) -> Path:
        path = self.folder / f"{call_id}.{incarnation}.wav"
        with Recorder(path, 8000, lambda *_: None) as recorder:
            for at_ms in range(40, seconds * 1000 + 1, 40):
                recorder.add(at_ms=at_ms, caller=b"\1\0" * 320, bot=b"")
        os.utime(path, (self.now, self.now))
        return path

    def files(self) -> list[str]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.folder)) for path in found)

    async def pass_s(self, seconds: float) -> None:
        self.now += seconds
        self.monotonic += seconds
        await self.uploads.sweep()

    async def _take(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        self.put.append(request)
        answer = self.storage()
        if answer.is_success:
            self.stored[request.url.path] = content
        return answer


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


async def test_complete_recording_goes_to_the_sidecar_and_leaves(host: Host) -> None:
    path = host.leave(CALLS[0], 3)
    content = path.read_bytes()
    await host.uploads.sweep()
    assert host.desk.recordings == {CALLS[0]: content}
    (offer,) = host.desk.offers
    assert (offer.incarnation, offer.duration_s, offer.size_bytes) == (3, 2.0, len(content))
    assert offer.sha256 == hashlib.sha256(content).hexdigest()
    assert host.files() == []


async def test_recording_goes_to_the_storage_and_is_confirmed(host: Host) -> None:
    content = host.leave(CALLS[0]).read_bytes()
    host.desk.target = IN_STORAGE
    await host.uploads.sweep()
    assert host.stored == {"/recordings/2026/06/05/s1.wav": content}
    (request,) = host.put
    assert request.headers["Content-Length"] == str(len(content))
    assert request.headers["x-amz-checksum-sha256"] == "abc"
    # The service secret is the sidecar's, not the storage's.
    assert "X-VoxCore-Secret" not in request.headers
    assert host.desk.confirmed == [IN_STORAGE.key]
    assert host.desk.recordings == {}
    assert host.files() == []


async def test_recording_cut_short_is_mended_before_it_leaves(host: Host) -> None:
    path = host.leave(CALLS[0])
    whole = path.read_bytes()
    os.truncate(path, len(whole) - 4001)
    await host.uploads.sweep()
    arrived = host.desk.recordings[CALLS[0]]
    assert arrived[44:] == whole[44 : len(whole) - 4004]
    assert int.from_bytes(arrived[40:44], "little") == len(arrived) - 44


async def test_recording_that_is_still_written_is_left_alone(host: Host) -> None:
    path = host.folder / f"{CALLS[0]}.1.wav"
    with Recorder(path, 8000, lambda *_: None) as recorder:
        recorder.add(at_ms=40, caller=bytes(640), bot=b"")
        await host.uploads.sweep()
        assert path.exists()
    await host.uploads.sweep()
    assert not path.exists()


async def test_recording_of_a_call_that_goes_on_waits_for_its_end(host: Host) -> None:
    host.leave(CALLS[0])
    host.desk.refusals["recording"] = (409, "call_live")
    for _ in range(10):
        await host.pass_s(1.0)
    assert host.files() == [f"{CALLS[0]}.1.wav"]
    host.desk.refusals.clear()
    await host.pass_s(1.0)
    assert host.files() == []


@pytest.mark.parametrize("code", ["body_invalid", "call_unknown", "stale_incarnation"])
async def test_what_nobody_wants_is_kept_aside_for_a_day(host: Host, code: str) -> None:
    host.leave(CALLS[0])
    host.desk.refusals["recording"] = (404, code)
    await host.uploads.sweep()
    assert host.files() == [f"refused/{CALLS[0]}.1.wav"]
    await host.pass_s(23 * HOUR_S)
    assert host.files() == [f"refused/{CALLS[0]}.1.wav"]
    await host.pass_s(2 * HOUR_S)
    assert host.files() == []


async def test_recording_of_an_erased_call_is_deleted_at_once(host: Host) -> None:
    host.leave(CALLS[0])
    host.desk.refusals["recording"] = (410, "call_erased")
    await host.uploads.sweep()
    assert host.files() == []


@pytest.mark.parametrize(
    "refusal", [(503, "store_unavailable"), (500, "internal"), (403, "secret_wrong")]
)
async def test_sidecar_that_cannot_take_it_is_asked_again(
    host: Host, refusal: tuple[int, str]
) -> None:
    host.leave(CALLS[0])
    host.desk.refusals["recording"] = refusal
    await host.uploads.sweep()
    assert host.files() == [f"{CALLS[0]}.1.wav"]
    host.desk.refusals.clear()
    await host.pass_s(0.9)
    assert host.desk.offers == []
    await host.pass_s(0.2)
    assert host.files() == []


@pytest.mark.parametrize("status", [400, 403, 500, 503])
async def test_storage_that_refuses_is_asked_again_ever_more_rarely(
    host: Host, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    host.leave(CALLS[0])
    host.desk.target = IN_STORAGE
    host.storage = lambda: httpx.Response(status, text="<Error><Code>AccessDenied</Code></Error>")
    for _ in range(3600):
        await host.pass_s(1.0)
    assert 55 <= len(host.put) <= 70
    assert host.desk.confirmed == []
    # A fresh address each time: the last one's signature may have run out.
    assert len(host.desk.offers) == len(host.put)
    said = capsys.readouterr().out
    assert f"{status} AccessDenied" in said
    assert "signature" not in said
    host.storage = lambda: httpx.Response(200)
    await host.pass_s(61)
    assert host.files() == []


async def test_storage_that_is_away_is_asked_again(host: Host) -> None:
    host.leave(CALLS[0])
    host.desk.target = IN_STORAGE

    def away() -> httpx.Response:
        raise httpx.ConnectError("refused")

    host.storage = away
    await host.uploads.sweep()
    assert host.files() == [f"{CALLS[0]}.1.wav"]
    host.storage = lambda: httpx.Response(200)
    await host.pass_s(2)
    assert host.files() == []


async def test_file_stays_until_the_sidecar_has_seen_it(host: Host) -> None:
    host.leave(CALLS[0])
    host.desk.target = IN_STORAGE
    host.desk.refusals["stored"] = (409, "recording_differs")
    await host.uploads.sweep()
    assert host.files() == [f"{CALLS[0]}.1.wav"]
    host.desk.refusals.clear()
    await host.pass_s(2)
    assert host.files() == []
    assert len(host.put) == 2


async def test_one_that_must_wait_holds_up_no_other(host: Host) -> None:
    for call_id in CALLS:
        host.leave(call_id)
    os.chmod(host.folder / f"{CALLS[0]}.1.wav", 0)
    (host.folder / f"{CALLS[1]}.1.wav").unlink()
    (host.folder / f"{CALLS[1]}.1.wav").symlink_to(host.folder / "nowhere")
    (host.folder / "notes.wav").write_bytes(b"hello")
    await host.uploads.sweep()
    assert {CALLS[2], CALLS[3]} <= set(host.desk.recordings)
    assert (host.folder / "notes.wav").exists()


async def test_copy_is_kept_as_long_as_it_was_asked_for(tmp_path: Path) -> None:
    host = Host(tmp_path, keep_local_h=2)
    host.leave(CALLS[0])
    await host.uploads.sweep()
    assert host.files() == [f"stored/{CALLS[0]}.1.wav"]
    await host.pass_s(1.9 * HOUR_S)
    assert len(host.desk.recordings) == 1
    assert host.files() == [f"stored/{CALLS[0]}.1.wav"]
    await host.pass_s(0.2 * HOUR_S)
    assert host.files() == []


async def test_copy_of_an_erased_call_goes_at_once(tmp_path: Path) -> None:
    host = Host(tmp_path, keep_local_h=2)
    for call_id in CALLS[:2]:
        host.leave(call_id)
    await host.uploads.sweep()
    host.desk.erased = {CALLS[0]}
    host.desk.refusals["erased"] = (503, "away")
    await host.pass_s(60)
    assert len(host.files()) == 2
    del host.desk.refusals["erased"]
    await host.pass_s(60)
    assert host.files() == [f"stored/{CALLS[1]}.1.wav"]


async def test_file_without_audio_is_deleted_once_it_is_surely_nobodys(host: Host) -> None:
    path = host.folder / f"{CALLS[0]}.1.wav"
    path.touch()
    os.utime(path, (host.now, host.now))
    await host.pass_s(30)
    assert host.files() == [path.name]
    await host.pass_s(31)
    assert host.files() == []
    assert host.desk.offers == []


@pytest.mark.parametrize("module", ["agent.job", "agent.worker", "agent.__main__"])
def test_no_process_of_an_agent_pays_for_a_client_of_the_storage(module: str) -> None:
    """27 MB each, or in the forkserver that they all come from; the sidecar alone has it."""
    told = f"import sys, {module}; print([m for m in sys.modules if 'botocore' in m])"
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


@virtual_time
async def test_stopping_host_lets_recordings_leave_as_far_as_it_has_time() -> None:
    with TemporaryDirectory() as folder:
        host = Host(Path(folder))
        host.leave(CALLS[0])
        await host.uploads.finish(10.0)
        assert host.files() == []
        host = Host(Path(folder))
        host.leave(CALLS[0])
        host.desk.refusals["recording"] = (503, "store_unavailable")
        async with asyncio.timeout(11.0):
            await host.uploads.finish(10.0)
        assert host.files() == [f"{CALLS[0]}.1.wav"]
