"""What SIP bridges ask: which calls to place, and which trunks there are, secrets in place."""

from __future__ import annotations

import asyncio

from contracts.plan import Claim
from contracts.report import AgentJoined, Report, Source
from contracts.trunk import DialClaim
from sidecar.clock import utc_now
from sidecar.store.database import Database
from tests.fakes.sidecar_app import SidecarApp
from tests.sidecar.api.test_dialout import BODY, PUBLIC, TRUNK, app, post
from tests.sidecar.api.test_trunks import key_of_other_tenant

__all__ = ["app"]

CLAIM = DialClaim(bridge_id="bridge-1", max_dials=4)


async def join(app: SidecarApp, call_id: str) -> None:
    async with app.service() as client:
        await client.claim(call_id, Claim(incarnation=1, worker_id="w1"))
        joined = Report(
            source=Source.AGENT, incarnation=1, seq=1, facts=[AgentJoined(at=utc_now())]
        )
        await client.report(call_id, joined)


async def test_bridge_that_waits_is_given_the_call_once_its_agent_is_there(
    app: SidecarApp,
) -> None:
    async with app.service() as bridge:
        waiting = asyncio.create_task(bridge.claim_dials(CLAIM))
        call_id = (await post(app, PUBLIC, BODY)).json()["call_id"]
        assert not waiting.done()
        await join(app, call_id)
        async with asyncio.timeout(5):
            (order,) = (await waiting).orders
    assert (order.plan.call_id, order.to_number) == (call_id, "+919876543210")
    assert order.trunk.trunk_id == "t1"


async def test_request_held_open_is_answered_when_the_sidecar_stops(app: SidecarApp) -> None:
    async with app.service() as bridge:
        waiting = asyncio.create_task(bridge.claim_dials(CLAIM))
        await asyncio.sleep(0.05)
        app.app.state.part()
        assert (await waiting).orders == []


async def test_only_services_may_ask(app: SidecarApp) -> None:
    async with app.operator() as client:
        for method, path in (("POST", "dials/claim"), ("GET", "trunks")):
            response = await client.request(method, f"/internal/v1/{path}", json={})
            assert response.status_code == 403


async def test_claim_that_does_not_fit_is_refused(app: SidecarApp) -> None:
    async with app.http(X_VoxCore_Secret="s3cret") as client:
        response = await client.post("/internal/v1/dials/claim", json={"bridge_id": "b"})
    assert response.status_code == 422


async def test_bridges_are_told_of_their_active_trunks_with_secrets(app: SidecarApp) -> None:
    async with app.operator() as operator:
        for changes in (
            {"trunk_id": "t2", "numbers": [], "username": "u", "password": "s3same"},
            {"trunk_id": "t3", "numbers": [], "is_active": False},
            {"trunk_id": "t4", "numbers": [], "kind": "managed"},
        ):
            made = await operator.post("/api/v1/trunks", json={**TRUNK, **changes})
            assert made.is_success
    async with app.service() as bridge:
        found = await bridge.bridge_trunks()
    assert [trunk.trunk_id for trunk in found.trunks] == ["t1", "t2"]
    assert found.trunks[1].password == "s3same"


async def test_bridges_are_not_told_of_trunks_they_cannot_dial_by(
    app: SidecarApp, sqlite: Database
) -> None:
    foreign = await key_of_other_tenant(sqlite)
    theirs = {**TRUNK, "trunk_id": "t9", "numbers": [], "password": "s3cret-of-theirs"}
    async with app.operator(foreign) as other:
        assert (await other.post("/api/v1/trunks", json=theirs)).is_success
    async with app.service() as bridge:
        found = await bridge.bridge_trunks()
    assert [trunk.trunk_id for trunk in found.trunks] == ["t1"]
