"""Health: the exact keys and the exact bytes that load balancers match."""

from __future__ import annotations

import os
import re

import httpx
from starlette.applications import Starlette

from sidecar.api import health
from sidecar.fleet import Fleet
from tests.fakes.control_plane import ControlPlane

HAPROXY = re.compile(r'"fleet_available":([1-9]|1[0-6])[,}]')


async def text_of(plane: ControlPlane, path: str) -> str:
    fleet = Fleet(plane.database, 16, clock=plane.clock, closing=plane.bells.closing)
    await fleet.refresh()
    transport = httpx.ASGITransport(Starlette(routes=health.routes(fleet)))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        assert (await http.head(path)).status_code == 200
        return (await http.get(path)).text


async def test_fleet_is_compact_and_exact(plane: ControlPlane) -> None:
    assert await text_of(plane, "/health/fleet") == (
        '{"status":"ok","fleet_calls":0,"fleet_max":0,"fleet_available":0,"workers":[],'
        '"standbys":{"making":0,"ready":0}}'
    )
    await plane.beat(max_calls=4)
    full = await text_of(plane, "/health/fleet")
    assert HAPROXY.search(full)
    assert full == (
        '{"status":"ok","fleet_calls":0,"fleet_max":4,"fleet_available":4,'
        '"workers":[{"id":"agent-1","calls":0,"max":4,"pid":7}],'
        '"standbys":{"making":0,"ready":0}}'
    )


async def test_health_has_the_familys_keys(plane: ControlPlane) -> None:
    await plane.beat(max_calls=4)
    assert await text_of(plane, "/health") == (
        '{"status":"ok","worker_calls":0,"worker_max":4,"total_capacity":4,"total_available":4,'
        f'"workers":1,"worker_id":"0","worker_pid":{os.getpid()}}}'
    )
