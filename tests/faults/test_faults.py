"""A short campaign of faults, in a fixed order: the long one is `make faults`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.check import judge
from tests.faults.faults import FAULTS
from tests.faults.world import World, running_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLS = 4
PAUSE_S = 2.5
RESUMED_WITHIN_S = 5.0
"""By one that was killed or stood still: the latter is noticed after three."""
ORDER = (
    "receiver 500",
    "kill agent job",
    "kill sidecar",
    "stop agent job",
    "kill bridge",
    "kill agent worker",
    "kill livekit",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A fleet whose parts are started again."""
    folder = tmp_path_factory.mktemp("faults")
    async with running_world(folder, seed=1, calls=CALLS) as running:
        yield running


@pytest.mark.timeout(240)
async def test_every_call_has_one_result_whatever_dies(world: World) -> None:
    callers = [asyncio.create_task(world.call_on(f"caller-{n}")) for n in range(CALLS)]
    silences_s = []
    for name in ORDER:
        await asyncio.sleep(PAUSE_S)
        struck = await FAULTS[name](world)
        if struck.resumed_s is not None:
            silences_s.append(struck.resumed_s)
    await asyncio.sleep(PAUSE_S)
    world.stop_calling()
    await asyncio.gather(*callers)
    await world.quiet()
    verdict = await judge(world)
    assert verdict.wrong == []
    assert verdict.calls >= 2 * CALLS
    assert verdict.resumed
    assert all(silence_s < RESUMED_WITHIN_S for silence_s in silences_s)
