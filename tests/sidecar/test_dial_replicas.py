"""Two sidecars over one Postgres: a bridge at one is woken by the other's call, and has it."""

from __future__ import annotations

import asyncio

from contracts.plan import Claim
from contracts.report import AgentJoined, Report, Source
from contracts.trunk import DialClaim, DialOrders
from sidecar.clock import utc_now
from tests.fakes.sidecar_app import SidecarApp
from tests.sidecar.test_replicas import PATIENCE_S, replicas

__all__ = ["replicas"]

TRUNK = {"trunk_id": "t1", "name": "t", "kind": "bridge", "address": "192.0.2.1", "burst": 50}
CALLS = 12


async def order(app: SidecarApp, number: int) -> str:
    """Have a phone called, and let the call's agent be there; return the call's id."""
    body = {"bot_id": "desk", "to_number": f"+9198765432{number:02}"}
    async with app.operator() as operator, app.service() as service:
        response = await operator.post("/api/v1/sip/dialout", json=body)
        call_id = str(response.json()["call_id"])
        await service.claim(call_id, Claim(incarnation=1, worker_id="w1"))
        joined = AgentJoined(at=utc_now())
        await service.report(
            call_id, Report(source=Source.AGENT, incarnation=1, seq=1, facts=[joined])
        )
    return call_id


async def claim(app: SidecarApp, bridge_id: str) -> DialOrders:
    async with app.service() as service:
        return await service.claim_dials(DialClaim(bridge_id=bridge_id, max_dials=1))


async def test_calls_of_both_are_claimed_at_both_each_once(
    replicas: tuple[SidecarApp, SidecarApp],
) -> None:
    one, other = replicas
    async with one.operator() as operator:
        assert (await operator.post("/api/v1/trunks", json=TRUNK)).is_success
    async with asyncio.timeout(PATIENCE_S):
        bridges = [claim((one, other)[n % 2], f"bridge-{n}") for n in range(CALLS)]
        waiting = [asyncio.create_task(bridge) for bridge in bridges]
        ordered = await asyncio.gather(*(order((other, one)[n % 2], n) for n in range(CALLS)))
        given = [taken.orders for taken in await asyncio.gather(*waiting)]
    assert sorted(orders[0].plan.call_id for orders in given) == sorted(ordered)
    assert all(len(orders) == 1 for orders in given)


async def test_queue_of_both_places_each_call_once(
    replicas: tuple[SidecarApp, SidecarApp],
) -> None:
    one, other = replicas
    body = {"assistant_id": "desk", "trunk_id": "t1", "call_service": "exotel"}
    async with one.operator() as here, other.operator() as there, asyncio.timeout(PATIENCE_S):
        assert (await here.post("/api/v1/trunks", json=TRUNK)).is_success
        items = []
        for number in range(CALLS):
            asked = {**body, "to_number": f"+9198765432{number:02}"}
            answer = await (here, there)[number % 2].post("/call/outbound", json=asked)
            items.append(answer.json()["data"]["queue_id"])
        call_ids: set[str] = set()
        while len(call_ids) < CALLS:
            states = [(await there.get(f"/call/queue/{item}")).json()["data"] for item in items]
            assert {state["status"] for state in states} <= {
                *("pending", "dispatching", "dispatched"),
            }
            call_ids = {state["call_id"] for state in states} - {None}
            await asyncio.sleep(0.05)
        calls = (await here.get("/api/v1/calls")).json()["calls"]
    assert {call["call_id"] for call in calls} == call_ids
