"""What tests of waiting agents look at: the pool, its rooms, its processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import psutil

from contracts.ids import standby_of
from tests.integration.platform import Platform

POOL = 2
"""How many wait, in these tests."""


async def until(happened: Callable[[], Awaitable[bool]], timeout_s: float = 60.0) -> None:
    """Wait until something is so, asked again and again."""
    async with asyncio.timeout(timeout_s):
        while not await happened():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.1)


async def has_room(platform: Platform) -> bool:
    """Return whether the fleet takes calls, by the sidecar's picture."""
    fleet = (await platform.api.get("/health/fleet")).json()
    return bool(fleet["fleet_available"] > 0)


async def has_told(platform: Platform, event: str) -> bool:
    """Return whether one of the parts has logged this."""
    return any(f'"event": "{event}"' in line for line in platform.log)


async def pool(platform: Platform) -> dict[str, int]:
    """Return how many wait, by the sidecar's picture; nothing while it is away."""
    try:
        fleet = (await platform.api.get("/health/fleet")).json()
    except httpx.HTTPError:
        return {}
    standbys: dict[str, int] = fleet["standbys"]
    return standbys


async def waiting_rooms(platform: Platform) -> set[str]:
    """Return the rooms in which agents wait, or did before their calls came."""
    return {name for name in await platform.rooms() if standby_of(name)}


async def filled(platform: Platform) -> set[str]:
    """Wait until the pool is full; return its rooms."""

    async def is_full() -> bool:
        full = await pool(platform) == {"making": 0, "ready": POOL}
        return full and len(await waiting_rooms(platform)) == POOL

    await until(is_full)
    return await waiting_rooms(platform)


def waiting_processes(platform: Platform) -> list[psutil.Process]:
    """Return the jobs that hold a question open at the sidecar; the worker itself asks anew."""
    _, *children = platform.processes("agent")
    port = platform.fleet.sidecar_port
    return [child for child in children if port in _peers(child)]


def _peers(process: psutil.Process) -> set[int]:
    try:
        connections = process.net_connections("tcp4")
    except psutil.NoSuchProcess:
        return set()
    return {each.raddr.port for each in connections if each.raddr and each.status == "ESTABLISHED"}


async def served_by_standby(platform: Platform, stream_id: str) -> bool:
    """Return whether the call was given to an agent that waited, by the sidecar's own log."""
    call_id = (await platform.call(stream_id))["call_id"]
    for line in platform.log:
        if line.startswith("sidecar {") and "call_planned" in line and call_id in line:
            return bool(json.loads(line.removeprefix("sidecar "))["standby"])
    raise AssertionError(f"nothing is logged of {call_id}")


def said(result: dict[str, Any], speaker: str) -> str:
    """Return all that one side said, by the result."""
    lines = [line["text"] for line in result["transcript"] if line["speaker"] == speaker]
    return " ".join(lines).lower()
