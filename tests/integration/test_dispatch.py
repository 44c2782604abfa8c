"""Calls that no agent takes: refused in time, and nothing is left of them."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio

from bridges.phone import Phone
from tests.integration.bots import TALKER
from tests.integration.platform import Platform, running_platform
from tests.integration.waiting import has_room, until
from tests.integration.web_visit import ASKED, GET_TOKEN, GREETER

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A running fleet whose worker is about to fail."""
    folder = tmp_path_factory.mktemp("fleet")
    async with running_platform(folder, AGENT_IDLE_PROCESSES="1") as running:
        await running.save_bot("talker", TALKER)
        await running.save_bot("greeter", GREETER)
        yield running


@contextmanager
def stopped_worker(platform: Platform) -> Iterator[None]:
    worker = platform.processes("agent")[0]
    worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.send_signal(signal.SIGCONT)


async def test_agent_that_never_joins_costs_a_visitor_three_seconds_and_no_slot(
    platform: Platform,
) -> None:
    with stopped_worker(platform):
        began = time.monotonic()
        answer = await platform.api.post(GET_TOKEN, json=ASKED)
        took_s = time.monotonic() - began
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_agent")
        assert took_s < 4.0
        live = await platform.api.get("/api/v1/calls", params={"state": "planned"})
        assert live.json()["calls"] == []


async def test_call_no_agent_takes_is_dispatched_again_and_then_refused(platform: Platform) -> None:
    await until(lambda: has_room(platform))
    with stopped_worker(platform):
        began = time.monotonic()
        async with Phone.call(platform.stream_url("talker"), stream_id="untaken") as phone:
            assert await phone.wait_closed() == 1013
        # Two dispatches of 1.5 s each, and what the rest of a busy platform needs.
        assert time.monotonic() - began < 15.0
        call = await platform.call("untaken")
        assert call["incarnation"] == 2
        result = await platform.result("untaken")
        assert (result["disconnected_by"], result["transcript"]) == ("error", [])


async def test_call_where_no_worker_is_left_is_refused_at_once(platform: Platform) -> None:
    for process in platform.processes("agent"):
        process.kill()
    async with Phone.call(platform.stream_url("nobody"), stream_id="unknown") as phone:
        assert await phone.wait_closed() in (1013, 4404)

    async def is_known() -> bool:
        return not await has_room(platform)

    await until(is_known)
    async with Phone.call(platform.stream_url("talker"), stream_id="too-early") as phone:
        assert await phone.wait_closed() == 1013
