"""The composition runs: calls through nginx while bridges end and sidecars die; an erasure."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from bridges.phone import Phone
from sidecar.store.database import Database
from sidecar.store.tables import call_events, deliveries, results
from tests.deploy.stack import Stack, placed, running_stack
from tests.deploy.test_composition import secrets
from tests.fakes.dump import dump
from tests.integration.bots import TALKER
from voicefleet.receiver import receiving

NAME, NUMBER, DIGITS = "Ludmilla Quux", "+49 30 7654321", "7654321"
TOKEN = "seeded-stream-token"
BRIDGES = {"bridge-1", "bridge-2"}
SIDECARS = ("sidecar-1", "sidecar-2")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that users without rights can reach into."""
    path = Path(f"/var/tmp/voicefleet-stack-{os.getpid()}")
    path.mkdir(mode=0o711)
    (path / "volumes").mkdir()
    yield path
    shutil.rmtree(path)


@asynccontextmanager
async def the_stack(folder: Path) -> AsyncIterator[Stack]:
    environ = {
        **secrets(),
        "PUBLIC_URL": "http://127.0.0.1",
        "ALLOW_PRIVATE_WEBHOOKS": "true",
        "AGENT_IDLE_PROCESSES": "3",
        "STANDBY_AGENTS": "0",
    }
    async with running_stack(folder, environ) as stack:
        try:
            yield stack
        except BaseException:
            for service in stack.processes:
                sys.stderr.write(f"--- {service}\n{stack.log(service)[-3000:]}\n")
            raise


def api(stack: Stack) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://{stack.address('nginx', 8080)}",
        headers={"X-API-Key": stack.environ["ADMIN_API_KEY"]},
        trust_env=False,
    )


def phone(stack: Stack, stream_id: str, caller_id: str = "+15550100") -> Any:
    fields = {"customer_name": NAME} if caller_id == NUMBER else {}
    url = f"ws://{stack.address('nginx', 8080)}/ws/talker"
    return Phone.call(url, stream_id=stream_id, caller_id=caller_id, token=TOKEN, fields=fields)


async def carrying(stack: Stack) -> set[str]:
    """Return the bridges that carry a call."""
    carry = set()
    async with httpx.AsyncClient(trust_env=False) as http:
        for bridge in BRIDGES:
            if stack.processes[bridge].poll() is None:
                said = (await http.get(f"http://{stack.address(bridge, 8010)}/health")).json()
                carry |= {bridge} if said["worker_calls"] else set()
    return carry


async def update(stack: Stack) -> None:
    """Tell each bridge to end under a call: that one goes on, the next goes to the other.

    And kill a sidecar each time, which nobody is to notice.
    """
    for ending, sidecar in zip(sorted(BRIDGES), SIDECARS, strict=True):
        async with (
            phone(stack, f"{ending}-one", NUMBER) as one,
            phone(stack, f"{ending}-two") as two,
        ):
            assert all(await asyncio.gather(one.hear(), two.hear())), "no greeting"
            # nginx has given each of them to the bridge with the fewest calls.
            assert await carrying(stack) == BRIDGES
            stack.processes[ending].send_signal(signal.SIGTERM)
            while (await placed_on(stack, ending)) != 503:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.02)
            stack.processes[sidecar].kill()
            async with phone(stack, f"{ending}-three") as three:
                assert await three.hear(), "no greeting by the sibling"
            assert one.is_open
            assert two.is_open
            assert stack.processes[ending].poll() is None
        assert await stack.stop(ending) == 0
        await stack.stop(sidecar)
        for service in (ending, sidecar):
            stack.start(service)
        await stack.ready(ending, sidecar)


async def placed_on(stack: Stack, bridge: str) -> int:
    """Return what a bridge itself answers to an upgrade."""
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://{stack.address(bridge, 8010)}/ws/talker")
    return answer.status_code


