"""Erasing over HTTP: administrators only, one call or all of a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar.store.database import Database
from tests.fakes.control_plane import ControlPlane
from tests.fakes.sidecar_app import SidecarApp


@pytest.fixture
async def call_id(sqlite: Database, sidecar: SidecarApp, tmp_path: Path) -> str:
    """A call that has ended, with a recording."""
    plane = ControlPlane(sqlite, tmp_path / "recordings")
    await plane.ready()
    call_id = await plane.talking()
    await plane.end(call_id)
    result = await plane.result(call_id)
    assert result is not None
    path = plane.folder.file_of(result["recording_key"])
    assert path is not None
    path.parent.mkdir(parents=True)
    path.write_bytes(b"RIFF")
    return call_id


async def post(http: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    return await http.post("/api/v1/erasures", json=body)


async def test_call_is_erased_with_its_recording(
    sidecar: SidecarApp, call_id: str, tmp_path: Path
) -> None:
    async with sidecar.operator() as http:
        answer = await http.delete(f"/api/v1/calls/{call_id}")
        again = await http.delete(f"/api/v1/calls/{call_id}")
        shown = await http.get(f"/api/v1/calls/{call_id}")
    nothing_left = {"records": 0, "live": [], "recordings_pending": 0}
    assert (answer.status_code, answer.json()) == (200, {"calls": 1, **nothing_left})
    assert (again.status_code, again.json()["error"]["code"]) == (410, "call_erased")
    assert (shown.status_code, shown.json()["error"]["code"]) == (404, "call_unknown")
    assert list((tmp_path / "recordings").rglob("*.wav")) == []


async def test_number_is_erased_and_counted(sidecar: SidecarApp, call_id: str) -> None:
    async with sidecar.operator() as http:
        answer = await post(http, {"number": "001 555 0100"})
        nothing = await post(http, {"number": "001 555 0100"})
    assert (answer.status_code, answer.json()["calls"]) == (200, 1)
    assert (nothing.status_code, nothing.json()["calls"]) == (200, 0)


@pytest.mark.parametrize("body", [{}, {"number": "x"}, {"number": 15550100}, {"numbers": []}])
async def test_body_that_names_no_number_is_refused(
    sidecar: SidecarApp, body: dict[str, Any]
) -> None:
    async with sidecar.operator() as http:
        answer = await post(http, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "body_invalid")


async def test_host_learns_which_calls_it_keeps_were_erased(
    sidecar: SidecarApp, call_id: str
) -> None:
    async with sidecar.operator() as operator, sidecar.service() as host:
        assert await host.erased([call_id, "other"]) == set()
        await operator.delete(f"/api/v1/calls/{call_id}")
        assert await host.erased([call_id, "other"]) == {call_id}
    async with sidecar.http() as nobody:
        assert (await nobody.post("/internal/v1/erased", json={})).status_code == 403


async def test_only_administrators_erase(sidecar: SidecarApp, call_id: str) -> None:
    async with sidecar.operator() as http:
        made = await http.post("/api/v1/api-keys", json={"name": "reader"})
    async with sidecar.operator(made.json()["key"]) as reader:
        one = await reader.delete(f"/api/v1/calls/{call_id}")
        many = await post(reader, {"number": "+15550100"})
    async with sidecar.http(X_VoxCore_Secret="s3cret") as service:
        keyless = await service.delete(f"/api/v1/calls/{call_id}")
    assert [answer.status_code for answer in (one, many, keyless)] == [403, 403, 401]
