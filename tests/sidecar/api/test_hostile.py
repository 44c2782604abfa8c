"""Hostile input at every HTTP door: a clear 4xx, never a 500, and no secret in any answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.api.body import MAX_BODY_BYTES
from tests.fakes.control_plane import BOT
from tests.fakes.sidecar_app import SidecarApp

EVERYTHING = {"X_VoxCore_Secret": "s3cret", "X_API_Key": "admin"}
AT = "2026-06-05T10:00:00Z"
BEAT: dict[str, Any] = {
    "kind": "agent",
    "id": "w1",
    "host": "h",
    "pid": 1,
    "ready": True,
    "max_calls": 2,
    "started_at": AT,
}
PLAN: dict[str, Any] = {"channel": "websocket", "bot_id": "desk", "idempotency_key": "k1"}
POSTS = [
    "/internal/v1/calls",
    "/internal/v1/calls/c/claim",
    "/internal/v1/calls/c/reports",
    "/internal/v1/heartbeats",
    "/api/v1/bots",
    "/api/v1/api-keys",
    "/api/v1/deliveries/replay",
    "/api/v1/sip/dialout",
    "/call/outbound",
    "/internal/v1/dials/claim",
]
BODIES = {
    "empty": b"",
    "text": b"hello",
    "null": b"null",
    "list": b"[]",
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "not utf-8": b'{"bot_id":"\xff"}',
    "lone surrogate": b'{"bot_id":"b","name":"\\ud800"}',
    "not a number": b'{"bot_id":"b","variables":{"a":NaN}}',
    "endless number": b'{"bot_id":' + b"1" * 6_000 + b"}",
    "too big": b" " * (MAX_BODY_BYTES + 1),
}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_body_that_makes_no_sense_is_refused(
    sidecar: SidecarApp, path: str, body: bytes
) -> None:
    async with sidecar.http(**EVERYTHING) as http:
        response = await http.post(path, content=body)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "body_invalid")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/calls?limit=--5", 422),
        ("/api/v1/calls?limit=" + "9" * 5_000, 422),
        ("/api/v1/calls?before=0001-01-01T00:00:00%2B14:00", 422),
        ("/api/v1/calls?bot_id=" + "a," * 101, 422),
        ("/api/v1/calls?caller_id=%00", 200),
        ("/api/v1/calls/%00", 404),
        ("/api/v1/deliveries?destination=%00&kind=%00", 200),
        ("/api/v1/deliveries?before=%00", 422),
        ("/api/v1/deliveries?created_from=now", 422),
        ("/api/v1/deliveries/%00", 404),
        ("/api/v1/public/recordings/%00", 404),
        ("/api/v1/config/%00?connected_event=" + "[" * 5_000, 404),
    ],
)
async def test_address_that_makes_no_sense_is_refused(
    sidecar: SidecarApp, path: str, status: int
) -> None:
    async with sidecar.http(**EVERYTHING) as http:
        assert (await http.get(path)).status_code == status


@pytest.mark.parametrize("position", ["-1", "x", "²", "9" * 5_000])
async def test_event_stream_from_nowhere_is_refused(sidecar: SidecarApp, position: str) -> None:
    headers = [(b"X-API-Key", b"admin"), (b"Last-Event-ID", position.encode())]
    async with sidecar.http() as http:
        assert (await http.get("/api/v1/events", headers=headers)).status_code == 422


@pytest.mark.parametrize(
    "change",
    [
        {"pid": 2**31},
        {"max_calls": 2**70},
        {"id": "x" * 201},
        {"started_at": "0001-01-01T00:00:00"},
        {"metrics": {"late": float("nan")}},
        {"calls": ["c"] * 10_001},
    ],
)
async def test_heartbeat_out_of_bounds_is_refused(
    sidecar: SidecarApp, change: dict[str, Any]
) -> None:
    async with sidecar.http(**EVERYTHING) as http:
        body = json.dumps({**BEAT, **change})
        assert (await http.post("/internal/v1/heartbeats", content=body)).status_code == 422


@pytest.mark.parametrize(
    "fact",
    [
        {"type": "leg_answered", "at": "2026-06-05T10:00:00"},
        {"type": "leg_answered", "at": "9999-12-31T23:59:59Z"},
        {"type": "leg_answered", "at": "0001-01-01T00:00:00+10:00"},
        {"type": "intent_found", "at": AT, "name": "n", "confidence": float("nan")},
    ],
)
async def test_fact_nobody_can_calculate_with_is_refused(
    sidecar: SidecarApp, fact: dict[str, Any]
) -> None:
    report = {"source": "bridge", "incarnation": 1, "seq": 1, "facts": [fact]}
    async with sidecar.http(**EVERYTHING) as http:
        response = await http.post("/internal/v1/calls/c/reports", content=json.dumps(report))
    assert response.status_code == 422


async def test_infinity_within_free_facts_becomes_null(sidecar: SidecarApp) -> None:
    facts = [{"type": "noticed", "at": AT, "name": "n", "detail": {"a": float("inf")}}]
    report = {"source": "bridge", "incarnation": 1, "seq": 1, "facts": facts}
    async with sidecar.http(**EVERYTHING) as http:
        await http.post("/api/v1/bots", json=BOT)
        await http.post("/internal/v1/heartbeats", json=BEAT)
        call_id = (await http.post("/internal/v1/calls", json=PLAN)).json()["call_id"]
        path = f"/internal/v1/calls/{call_id}/reports"
        assert (await http.post(path, content=json.dumps(report))).status_code == 200
        events = (await http.get(f"/api/v1/calls/{call_id}/events")).json()["events"]
    assert events[-1]["data"]["detail"] == {"a": None}


async def test_idempotency_key_of_another_call_is_refused(sidecar: SidecarApp) -> None:
    async with sidecar.http(**EVERYTHING) as http:
        await http.post("/api/v1/bots", json=BOT)
        await http.post("/internal/v1/heartbeats", json=BEAT)
        first = await http.post("/internal/v1/calls", json=PLAN)
        again = await http.post("/internal/v1/calls", json=PLAN)
        other = await http.post("/internal/v1/calls", json={**PLAN, "bot_id": "other"})
    assert first.json()["call_id"] == again.json()["call_id"]
    assert (other.status_code, other.json()["error"]["code"]) == (409, "key_reused")


@pytest.mark.parametrize("bot_id", ["", ".", "..", "x" * 201])
async def test_bot_id_that_leaves_the_config_urls_path_is_unknown(
    sidecar: SidecarApp, bot_id: str
) -> None:
    async with sidecar.http(**EVERYTHING) as http:
        response = await http.post("/internal/v1/calls", json={**PLAN, "bot_id": bot_id})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "bot_unknown")


async def test_refused_config_does_not_show_the_secrets_it_would_keep(sidecar: SidecarApp) -> None:
    twice = [{"id": "a", "value": "1"}, {"id": "a", "value": "2"}]
    async with sidecar.http(**EVERYTHING) as http:
        await http.post("/api/v1/bots", json={**BOT, "stream_token": "t0p-secret"})
        masked = {"stream_token": "********", "transfer_targets": twice}
        response = await http.put("/api/v1/bots/desk", json=masked)
    assert response.status_code == 422
    assert "t0p-secret" not in response.text


async def test_admin_key_cannot_be_kept_to_some_bots(sidecar: SidecarApp) -> None:
    async with sidecar.http(**EVERYTHING) as http:
        wanted = {"name": "k", "is_admin": True, "bot_ids": ["desk"]}
        assert (await http.post("/api/v1/api-keys", json=wanted)).status_code == 422


@pytest.mark.parametrize("duration_s", ["nan", "inf", "-1", ""])
async def test_recording_without_end_is_refused(sidecar: SidecarApp, duration_s: str) -> None:
    path = f"/internal/v1/calls/c/recording?incarnation=1&duration_s={duration_s}"
    async with sidecar.http(**EVERYTHING) as http:
        assert (await http.put(path, content=b"RIFF")).status_code == 422


async def test_scoped_key_sees_nothing_of_other_bots(sidecar: SidecarApp) -> None:
    async with sidecar.http(**EVERYTHING) as http:
        await http.post("/api/v1/bots", json=BOT)
        await http.post("/internal/v1/heartbeats", json=BEAT)
        call_id = (await http.post("/internal/v1/calls", json=PLAN)).json()["call_id"]
        key = await http.post("/api/v1/api-keys", json={"name": "k", "bot_ids": ["other"]})
    async with sidecar.operator(key.json()["key"]) as foreign:
        for rest in ("", "/result", "/events"):
            assert (await foreign.get(f"/api/v1/calls/{call_id}{rest}")).status_code == 404
        for rest in ("", "/versions"):
            assert (await foreign.get(f"/api/v1/bots/desk{rest}")).status_code == 404
        for query in ("", "?bot_id=desk", f"?call_id={call_id}"):
            assert (await foreign.get(f"/api/v1/calls{query}")).json()["calls"] == []
            deliveries = (await foreign.get(f"/api/v1/deliveries{query}")).json()
            assert deliveries == {"deliveries": [], "next_before": None}
        assert (await foreign.get("/api/v1/bots")).json() == {"bots": []}
        assert (await foreign.put("/api/v1/bots/desk", json=BOT)).status_code == 403
        assert (await foreign.get("/api/v1/api-keys")).status_code == 403
