"""Two sidecars over one Postgres, side by side: they share the work and do none of it twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import select

from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.plan import Claim, PlanRequest, Wait
from contracts.report import Heartbeat, LegEnded, Report, Source
from sidecar.clock import utc_now
from sidecar.store.database import Database
from sidecar.store.tables import deliveries, metadata, results
from tests.fakes.control_plane import BOT
from tests.fakes.rooms import FakeRooms
from tests.fakes.sidecar_app import SidecarApp, running_app

PATIENCE_S = 45
"""More than timers are given where this process was not run for a while."""
RESULTS = "/results"


@pytest.fixture(params=[{}])
async def replicas(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path
) -> AsyncIterator[tuple[SidecarApp, SidecarApp]]:
    """Two running applications at one LiveKit, one bot, and agents they have just heard of."""
    async with AsyncExitStack() as stack:
        apps: list[SidecarApp] = []
        rooms = FakeRooms()
        for number in (1, 2):
            database = Database(postgres_url)
            stack.push_async_callback(database.aclose)
            if number == 1:
                await database.migrate()
                await _empty(database)
            settings = {
                "recovery_grace_s": 0,
                # A busy machine must not take a claim that is late for one that never comes.
                "claim_timeout_s": PATIENCE_S,
                "settle_s": 0.5,
                "max_concurrent_calls": 99,
                **request.param,
            }
            app = running_app(database, tmp_path / str(number), rooms=rooms, **settings)
            apps.append(await stack.enter_async_context(app))
        one, other = apps
        async with one.operator() as operator:
            bot = {**BOT, "webhook_url": f"http://localhost{RESULTS}"}
            assert (await operator.post("/api/v1/bots", json=bot)).is_success
        await _beat(one)
        beating = asyncio.create_task(_beat_on(one, other))
        yield one, other
        beating.cancel()


async def _empty(database: Database) -> None:
    async with database.transaction() as connection:
        for name, table in metadata.tables.items():
            if name not in ("tenants", "event_counter"):
                await connection.execute(table.delete())


async def _beat(app: SidecarApp, *, standbys: Sequence[str] = ()) -> None:
    async with app.service() as client:
        await client.heartbeat(
            Heartbeat(
                kind="agent",
                id="w1",
                host="h",
                pid=1,
                ready=True,
                max_calls=99,
                standbys=list(standbys),
                started_at=utc_now(),
            )
        )


async def _beat_on(*apps: SidecarApp) -> None:
    """A worker's heartbeats come to whichever sidecar is next."""
    while True:
        for app in apps:
            await asyncio.sleep(0.3)
            await _beat(app, standbys=app.rooms.standbys)


def asked(key: str, *, answered: bool = False) -> PlanRequest:
    return PlanRequest(
        channel=Channel.WEBSOCKET, bot_id="desk", idempotency_key=key, answered=answered
    )


def ended() -> Report:
    fact = LegEnded(at=utc_now(), reason=Reason.CALLER_HUNG_UP)
    return Report(source=Source.BRIDGE, incarnation=1, seq=1, facts=[fact])


async def settled(postgres_url: str, calls: int) -> None:
    """Wait until so many calls' results are delivered."""
    database = Database(postgres_url)
    done = select(deliveries.c.call_id).where(deliveries.c.state == "delivered")
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with database.read() as connection:
                    if len((await connection.execute(done)).all()) == calls:
                        return
                await asyncio.sleep(0.05)
    finally:
        await database.aclose()


async def test_calls_told_of_here_and_there_come_to_one_result_each_delivered_once(
    replicas: tuple[SidecarApp, SidecarApp], postgres_url: str
) -> None:
    one, other = replicas
    calls = 12

    async def hold(number: int) -> str:
        planner, hearer = (one, other) if number % 2 else (other, one)
        async with planner.service() as first, hearer.service() as second:
            plan = await first.plan(asked(f"k{number}"))
            await second.claim(plan.call_id, Claim(incarnation=1, worker_id="w1"))
            # The agent never speaks again, so both sidecars see its time run out.
            both = await asyncio.gather(
                first.report(plan.call_id, ended()), second.report(plan.call_id, ended())
            )
            assert [receipt.applied_seq for receipt in both] == [1, 1]
            return plan.call_id

    call_ids = await asyncio.gather(*map(hold, range(calls)))
    await settled(postgres_url, calls)
    sent = [request for app in replicas for request in app.sent]
    told = Counter(json.loads(request.content)["session_id"] for request in sent)
    assert told == dict.fromkeys(call_ids, 1)
    assert len({request.headers["webhook-id"] for request in sent}) == calls
    database = Database(postgres_url)
    async with database.read() as connection:
        kept = (await connection.execute(select(results.c.call_id, results.c.revision))).all()
    await database.aclose()
    assert sorted(kept) == sorted((call_id, 0) for call_id in call_ids)


@pytest.mark.parametrize("replicas", [{"claim_timeout_s": 0.3}], indirect=True)
async def test_call_nobody_claims_is_dispatched_anew_once_and_given_up_once(
    replicas: tuple[SidecarApp, SidecarApp], postgres_url: str
) -> None:
    one, _ = replicas
    async with one.service() as client:
        plan = await client.plan(asked("k1"))
    await settled(postgres_url, 1)
    assert [incarnation for _, _, incarnation in one.rooms.dispatches] == [1, 2]
    sent = [json.loads(request.content) for app in replicas for request in app.sent]
    assert [result["session_id"] for result in sent] == [plan.call_id]


@pytest.mark.parametrize("replicas", [{"standby_agents": 2}], indirect=True)
async def test_agent_that_waits_on_one_is_given_the_other_ones_call_at_once(
    replicas: tuple[SidecarApp, SidecarApp],
) -> None:
    one, other = replicas
    waits: list[asyncio.Task[object]] = []
    async with asyncio.timeout(PATIENCE_S), one.service() as here, other.service() as there:
        while len(waits) < 2:
            made = one.rooms.standbys
            if len(made) > len(waits):
                wait = here.wait(made[-1], Wait(worker_id=f"agent {len(waits)}"))
                waits.append(asyncio.create_task(wait))
            await asyncio.sleep(0.02)
        while (await there.fleet())["standbys"]["ready"] != 2:  # noqa: ASYNC110 - a picture
            await asyncio.sleep(0.02)
        plan = await there.plan(asked("k1", answered=True))
        (given,), waiting = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        assert getattr(given.result(), "call_id", None) == plan.call_id
        assert plan.standby_id
        for other_wait in waiting:
            other_wait.cancel()
    # Two were wanted, and two were called: not two by each.
    assert len(one.rooms.standbys) == 2
