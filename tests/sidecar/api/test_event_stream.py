"""The event stream: live, resumable without a gap or a repeat, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.event import Event
from contracts.report import Noticed, Source
from sidecar.access import Access
from sidecar.api import event_stream
from sidecar.api.event_stream import Filter, follow
from sidecar.clock import utc_now
from sidecar.store.database import Database
from tests.fakes.control_plane import ControlPlane
from tests.fakes.sidecar_app import SidecarApp, running_app

EVERYTHING = Filter("default", None, None, [])


async def take(events: AsyncIterator[Event], count: int) -> list[Event]:
    async with asyncio.timeout(5):
        return [await anext(events) for _ in range(count)]


async def notice(plane: ControlPlane, call_id: str, seq: int) -> None:
    fact = Noticed(at=plane.clock(), name=f"n{seq}")
    await plane.report(call_id, Source.AGENT, seq, fact)


async def test_follower_gets_what_happens_while_it_waits(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    events = follow(plane.database, plane.bells.events, EVERYTHING, 0)
    (planned,) = await take(events, 1)
    waiting = asyncio.create_task(take(events, 2))
    await asyncio.sleep(0)
    await notice(plane, call_id, 1)
    await notice(plane, call_id, 2)
    assert [event.sequence for event in [planned, *await waiting]] == [1, 2, 3]


async def test_resuming_anywhere_neither_skips_nor_repeats(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "BATCH", 2)
    await plane.ready()
    call_id = (await plane.plan()).call_id
    for seq in range(1, 7):
        await notice(plane, call_id, seq)
    for position in range(7):
        events = follow(plane.database, plane.bells.events, EVERYTHING, position)
        rest = await take(events, 7 - position)
        assert [event.sequence for event in rest] == list(range(position + 1, 8))


async def test_filters_hide_the_rest(plane: ControlPlane) -> None:
    await plane.ready()
    await plane.add_bot(bot_id="other")
    first = await plane.talking("k1")
    await plane.talking("k2", bot_id="other")
    bell = plane.bells.events
    for wanted, subjects in (
        (Filter("default", first, None, ["voicefleet.call.planned"]), {first}),
        (Filter("default", None, ["desk"], []), {first}),
    ):
        (event,) = await take(follow(plane.database, bell, wanted, 0), 1)
        assert {event.subject} == subjects


async def test_commit_of_another_replica_wakes_on_postgres(
    postgres_url: str, tmp_path: Path
) -> None:
    here, there = Database(postgres_url), Database(postgres_url)
    await here.migrate()
    woken, rings = asyncio.Event(), 0

    def ring() -> None:
        nonlocal rings
        rings += 1
        woken.set()

    closing = asyncio.Event()
    listening = asyncio.create_task(here.listen(ring, closing))
    async with asyncio.timeout(5):
        await woken.wait()
        woken.clear()
        async with there.transaction() as connection:
            await there.notify(connection)
        await woken.wait()
        closing.set()
        await listening
    await here.aclose()
    await there.aclose()
    assert rings == 2


async def read_stream(sidecar: SidecarApp, path: str, count: int, **headers: str) -> list[str]:
    """Return the ids of the first messages. The ASGI transport cannot stream, so speak ASGI."""
    ids: list[str] = []
    done = asyncio.Event()
    path, _, query = path.partition("?")

    async def receive() -> dict[str, object]:
        if not ids and not done.is_set():
            await asyncio.sleep(0)
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.body":
            text = bytes(message.get("body", b"")).decode()  # type: ignore[call-overload]
            ids.extend(line[4:] for line in text.splitlines() if line.startswith("id: "))
            if len(ids) >= count:
                done.set()

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [
            (name.replace("_", "-").lower().encode(), value.encode())
            for name, value in {"X_API_Key": "admin", **headers}.items()
        ],
    }
    async with asyncio.timeout(5):
        await sidecar.app(scope, receive, send)  # type: ignore[arg-type]
    return ids


async def test_stream_over_http_resumes_where_it_was_left(sqlite: Database, tmp_path: Path) -> None:
    plane = ControlPlane(sqlite, tmp_path)
    await plane.ready()
    await plane.talking()
    async with running_app(sqlite, tmp_path, clock=plane.clock) as sidecar:
        everything = await read_stream(sidecar, "/api/v1/events?after=0", 3)
        rest = await read_stream(sidecar, "/api/v1/events", 1, Last_Event_ID=everything[1])
    assert everything[:3] == ["1", "2", "3"]
    assert rest[0] == "3"


@pytest.mark.parametrize("last_id", ["x", "-1", "9" * 30])
async def test_bad_position_is_refused(sidecar: SidecarApp, last_id: str) -> None:
    async with sidecar.http(X_API_Key="admin", Last_Event_ID=last_id) as http:
        assert (await http.get("/api/v1/events")).status_code == 422


async def test_stream_needs_a_key(sidecar: SidecarApp) -> None:
    async with sidecar.http() as http:
        assert (await http.get("/api/v1/events")).status_code == 401


async def test_key_switched_off_is_let_in_no_more(sqlite: Database, sidecar: SidecarApp) -> None:
    access = Access(sqlite, service_secret="s3cret", admin_key="admin", clock=utc_now)
    async with sidecar.operator() as admin:
        made = (await admin.post("/api/v1/api-keys", json={"name": "k"})).json()
        assert await access.still_admits({"X-API-Key": made["key"]})
        await admin.patch(f"/api/v1/api-keys/{made['key_id']}", json={"is_active": False})
    assert not await access.still_admits({"X-API-Key": made["key"]})


async def test_position_moves_past_what_is_not_wanted(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    await notice(plane, call_id, 1)
    nothing = Filter("default", None, ["other"], [])
    assert await event_stream._batch(plane.database, nothing, 0) == ([], 2)
