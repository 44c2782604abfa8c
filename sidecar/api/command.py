"""For agents: have the line hung up, or its caller handed over, where no bridge carries it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from contracts.command import CallCommand
from sidecar.access import Access
from sidecar.api.body import body_of
from sidecar.line_command import LineCommands


def routes(access: Access, commands: LineCommands) -> list[BaseRoute]:
    """Return `/internal/v1/calls/{call_id}/command`."""

    async def command(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        asked = await body_of(request, CallCommand)
        receipt = await commands.obey(tenant_id, request.path_params["call_id"], asked)
        return Response(receipt.model_dump_json(), media_type="application/json")

    return [Route("/internal/v1/calls/{call_id}/command", command, methods=["POST"])]
