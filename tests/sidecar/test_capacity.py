"""How many calls fit."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sidecar.capacity import Capacity, measure
from sidecar.denial import Code, Denied
from sidecar.store.workers import WorkerRow
from tests.fakes.control_plane import START, ControlPlane


def capacity(
    live: int = 0, *, limit: int = 16, agents: tuple[int, ...] = (8,), bridge: int | None = None
) -> Capacity:
    rows = tuple(WorkerRow(f"w{n}", "agent", 1, True, [], [], n, START) for n in agents)
    return Capacity(limit, live, rows, START - timedelta(seconds=3), bridge)


@pytest.mark.parametrize(
    ("measured", "total", "available"),
    [
        (capacity(), 8, 8),
        (capacity(3), 8, 5),
        (capacity(limit=4), 4, 4),
        (capacity(agents=(8, 6)), 14, 14),
        (capacity(2, bridge=3), 3, 1),
        (capacity(9, limit=4), 4, 0),
        (capacity(agents=()), 0, 0),
    ],
)
def test_the_scarcest_resource_decides(measured: Capacity, total: int, available: int) -> None:
    assert (measured.total, measured.available) == (total, available)


@pytest.mark.parametrize(
    ("measured", "code"),
    [(capacity(agents=()), Code.NO_AGENT), (capacity(8), Code.AT_CAPACITY)],
)
def test_admit_says_what_is_missing(measured: Capacity, code: Code) -> None:
    with pytest.raises(Denied) as caught:
        measured.admit()
    assert (caught.value.code, caught.value.retry_after_s) == (code, 2)


async def test_measure_counts_fresh_workers_alone(plane: ControlPlane) -> None:
    await plane.beat(id="old", max_calls=9)
    await plane.beat("bridge", id="old-bridge", max_calls=1)
    plane.clock.advance(3.1)
    await plane.beat(id="new", max_calls=4)
    await plane.beat(id="starting", max_calls=4, ready=False)
    async with plane.database.read() as connection:
        measured = await measure(connection, "default", 16, plane.clock())
        nobody = await measure(connection, "other", 16, plane.clock())
    assert (measured.total, measured.bridge_slots) == (4, None)
    assert [agent.worker_id for agent in measured.ready_agents] == ["new"]
    assert nobody.total == 0


async def test_draining_bridge_offers_no_slot(plane: ControlPlane) -> None:
    await plane.beat()
    await plane.beat("bridge", max_calls=5, ready=False)
    async with plane.database.read() as connection:
        measured = await measure(connection, "default", 16, plane.clock())
    assert (measured.bridge_slots, measured.available) == (0, 0)
