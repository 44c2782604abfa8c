"""Work after calls, as agent workers ask for it and hand it in."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from contracts.task import TaskAnswer, TaskClaim
from sidecar.access import Access
from sidecar.aftercall import Aftercall
from sidecar.api.body import body_of


def routes(access: Access, aftercall: Aftercall) -> list[BaseRoute]:
    """Return `/internal/v1/tasks`."""

    async def claim(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        task = await aftercall.claim(tenant_id, await body_of(request, TaskClaim))
        if task is None:
            return Response(status_code=204)
        return Response(task.model_dump_json(), media_type="application/json")

    async def answer(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        given = await body_of(request, TaskAnswer)
        await aftercall.answer(tenant_id, request.path_params["task_id"], given)
        return Response(status_code=204)

    return [
        Route("/internal/v1/tasks/claim", claim, methods=["POST"]),
        Route("/internal/v1/tasks/{task_id}/answer", answer, methods=["POST"]),
    ]
