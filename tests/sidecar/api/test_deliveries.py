"""Deliveries over HTTP: listed, shown with every attempt, replayed; endpoints enabled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar.store import deliveries, endpoints
from sidecar.store.database import Database
from sidecar.store.deliveries import Attempt, DeliveryState
from sidecar.store.endpoints import endpoint_id_of
from tests.fakes.control_plane import START, FakeClock
from tests.fakes.outbox import T, delivery
from tests.fakes.sidecar_app import SidecarApp, running_app

GONE = "http://localhost/gone"
FAILED = Attempt("dead", 1, START, 500, None, 12.34, "down for maintenance")


@pytest.fixture
async def sidecar(sqlite: Database, tmp_path: Path) -> AsyncIterator[SidecarApp]:
    """A sidecar with a delivery in each state, made a second apart, and a disabled endpoint."""
    clock = FakeClock()
    later = START + timedelta(days=1)
    rows = [
        delivery(clock, "pending", due_at=later, url="http://localhost/pending"),
        delivery(clock, "done", state=DeliveryState.DELIVERED, url="http://localhost/done"),
        delivery(clock, "dead", state=DeliveryState.DEAD, attempt=1, url="http://localhost/dead"),
        delivery(clock, "parked", state=DeliveryState.PARKED, url=GONE, bot_id="other"),
        delivery(clock, "push", state=DeliveryState.DEAD, url="http://127.0.0.1/x", kind="push"),
        delivery(clock, "else", state=DeliveryState.DEAD, tenant_id="else"),
    ]
    async with sqlite.transaction() as connection:
        for number, row in enumerate(rows):
            await deliveries.add(
                connection,
                replace(row, created_at=START + timedelta(seconds=number)),
            )
        await deliveries.add_attempt(connection, T, FAILED)
        await endpoints.disable(connection, T, GONE, "status 410", START)
    async with running_app(sqlite, tmp_path, clock=clock) as app:
        yield app


async def get(sidecar: SidecarApp, path: str, key: str = "admin") -> Any:
    async with sidecar.operator(key) as client:
        return (await client.get(path)).json()


async def post(
    sidecar: SidecarApp, path: str, body: dict[str, Any] | None = None, key: str = "admin"
) -> httpx.Response:
    async with sidecar.operator(key) as client:
        return await client.post(path, json=body)


async def key_of(sidecar: SidecarApp, *bot_ids: str) -> str:
    wanted = {"name": "CRM", "bot_ids": list(bot_ids)}
    return str((await post(sidecar, "/api/v1/api-keys", wanted)).json()["key"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["push", "parked", "dead", "done", "pending"]),
        ("state=dead,parked", ["push", "parked", "dead"]),
        ("bot_id=other", ["parked"]),
        ("call_id=nobody", []),
        ("kind=push", ["push"]),
        ("destination=http://127.0.0.1", ["push"]),
        ("destination=http://LOCALHOST:80/any&state=dead", ["dead"]),
        ("destination=nowhere", []),
        (
            "created_from=2026-06-05T10:00:02Z&created_before=2026-06-05T10:00:04Z",
            ["parked", "dead"],
        ),
    ],
)
async def test_list_filters(sidecar: SidecarApp, query: str, found: list[str]) -> None:
    listed = (await get(sidecar, f"/api/v1/deliveries?{query}"))["deliveries"]
    assert [row["delivery_id"] for row in listed] == found


async def test_list_pages(sidecar: SidecarApp) -> None:
    seen: list[str] = []
    before = ""
    while True:
        page = await get(sidecar, f"/api/v1/deliveries?limit=2{before}")
        seen += [row["delivery_id"] for row in page["deliveries"]]
        if page["next_before"] is None:
            break
        before = f"&before={page['next_before']}"
    assert seen == ["push", "parked", "dead", "done", "pending"]
    strange = await get(sidecar, "/api/v1/deliveries?before=else")
    assert strange["error"]["code"] == "body_invalid"


async def test_one_delivery_shows_its_body_and_every_attempt(sidecar: SidecarApp) -> None:
    shown = await get(sidecar, "/api/v1/deliveries/dead")
    assert shown["body"] == '{"session_id":"s1"}'
    assert (shown["state"], shown["next_attempt_at"]) == ("dead", None)
    assert (shown["destination"], shown["kind"], shown["method"]) == (
        "http://localhost",
        "webhook",
        "POST",
    )
    assert shown["attempts"] == [
        {
            "attempt": 1,
            "at": START.isoformat(),
            "status_code": 500,
            "error": None,
            "duration_ms": 12.3,
            "response": "down for maintenance",
        }
    ]
    waits = await get(sidecar, "/api/v1/deliveries/pending")
    assert waits["next_attempt_at"] == (START + timedelta(days=1)).isoformat()


@pytest.mark.parametrize("delivery_id", ["nobody", "else"])
async def test_unknown_delivery_is_not_found(sidecar: SidecarApp, delivery_id: str) -> None:
    path = f"/api/v1/deliveries/{delivery_id}"
    assert (await get(sidecar, path))["error"]["code"] == "not_found"
    assert (await post(sidecar, f"{path}/replay")).status_code == 404


@pytest.mark.parametrize("delivery_id", ["dead", "done", "pending"])
async def test_replay_sends_it_again_at_once(sidecar: SidecarApp, delivery_id: str) -> None:
    replayed = (await post(sidecar, f"/api/v1/deliveries/{delivery_id}/replay")).json()
    assert replayed["delivery_id"] == delivery_id
    request = await sidecar.sent_to(f"/{delivery_id}")
    assert request.headers["webhook-id"] == delivery_id
    assert request.content == b'{"session_id":"s1"}'


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({}, 3),
        ({"states": ["dead"]}, 2),
        ({"states": ["dead"], "destination": "http://localhost/"}, 1),
        ({"bot_id": "other"}, 1),
        ({"kind": "push"}, 1),
        ({"created_before": START.isoformat()}, 0),
        ({"created_from": (START + timedelta(seconds=4)).isoformat()}, 1),
        ({"call_id": "c1", "states": ["delivered"]}, 1),
    ],
)
async def test_replay_by_filter_says_how_many(
    sidecar: SidecarApp, wanted: dict[str, Any], count: int
) -> None:
    answer = await post(sidecar, "/api/v1/deliveries/replay", wanted)
    assert answer.json() == {"replayed": count}


@pytest.mark.parametrize(
    "wanted", [{"states": []}, {"states": ["lost"]}, {"state": "dead"}, {"created_from": "then"}]
)
async def test_filter_that_makes_no_sense_replays_nothing(
    sidecar: SidecarApp, wanted: dict[str, Any]
) -> None:
    answer = await post(sidecar, "/api/v1/deliveries/replay", wanted)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "body_invalid")


async def test_endpoint_is_listed_and_enabled(sidecar: SidecarApp) -> None:
    (shown,) = (await get(sidecar, "/api/v1/endpoints"))["endpoints"]
    assert shown == {
        "endpoint_id": endpoint_id_of(GONE),
        "url": GONE,
        "reason": "status 410",
        "disabled_at": START.isoformat(),
    }
    path = f"/api/v1/endpoints/{shown['endpoint_id']}/enable"
    assert (await post(sidecar, path)).json() == {"endpoint_id": shown["endpoint_id"], "url": GONE}
    assert (await get(sidecar, "/api/v1/endpoints"))["endpoints"] == []
    assert (await post(sidecar, path)).status_code == 404
    assert (await get(sidecar, "/api/v1/deliveries/parked"))["state"] == "parked"


async def test_replay_enables_the_endpoint(sidecar: SidecarApp) -> None:
    await post(sidecar, "/api/v1/deliveries/parked/replay")
    await sidecar.sent_to("/gone")
    assert (await get(sidecar, "/api/v1/endpoints"))["endpoints"] == []


async def test_scoped_key_reads_its_own_and_replays_nothing(sidecar: SidecarApp) -> None:
    key = await key_of(sidecar, "other")
    listed = (await get(sidecar, "/api/v1/deliveries", key))["deliveries"]
    assert [row["delivery_id"] for row in listed] == ["parked"]
    assert (await get(sidecar, "/api/v1/deliveries/parked", key))["body"]
    assert (await get(sidecar, "/api/v1/deliveries/dead", key))["error"]["code"] == "not_found"
    for path in ("deliveries/parked/replay", "deliveries/replay", "endpoints/x/enable"):
        refused = await post(sidecar, f"/api/v1/{path}", {}, key)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    assert (await get(sidecar, "/api/v1/endpoints", key))["error"]["code"] == "forbidden"
