"""`POST /attach`: exact bodies, refusals in the contract's words, and a result whatever comes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from sidecar.rooms import Attendance
from tests.fakes.control_plane import BOT
from tests.fakes.sidecar_app import SidecarApp
from tests.sidecar.api.test_hostile import BEAT, BODIES, EVERYTHING

ROOM = "campaign-7"
WANTED: dict[str, Any] = {
    "room_name": ROOM,
    "bot_id": "desk",
    "to_number": "+15550100",
    "from_number": "+918047091234",
    "connected_event": {"customer_name": "Sam"},
    "campaign_call_id": "c-7",
}


async def open_desk(sidecar: SidecarApp, *, max_calls: int = 2, ready: bool = True) -> None:
    async with sidecar.http(**EVERYTHING) as http:
        await http.post("/api/v1/bots", json=BOT)
        beat = {**BEAT, "max_calls": max_calls, "ready": ready}
        assert (await http.post("/internal/v1/heartbeats", json=beat)).status_code == 200
    sidecar.rooms.attendances[ROOM] = Attendance(("sip-+15550100",))


async def nothing() -> AsyncIterator[bytes]:
    yield b""


async def attached(sidecar: SidecarApp, **changed: Any) -> httpx.Response:
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        return await http.post("/attach", json={**WANTED, **changed})


async def test_bot_is_attached(sidecar: SidecarApp) -> None:
    await open_desk(sidecar)
    answer = await attached(sidecar)
    call_id = answer.json()["call_id"]
    assert (answer.status_code, answer.json()) == (
        200, {"status": "accepted", "call_id": call_id, "room_name": ROOM},
    )  # fmt: skip
    await sidecar.rooms.reached(dispatches=1)
    assert sidecar.rooms.dispatches == [(ROOM, call_id, 1)]
    async with sidecar.operator() as operator:
        call = (await operator.get(f"/api/v1/calls/{call_id}")).json()
    shown = [call[key] for key in ("channel", "call_direction", "caller_id", "did", "state")]
    assert shown == ["attach", "outgoing", "+15550100", "+918047091234", "answered"]


async def test_room_and_bot_are_enough(sidecar: SidecarApp) -> None:
    await open_desk(sidecar)
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        answer = await http.post("/attach", json={"room_name": ROOM, "bot_id": "desk"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("desk", "status", "error"),
    [
        ({"max_calls": 0}, 429, "At capacity"),
        ({"ready": False}, 503, "no agent worker is ready; start one"),
    ],
)
async def test_without_a_slot_it_is_refused_before_anything_happens(
    sidecar: SidecarApp, desk: dict[str, Any], status: int, error: str
) -> None:
    await open_desk(sidecar, **desk)
    answer = await attached(sidecar)
    assert answer.status_code == status
    body = answer.json()
    assert (body["error"], body["detail"]) == (error, error)
    assert (sidecar.rooms.dispatches, sidecar.rooms.removed) == ([], [])
    async with sidecar.operator() as operator:
        assert (await operator.get("/api/v1/calls")).json()["calls"] == []


async def test_secret_is_asked_for_first(sidecar: SidecarApp) -> None:
    for headers in ({}, {"X_VoxCore_Secret": "wrong"}):
        async with sidecar.http(**headers) as http:
            answer = await http.post("/attach", content=b"nonsense")
        assert (answer.status_code, answer.json()["code"]) == (403, "secret_wrong")


async def test_dialler_learns_by_a_result_that_the_bot_is_not_there(sidecar: SidecarApp) -> None:
    await open_desk(sidecar)
    url = "https://9.9.9.9/api/v1/config"
    sidecar.answers["/api/v1/config/theirs"] = httpx.Response(404, content=nothing())
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        body = {**WANTED, "bot_id": "theirs", "config_url": url}
        answer = await http.post("/attach", json=body)
    assert answer.status_code == 200
    call_id = answer.json()["call_id"]
    async with sidecar.operator() as operator:
        told = await sidecar.sent_to("/api/v1/call-results")
        result = json.loads(told.content)
        assert (await operator.get(f"/api/v1/calls/{call_id}/result")).json() == result
    assert result["call_duration_seconds"] == 0.0
    assert result["disconnected_by"] == "error"
    assert result["connected_event"]["_campaign_call_id"] == "c-7"


@pytest.mark.parametrize(
    "changed",
    [
        {"room_name": ""},
        {"room_name": "x" * 101},
        {"bot_id": ""},
        {"bot_id": "b" * 201},
        {"connected_event": "no object"},
        {"config_url": "ftp://api.example"},
    ],
)
async def test_body_that_makes_no_sense_is_refused(
    sidecar: SidecarApp, changed: dict[str, Any]
) -> None:
    await open_desk(sidecar)
    sidecar.rooms.attendances["x" * 101] = Attendance(("sip-+15550100",))
    answer = await attached(sidecar, **changed)
    assert (answer.status_code, answer.json()["code"]) == (422, "body_invalid")


@pytest.mark.parametrize("path", ["/attach", "/livekit/dispatch", "/internal/v1/rooms/claim"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_hostile_body_is_refused(sidecar: SidecarApp, path: str, body: bytes) -> None:
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        assert (await http.post(path, content=body)).status_code == 422
