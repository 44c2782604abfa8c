"""Calls, results, events and deliveries over HTTP, as far as each key may see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.store.database import Database
from tests.fakes.control_plane import BOT, ControlPlane
from tests.fakes.sidecar_app import SidecarApp, running_app


@pytest.fixture
async def calls(sqlite: Database, tmp_path: Path) -> AsyncIterator[tuple[SidecarApp, list[str]]]:
    """Three calls: an ended one, a live one, and one of another bot."""
    plane = ControlPlane(sqlite, tmp_path / "recordings")
    await plane.ready()
    await plane.add_bot(bot_id="other")
    ended = await plane.talking("k1")
    await plane.end(ended)
    plane.clock.advance(1)
    live = await plane.talking("k2")
    plane.clock.advance(1)
    others = await plane.talking("k3", bot_id="other", caller_id="+15550199")
    async with running_app(sqlite, tmp_path, clock=plane.clock) as sidecar:
        yield sidecar, [ended, live, others]


async def get(sidecar: SidecarApp, path: str, key: str = "admin") -> Any:
    async with sidecar.operator(key) as client:
        return (await client.get(path)).json()


Calls = tuple[SidecarApp, list[str]]


async def test_list_is_newest_first_and_pages(calls: Calls) -> None:
    sidecar, ids = calls
    first = await get(sidecar, "/api/v1/calls?limit=2")
    assert [call["call_id"] for call in first["calls"]] == [ids[2], ids[1]]
    rest = await get(sidecar, f"/api/v1/calls?limit=2&before={first['next_before']}")
    assert [call["call_id"] for call in rest["calls"]] == [ids[0]]
    assert rest["next_before"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=ended", [0]),
        ("state=talking,ended&bot_id=desk", [1, 0]),
        ("bot_id=other", [2]),
        ("caller_id=%2B15550199", [2]),
        ("bot_id=nobody", []),
    ],
)
async def test_list_filters(calls: Calls, query: str, found: list[int]) -> None:
    sidecar, ids = calls
    listed = (await get(sidecar, f"/api/v1/calls?{query}"))["calls"]
    assert [call["call_id"] for call in listed] == [ids[index] for index in found]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "before=yesterday"])
async def test_bad_paging_is_refused(calls: Calls, query: str) -> None:
    assert (await get(calls[0], f"/api/v1/calls?{query}"))["error"]["code"] == "body_invalid"


async def test_one_call_tells_how_it_ended(calls: Calls) -> None:
    sidecar, ids = calls
    call = await get(sidecar, f"/api/v1/calls/{ids[0]}")
    assert (call["state"], call["reason"], call["disconnected_by"], call["blame"]) == (
        "ended",
        "caller_hung_up",
        "customer",
        "caller",
    )
    live = await get(sidecar, f"/api/v1/calls/{ids[1]}")
    assert (live["state"], live["ended_at"], live["disconnected_by"]) == ("talking", None, None)


async def test_result_exists_once_the_call_has_ended(calls: Calls) -> None:
    sidecar, ids = calls
    assert (await get(sidecar, f"/api/v1/calls/{ids[0]}/result"))["revision"] == 0
    missing = await get(sidecar, f"/api/v1/calls/{ids[1]}/result")
    assert missing["error"]["code"] == "not_found"


async def test_events_of_a_call_page_by_sequence(calls: Calls) -> None:
    sidecar, ids = calls
    everything = (await get(sidecar, f"/api/v1/calls/{ids[0]}/events"))["events"]
    rest = await get(
        sidecar, f"/api/v1/calls/{ids[0]}/events?after={everything[1]['sequence']}&limit=1"
    )
    assert everything[0]["type"] == "voicefleet.call.planned"
    assert rest["events"] == everything[2:3]


async def test_scoped_key_sees_its_bots_calls_alone(calls: Calls) -> None:
    sidecar, ids = calls
    async with sidecar.operator() as operator:
        wanted = {"name": "CRM", "bot_ids": ["other"]}
        key = (await operator.post("/api/v1/api-keys", json=wanted)).json()["key"]
    listed = (await get(sidecar, "/api/v1/calls", key))["calls"]
    assert [call["call_id"] for call in listed] == [ids[2]]
    assert (await get(sidecar, "/api/v1/calls?bot_id=desk", key))["calls"] == []
    assert (await get(sidecar, "/api/v1/deliveries", key))["deliveries"] == []
    for path in ("", "/result", "/events"):
        hidden = await get(sidecar, f"/api/v1/calls/{ids[0]}{path}", key)
        assert hidden["error"]["code"] == "call_unknown"


async def test_deliveries_show_their_attempts(calls: Calls) -> None:
    sidecar, ids = calls
    (delivery,) = (await get(sidecar, f"/api/v1/deliveries?call_id={ids[0]}"))["deliveries"]
    assert delivery["url"] == BOT["webhook_url"]
    assert delivery["call_id"] == ids[0]
    assert {"attempt", "at", "status_code", "error", "duration_ms"} >= {
        name for attempt in delivery["attempts"] for name in attempt
    }
    assert (await get(sidecar, "/api/v1/deliveries?state=parked"))["deliveries"] == []
