"""How many calls fit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from contracts.ids import Channel
from sidecar.capacity import Capacity, Door, door_of, measure
from sidecar.denial import Code, Denied
from sidecar.store.workers import WorkerRow
from tests.fakes.control_plane import START, ControlPlane


def capacity(
    live: int = 0,
    *,
    limit: int = 16,
    agents: tuple[int, ...] = (8,),
    carried: Mapping[Door, int] | None = None,
    **slots: int,
) -> Capacity:
    rows = tuple(WorkerRow(f"w{n}", "agent", 1, True, [], [], n, START) for n in agents)
    since = START - timedelta(seconds=3)
    by_door: Mapping[Door, int] = slots  # type: ignore[assignment]
    return Capacity(limit, live, rows, since, by_door, carried or {"stream": live})


@pytest.mark.parametrize(
    ("measured", "total", "available"),
    [
        (capacity(), 8, 8),
        (capacity(3), 8, 5),
        (capacity(limit=4), 4, 4),
        (capacity(agents=(8, 6)), 14, 14),
        (capacity(2, stream=3), 3, 1),
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
        measured.admit(None)
    assert (caught.value.code, caught.value.retry_after_s) == (code, 2)


@pytest.mark.parametrize(
    ("carried", "stream", "sip", "tracks"),
    [
        ({}, 2, 3, 8),
        ({"stream": 2}, 0, 3, 6),
        ({"sip": 3}, 2, 0, 5),
        ({"stream": 2, "sip": 3}, 0, 0, 3),
        ({"stream": 5}, 0, 3, 3),
    ],
)
def test_a_door_without_slots_shuts_no_other(
    carried: Mapping[Door, int], stream: int, sip: int, tracks: int
) -> None:
    measured = capacity(sum(carried.values()), carried=carried, stream=2, sip=3)
    free = [measured.available_to(door) for door in ("stream", "sip", None)]
    assert free == [stream, sip, tracks]
    assert measured.available == stream <= measured.total == 2


def test_agents_are_shared_by_all_doors() -> None:
    measured = capacity(8, carried={}, stream=9, sip=9)
    assert [measured.available_to(door) for door in ("stream", "sip", None)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("channel", "media", "door"),
    [
        (Channel.WEBSOCKET, "data", "stream"),
        (Channel.EXOTEL, "data", "stream"),
        (Channel.SIP, "data", "sip"),
        (Channel.DIALOUT, "data", "sip"),
        (Channel.SIP, "tracks", None),
        (Channel.ATTACH, "tracks", None),
        (Channel.WEB, "tracks", "web"),
    ],
)
def test_door_of_a_call(channel: Channel, media: str, door: Door | None) -> None:
    assert door_of(channel, media) == door


async def test_slots_are_counted_by_door(plane: ControlPlane) -> None:
    await plane.ready()
    await plane.beat("bridge", id="s", max_calls=1)
    await plane.beat("bridge", id="m", max_calls=1, door="sip")
    await plane.plan("k1")
    async with plane.database.read() as connection:
        measured = await measure(connection, "default", 16, plane.clock())
    assert measured.bridges == {"s"}
    assert [measured.available_to(door) for door in ("stream", "sip", None)] == [0, 1, 7]


async def test_measure_counts_fresh_workers_alone(plane: ControlPlane) -> None:
    await plane.beat(id="old", max_calls=9)
    await plane.beat("bridge", id="old-bridge", max_calls=1)
    plane.clock.advance(3.1)
    await plane.beat(id="new", max_calls=4)
    await plane.beat(id="starting", max_calls=4, ready=False)
    async with plane.database.read() as connection:
        measured = await measure(connection, "default", 16, plane.clock())
        nobody = await measure(connection, "other", 16, plane.clock())
    assert (measured.total, measured.slots) == (4, {})
    assert [agent.worker_id for agent in measured.ready_agents] == ["new"]
    assert nobody.total == 0


async def test_draining_bridge_offers_no_slot(plane: ControlPlane) -> None:
    await plane.beat()
    await plane.beat("bridge", max_calls=5, ready=False)
    async with plane.database.read() as connection:
        measured = await measure(connection, "default", 16, plane.clock())
    assert (measured.slots, measured.available) == ({"stream": 0}, 0)


async def test_browsers_are_limited_only_where_the_operator_says_so(plane: ControlPlane) -> None:
    await plane.ready()
    await plane.beat("bridge", id="s", max_calls=1)
    await plane.plan("k1", channel=Channel.WEB, media="tracks")
    async with plane.database.read() as connection:
        any_number = await measure(connection, "default", 16, plane.clock())
        one = await measure(connection, "default", 16, plane.clock(), web_limit=1)
    assert [any_number.available_to(door) for door in ("stream", "web")] == [1, 7]
    assert [one.available_to(door) for door in ("stream", "web", None)] == [1, 0, 7]
    with pytest.raises(Denied) as denied:
        one.admit("web")
    assert (denied.value.code, denied.value.details["total"]) == (Code.AT_CAPACITY, 1)
