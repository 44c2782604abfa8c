"""For bridges and agents: plan, wait, claim, report, heartbeat."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from contracts.plan import AgentPlan, Claim, PlanRequest, RoomClaim, Wait
from contracts.report import Heartbeat, Report
from sidecar.access import Access
from sidecar.api.body import body_of
from sidecar.calls import Calls
from sidecar.inbound import Inbound
from sidecar.planning import Planner
from sidecar.pulse import Pulse
from sidecar.standby import Standbys


def routes(
    access: Access,
    planner: Planner,
    calls: Calls,
    pulse: Pulse,
    standbys: Standbys,
    inbound: Inbound,
) -> list[BaseRoute]:
    """Return the internal API."""

    async def plan(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        answer = await planner.plan(tenant_id, await body_of(request, PlanRequest))
        return _json(answer)

    async def claim(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        asked = await body_of(request, Claim)
        return _json(await calls.claim(tenant_id, request.path_params["call_id"], asked))

    async def claim_room(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        return _json(await inbound.claim(tenant_id, await body_of(request, RoomClaim)))

    async def report(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        facts = await body_of(request, Report)
        return _json(await calls.record(tenant_id, request.path_params["call_id"], facts))

    async def heartbeat(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        return _json(await pulse.heartbeat(tenant_id, await body_of(request, Heartbeat)))

    async def wait(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        asked = await body_of(request, Wait)
        standby_id = request.path_params["standby_id"]
        waiting = asyncio.create_task(standbys.wait(tenant_id, standby_id, asked.worker_id))
        if await _left_before(request, waiting):
            await standbys.lost(tenant_id, standby_id)
            return Response(status_code=400)
        plan = waiting.result()
        return Response(status_code=204) if plan is None else _json(plan)

    return [
        Route("/internal/v1/calls", plan, methods=["POST"]),
        Route("/internal/v1/standbys/{standby_id}/wait", wait, methods=["POST"]),
        Route("/internal/v1/calls/{call_id}/claim", claim, methods=["POST"]),
        Route("/internal/v1/rooms/claim", claim_room, methods=["POST"]),
        Route("/internal/v1/calls/{call_id}/reports", report, methods=["POST"]),
        Route("/internal/v1/heartbeats", heartbeat, methods=["POST"]),
    ]


async def _left_before(request: Request, answer: asyncio.Task[AgentPlan | None]) -> bool:
    """Wait for the answer; return whether its reader hung up first."""
    leaving = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not answer.done():
            answer.cancel()
            await asyncio.wait({answer})
    return answer.cancelled()


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")
