"""Waiting for a call over HTTP: a question held open, answered, let go, or hung up on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.ids import Channel
from contracts.plan import PlanRequest, Wait
from contracts.report import Heartbeat
from sidecar.client import Refused, SidecarClient
from sidecar.clock import utc_now
from sidecar.store.database import Database
from tests.fakes.control_plane import BOT
from tests.fakes.sidecar_app import SidecarApp, running_app

WAIT = Wait(worker_id="w1")


@pytest.fixture
async def sidecar(sqlite: Database, tmp_path: Path) -> AsyncIterator[SidecarApp]:
    """An application that lets one agent wait."""
    async with running_app(sqlite, tmp_path, standby_agents=1) as app:
        yield app


async def called(sidecar: SidecarApp, client: SidecarClient) -> str:
    """Let a worker be there and an agent be called; return whom."""
    async with sidecar.operator() as operator:
        await operator.post("/api/v1/bots", json=BOT)
    await client.heartbeat(
        Heartbeat(
            kind="agent", id="w1", host="h", pid=1, ready=True, max_calls=2, started_at=utc_now()
        )
    )
    await sidecar.rooms.reached(standbys=1)
    return sidecar.rooms.standbys[0]


async def fleet_has(client: SidecarClient, ready: int) -> None:
    async with asyncio.timeout(10):
        while (await client.fleet())["standbys"]["ready"] != ready:  # noqa: ASYNC110 - a picture
            await asyncio.sleep(0.02)


def request(key: str = "k1") -> PlanRequest:
    return PlanRequest(channel=Channel.WEBSOCKET, bot_id="desk", idempotency_key=key, answered=True)


async def test_agent_is_answered_when_there_is_a_call(sidecar: SidecarApp) -> None:
    async with sidecar.service() as client:
        standby_id = await called(sidecar, client)
        waiting = asyncio.create_task(client.wait(standby_id, WAIT))
        await fleet_has(client, ready=1)
        plan = await client.plan(request())
        handed = await waiting
    assert handed is not None
    assert (handed.call_id, plan.standby_id) == (plan.call_id, standby_id)


async def test_agent_is_let_go_when_the_server_stops(sidecar: SidecarApp) -> None:
    async with sidecar.service() as client:
        standby_id = await called(sidecar, client)
        waiting = asyncio.create_task(client.wait(standby_id, WAIT))
        await fleet_has(client, ready=1)
        sidecar.app.state.part()
        assert await waiting is None


async def test_agent_nobody_wants_is_told_so(sidecar: SidecarApp) -> None:
    async with sidecar.service() as client:
        with pytest.raises(Refused) as caught:
            await client.wait("unknown", WAIT)
    assert (caught.value.status, caught.value.code) == (410, "standby_gone")


async def test_stranger_cannot_wait(sidecar: SidecarApp) -> None:
    async with sidecar.http() as http:
        answer = await http.post("/internal/v1/standbys/s1/wait", json={"worker_id": "w"})
    assert answer.status_code == 403


async def hang_up_while_waiting(
    sidecar: SidecarApp, standby_id: str, hung_up: asyncio.Event
) -> int:
    """Ask as a process would that then dies; return what it was answered."""
    body = json.dumps({"worker_id": "w1"}).encode()
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    answers: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answers.append(message)

    path = f"/internal/v1/standbys/{standby_id}/wait"
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1",
        "headers": [(b"x-voxcore-secret", b"s3cret")], "server": ("s", 80), "client": ("c", 1),
    }  # fmt: skip
    await sidecar.app(scope, receive, send)
    return int(answers[0]["status"])


async def test_agent_that_dies_while_it_waits_is_given_to_nobody(sidecar: SidecarApp) -> None:
    hung_up = asyncio.Event()
    async with sidecar.service() as client:
        standby_id = await called(sidecar, client)
        dying = asyncio.create_task(hang_up_while_waiting(sidecar, standby_id, hung_up))
        await fleet_has(client, ready=1)
        hung_up.set()
        assert await dying == 400
        plan = await client.plan(request())
        assert plan.standby_id == ""
        await sidecar.rooms.reached(deleted=1)
    assert sidecar.rooms.deleted == [f"standby-{standby_id}"]