async def test_composition_carries_calls_through_updates_and_forgets_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        the_stack(folder) as stack,
        receiving(stack.environ["RESULT_SIGNING_SECRET"]) as (receiver, webhook_url),
        api(stack) as operator,
    ):
        bot = {**TALKER, "webhook_url": webhook_url, "stream_token": TOKEN}
        saved = await operator.put("/api/v1/bots/talker", json=bot | {"bot_id": "talker"})
        assert saved.is_success, saved.text
        seen: list[int] = []
        following = asyncio.create_task(follow(stack, seen))
        await update(stack)
        told: dict[str, dict[str, Any]] = {}
        while len(told) < 6:
            result = await asyncio.wait_for(receiver.result(), 30)
            # At least once: whoever died over a delivery may have made it.
            assert told.setdefault(result["session_id"], result) == result
        assert {result["disconnected_by"] for result in told.values()} == {"customer"}
        assert receiver.refused == 0
        await inside_stays_inside(stack)
        await everything_is_told_once(stack, seen)
        following.cancel()
        await nothing_is_left(stack, operator)
        with capsys.disabled():
            sys.stdout.write(f"\n  started natively: {', '.join(sorted(stack.processes))}\n")
        wanted = {name for name, service in stack.services.items() if "profiles" not in service}
        assert set(stack.processes) == wanted


async def inside_stays_inside(stack: Stack) -> None:
    secret = {"X_VoxCore_Secret".replace("_", "-"): stack.environ["VOXCORE_SECRET"]}
    for path in ("/internal/v1/heartbeats", "/metrics", "/api/v1/livekit/webhook", "/"):
        assert (await placed(stack, path, **secret)).status_code == 404, path


async def follow(stack: Stack, seen: list[int]) -> None:
    """Read the event stream from its beginning, on whichever sidecar answers."""
    while True:
        with contextlib.suppress(httpx.HTTPError):
            headers = {"Last-Event-ID": str(seen[-1] if seen else 0)}
            async with (
                api(stack) as http,
                http.stream("GET", "/api/v1/events", headers=headers) as stream,
            ):
                async for line in stream.aiter_lines():
                    seen += [int(line.removeprefix("id: "))] if line.startswith("id: ") else []
        await asyncio.sleep(0.1)


async def everything_is_told_once(stack: Stack, seen: list[int]) -> None:
    """Whoever followed has seen every event, in order; each call has one first result."""
    database = Database(database_url(stack))
    async with database.read() as connection:
        by_number = select(call_events.c.sequence).order_by(call_events.c.sequence)
        sequences = list(await connection.scalars(by_number))
        made = (await connection.execute(select(results.c.call_id, results.c.revision))).all()
        sent = (await connection.execute(select(deliveries.c.call_id, deliveries.c.kind))).all()
    await database.aclose()
    assert len(made) == len(set(made)) == 6
    assert {row.revision for row in made} == {0}
    assert len(sent) == len(set(sent)) == 6
    async with asyncio.timeout(10):
        while len(seen) < len(sequences):  # noqa: ASYNC110 - it fills in another task
            await asyncio.sleep(0.05)
    assert seen[: len(sequences)] == sequences


def database_url(stack: Stack) -> str:
    url: str = stack.services["sidecar-1"]["environment"]["DATABASE_URL"]
    return url.replace("postgres:5432", stack.address("postgres", 5432))


async def nothing_is_left(stack: Stack, operator: httpx.AsyncClient) -> None:
    """A token is nowhere but in its bot; after an erasure, a name and a number are nowhere."""
    keys = [TOKEN, *(stack.environ[name] for name in secrets())]
    asked = await operator.post("/api/v1/erasures", json={"number": NUMBER})
    assert (asked.json()["calls"], asked.json()["live"]) == (2, []), asked.text
    database = Database(database_url(stack))
    held = await dump(database, without={"bots", "bot_versions"})
    await database.aclose()
    found = {"the database": held} | {
        str(path.relative_to(stack.folder)): path.read_bytes().decode("latin-1")
        for path in stack.folder.rglob("*")
        if path.is_file() and "postgres" not in path.parts
    }
    assert len(found) > len(stack.processes)
    for word in (*keys, NAME, DIGITS):
        assert [where for where, text in found.items() if word in text] == []
    assert "calls_erased" in stack.log("sidecar-1") + stack.log("sidecar-2")
