"""Agents of a sidecar under test that come as soon as they are called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.plan import AgentPlan, Claim
from contracts.report import AgentJoined, Heartbeat, Report, Source
from sidecar.clock import utc_now
from tests.fakes.sidecar_app import SidecarApp


@asynccontextmanager
async def joining_agents(
    app: SidecarApp, *, max_calls: int = 8
) -> AsyncIterator[dict[str, AgentPlan]]:
    """Let agents join every call until the block ends; give their plans by call id."""
    plans: dict[str, AgentPlan] = {}

    async def join() -> None:
        async with app.service() as client:
            for number in range(1, 1000):
                await app.rooms.reached(dispatches=number)
                _, call_id, incarnation = app.rooms.dispatches[number - 1]
                claim = Claim(incarnation=incarnation, worker_id="w1")
                plans[call_id] = await client.claim(call_id, claim)
                joined = AgentJoined(at=utc_now())
                report = Report(source=Source.AGENT, incarnation=incarnation, seq=1, facts=[joined])
                await client.report(call_id, report)

    async with app.service() as client:
        await client.heartbeat(
            Heartbeat(
                kind="agent",
                id="w1",
                host="h",
                pid=1,
                ready=True,
                max_calls=max_calls,
                started_at=utc_now(),
            )
        )
    joining = asyncio.create_task(join())
    try:
        yield plans
    finally:
        joining.cancel()
        await asyncio.gather(joining, return_exceptions=True)
