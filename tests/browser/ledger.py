"""What the sidecar has written down of a call that a browser held."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.integration.platform import Platform

_PATIENCE_S = 15


async def ended_call(platform: Platform, call_id: str) -> dict[str, Any]:
    """Wait until a call is over, and return its row."""
    async with asyncio.timeout(_PATIENCE_S):
        while (call := await _json(platform, f"/api/v1/calls/{call_id}"))["state"] != "ended":  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.1)
    return call


async def all_ended(platform: Platform) -> None:
    """Wait until there is no call."""
    for call in (await _json(platform, "/api/v1/calls?limit=200"))["calls"]:
        await ended_call(platform, call["call_id"])


async def result_of(platform: Platform, call_id: str) -> dict[str, Any]:
    """Wait for a call's result."""
    path = f"/api/v1/calls/{call_id}/result"
    async with asyncio.timeout(_PATIENCE_S):
        while (await platform.api.get(path)).status_code == 404:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.1)
    return await _json(platform, path)


async def _json(platform: Platform, path: str) -> dict[str, Any]:
    answer = await platform.api.get(path)
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json()
    return body
