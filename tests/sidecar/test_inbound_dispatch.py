"""Which id a dispatch answers with where a rule has called the agent already."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sidecar.denial import Code
from sidecar.rooms import Attendance
from sidecar.sip_caller import SipCaller
from sidecar.store import calls
from sidecar.store.calls import CallRow
from tests.fakes.control_plane import ControlPlane
from tests.sidecar.test_inbound import NUMBER, PHONE, ROOM, Desk, refused

NAMELESS = SipCaller(room_name=ROOM, identity="", caller_id="+15550100", dialled=NUMBER)


async def test_id_is_that_of_the_call_the_rules_agent_asks_for(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(plane)
    await desk.open()
    desk.plane.rooms.attendances[ROOM] = Attendance((PHONE,), PHONE, has_agent=True)
    looks, looked, live_in = 0, asyncio.Event(), calls.live_in

    async def counted(*given: Any) -> CallRow | None:
        nonlocal looks
        found = await live_in(*given)
        looks += 1
        if looks == 2:
            looked.set()
        return found

    monkeypatch.setattr(calls, "live_in", counted)
    asking = asyncio.create_task(desk.dispatch(NAMELESS))
    await looked.wait()
    plan = await desk.claim()
    assert await asking == plan.call_id
    assert desk.plane.rooms.dispatches == []


async def test_agent_that_never_asks_for_its_call_gives_no_id(plane: ControlPlane) -> None:
    desk = Desk(plane, claimed_within_s=0.15)
    await desk.open()
    desk.plane.rooms.attendances[ROOM] = Attendance((PHONE,), PHONE, has_agent=True)
    assert (await refused(desk.dispatch(NAMELESS))).code is Code.ROOM_UNAVAILABLE
    assert await desk.plane.live() == 0
