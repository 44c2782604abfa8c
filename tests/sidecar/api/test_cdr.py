"""`POST /api/v1/cdr`: a dialler's record is shown beside the call and changes nothing of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.store.database import Database
from tests.fakes.control_plane import ControlPlane
from tests.fakes.sidecar_app import SidecarApp, running_app

CDR = {
    "streamId": "stream-9",
    "talktime": 41,
    "call_status": "ANSWERED",
    "recording_filename": "https://dialler.example/r/9.wav",
    "agent": None,
}


@pytest.fixture
async def ended(sqlite: Database, tmp_path: Path) -> AsyncIterator[tuple[SidecarApp, str]]:
    """An ended call of that stream, and its id."""
    plane = ControlPlane(sqlite, tmp_path / "recordings")
    await plane.ready()
    call_id = await plane.talking("k1", stream_id="stream-9")
    await plane.end(call_id)
    async with running_app(sqlite, tmp_path, clock=plane.clock) as sidecar:
        yield sidecar, call_id


async def post(sidecar: SidecarApp, body: Any, header: str = "X_VoxCore_Secret") -> Any:
    async with sidecar.http(**{header: "s3cret"}) as http:
        return (await http.post("/api/v1/cdr", json=body)).json()


async def get(sidecar: SidecarApp, path: str) -> Any:
    async with sidecar.operator() as operator:
        return (await operator.get(path)).json()


@pytest.mark.parametrize("header", ["X_VoxCore_Secret", "X_CXBCore_Secret", "X_CXB_Core_Secret"])
async def test_cdr_is_shown_with_its_call(ended: tuple[SidecarApp, str], header: str) -> None:
    sidecar, call_id = ended
    before = await get(sidecar, f"/api/v1/calls/{call_id}")
    result = await get(sidecar, f"/api/v1/calls/{call_id}/result")
    assert (before["cdr"], before["cdr_talktime"]) == (None, None)
    assert await post(sidecar, CDR, header) == {"status": "ok", "stream_id": "stream-9"}
    after = await get(sidecar, f"/api/v1/calls/{call_id}")
    assert after == {
        **before,
        "cdr": CDR,
        "cdr_talktime": 41,
        "cdr_call_status": "ANSWERED",
        "cdr_recording_url": "https://dialler.example/r/9.wav",
    }
    assert await get(sidecar, f"/api/v1/calls/{call_id}/result") == result


async def test_newest_cdr_of_a_stream_counts(ended: tuple[SidecarApp, str]) -> None:
    sidecar, call_id = ended
    for status in ("RINGING", "ANSWERED"):
        await post(sidecar, {"stream_id": "stream-9", "call_status": status})
    call = await get(sidecar, f"/api/v1/calls/{call_id}")
    assert (call["cdr_call_status"], call["cdr_talktime"]) == ("ANSWERED", None)


@pytest.mark.parametrize("stream", [{}, {"streamId": ""}, {"streamId": None}, {"streamId": {}}])
async def test_cdr_of_no_stream_is_ignored(
    ended: tuple[SidecarApp, str], stream: dict[str, Any]
) -> None:
    answer = await post(ended[0], {**stream, "talktime": 1})
    assert answer == {"status": "ignored", "reason": "no streamId"}


async def test_unknown_stream_is_not_found(ended: tuple[SidecarApp, str]) -> None:
    assert await post(ended[0], {"streamId": 77}) == {"status": "not_found", "stream_id": "77"}


async def test_stream_that_nobody_could_have_is_refused(ended: tuple[SidecarApp, str]) -> None:
    answer = await post(ended[0], {"streamId": "s" * 201})
    assert answer["error"]["code"] == "body_invalid"


async def test_secret_is_needed(ended: tuple[SidecarApp, str]) -> None:
    async with ended[0].http(X_API_Key="admin") as http:
        assert (await http.post("/api/v1/cdr", json=CDR)).status_code == 403
