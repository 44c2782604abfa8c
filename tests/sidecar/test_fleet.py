"""The picture of the fleet: from memory, honest about its age."""

from __future__ import annotations

import asyncio

from sidecar.fleet import Fleet
from tests.fakes.control_plane import ControlPlane


async def test_picture_counts_calls_and_marks_the_silent(plane: ControlPlane) -> None:
    await plane.ready()
    await plane.talking()
    fleet = Fleet(plane.database, 16, clock=plane.clock, closing=plane.bells.closing)
    plane.clock.advance(2)
    await plane.beat(id="agent-2", calls=["c9"], max_calls=5)
    plane.clock.advance(2)
    await fleet.refresh()
    assert fleet.fleet() == {
        "status": "ok",
        "fleet_calls": 1,
        "fleet_max": 5,
        "fleet_available": 4,
        "workers": [
            {"id": "agent-1", "status": "unreachable"},
            {"id": "agent-2", "calls": 1, "max": 5, "pid": 7},
        ],
        "standbys": {"making": 0, "ready": 0},
    }


async def test_picture_that_is_old_offers_nothing(plane: ControlPlane) -> None:
    await plane.ready()
    fleet = Fleet(plane.database, 16, clock=plane.clock, closing=plane.bells.closing)
    assert fleet.fleet()["status"] == "starting"
    assert fleet.health()["total_available"] == 0
    await fleet.refresh()
    assert fleet.health()["total_available"] == 8
    plane.clock.advance(5)
    assert (fleet.fleet()["status"], fleet.fleet()["fleet_available"]) == ("stale", 0)


async def test_turn_refreshes_and_ends_with_the_process(plane: ControlPlane) -> None:
    fleet = Fleet(plane.database, 16, clock=plane.clock, closing=plane.bells.closing)
    plane.bells.close()
    async with asyncio.timeout(5):
        await fleet.turn()
    assert fleet.fleet()["status"] == "ok"
