"""`voicefleet.call`: a call that does not come about says why."""

from __future__ import annotations

import io
from http import HTTPStatus

import httpx
import pytest
from rich.console import Console
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from voicefleet.api import SidecarApi
from voicefleet.call import CallFailed, Dialler
from voicefleet.script import HangUp, Scenario

SCENARIO = Scenario(steps=[HangUp()])


def dialler(bridge_url: str, *, exotel: bool = False) -> Dialler:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=": no events\n\n"))
    api = SidecarApi("http://sidecar.test", "vx_key", transport)
    return Dialler(api, bridge_url, Console(file=io.StringIO()), exotel=exotel)


async def test_missing_bridge_is_named() -> None:
    with pytest.raises(CallFailed, match=r"no bridge answers at ws://127\.0\.0\.1:9: "):
        await dialler("ws://127.0.0.1:9").place("desk", SCENARIO, {})


@pytest.mark.parametrize(("exotel", "door"), [(False, "/ws/desk"), (True, "/exotel/desk")])
async def test_refusal_before_the_upgrade_is_shown(exotel: bool, door: str) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        assert request.path.partition("?")[0] == door
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "at capacity")

    async def never(_: ServerConnection) -> None:
        raise AssertionError

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(CallFailed, match="the bridge refused the call: 503 at capacity"):
            await dialler(f"ws://127.0.0.1:{port}", exotel=exotel).place("desk", SCENARIO, {})


@pytest.mark.parametrize("exotel", [False, True])
async def test_reason_of_a_closed_call_is_shown(exotel: bool) -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.close(4404, "no such bot")

    async with serve(close, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(CallFailed, match=r"hung up \(closed with 4404: no such bot\)"):
            await dialler(f"ws://127.0.0.1:{port}", exotel=exotel).place("desk", SCENARIO, {})
