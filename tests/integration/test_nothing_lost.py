"""Real calls whose processes die: what was said is told all the same, each word once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from bridges.phone import Phone
from contracts.report import Source
from sidecar.client import Left, Spool
from tests.integration.platform import Platform, running_platform
from tests.integration.waiting import has_room

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = "When are you open?"
BRIEF: dict[str, Any] = {
    "opening_message": "Hello and welcome.",
    "llm": {
        "provider": "rules",
        "rules": {
            "intents": [{"name": "hours", "phrases": ["when are you open"], "say": "At nine."}]
        },
    },
}
WORDS = ("hello and welcome", "when are you open", "at nine")
"""What is said in each call, once."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A running fleet whose worker waits for its calls."""
    folder = tmp_path_factory.mktemp("fleet")
    async with running_platform(folder, AGENT_DRAIN_S="60") as running:
        await running.save_bot("brief", BRIEF)
        yield running


async def until(happened: Callable[[], bool | Awaitable[bool]], timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while True:
            answer = happened()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.05)


def journals(platform: Platform) -> list[tuple[Left, bool]]:
    """Return what lies in the spools of worker and bridge, and whether somebody holds it."""
    names = ("AGENT_SPOOL_DIR", "BRIDGE_SPOOL_DIR")
    spools = [Spool(Path(platform.fleet.environ[name]), "", max_bytes=2**30) for name in names]
    seen = [spool.look_into(path) for spool in spools for path in spool.journals()]
    return [each for each in seen if each is not None]


def job_of(platform: Platform, call_id: str, *, but: int = 0) -> psutil.Process:
    """Return the process that serves a call, by its journal; not the one numbered `but`."""
    (pid,) = {
        left.pid
        for left, is_held in journals(platform)
        if left.key.call_id == call_id and left.key.source is Source.AGENT and is_held
    } - {but}
    return psutil.Process(pid)


@asynccontextmanager
async def sidecar_away(platform: Platform) -> AsyncIterator[None]:
    """Kill the sidecar outright; start another one at the end, and wait until it takes calls."""
    (sidecar, *_) = platform.processes("sidecar")
    sidecar.kill()
    await until(lambda: not sidecar.is_running())
    yield
    await platform.start_again("sidecar")
    await until(lambda: has_room(platform))


def assert_told_once(result: dict[str, Any], *words: str) -> None:
    told = " ".join(line["text"].lower() for line in result["transcript"])
    assert [told.count(each) for each in words] == [1] * len(words), told


async def revisions(platform: Platform, stream_id: str) -> list[int]:
    """Return the revisions of a call's result for which there are deliveries."""
    call_id = (await platform.call(stream_id))["call_id"]
    wanted = {"call_id": call_id, "kind": "webhook"}
    listed = (await platform.api.get("/api/v1/deliveries", params=wanted)).json()["deliveries"]
    paths = [f"/api/v1/deliveries/{delivery['delivery_id']}" for delivery in listed]
    bodies = [(await platform.api.get(path)).json()["body"] for path in paths]
    return [json.loads(body)["revision"] for body in bodies]


async def test_call_that_ends_while_the_sidecar_is_away_is_told_whole(platform: Platform) -> None:
    question = platform.voice(QUESTION)
    async with Phone.call(platform.stream_url("brief"), stream_id="ends-away") as phone:
        assert await phone.hear() is not None
        async with sidecar_away(platform):
            await phone.say(question)
            assert await phone.hear() is not None
            async with Phone.call(platform.stream_url("brief"), stream_id="too-late") as second:
                assert await second.wait_closed() == 4503
            await phone.hang_up()
            await until(lambda: [is_held for _, is_held in journals(platform)] == [False, False])
    result = await platform.result("ends-away")
    assert result["disconnected_by"] == "customer"
    assert_told_once(result, *WORDS)
    assert (await revisions(platform, "ends-away")).count(0) == 1
    await until(lambda: journals(platform) == [])


async def test_job_that_dies_while_the_sidecar_is_away_leaves_its_call_its_history(
    platform: Platform,
) -> None:
    question = platform.voice(QUESTION)
    async with Phone.call(platform.stream_url("brief"), stream_id="dies-away") as phone:
        assert await phone.hear() is not None
        call_id = (await platform.call("dies-away"))["call_id"]
        async with sidecar_away(platform):
            await phone.say(question)
            assert await phone.hear() is not None
            job_of(platform, call_id).kill()
        assert await phone.hear() is not None
        await phone.hang_up()
    assert (await platform.call("dies-away"))["incarnation"] == 2
    result = await platform.result("dies-away")
    assert result["disconnected_by"] == "customer"
    assert_told_once(result, *WORDS)


async def test_agent_that_stood_still_neither_speaks_nor_reports_once_it_is_replaced(
    platform: Platform,
) -> None:
    question = platform.voice(QUESTION)
    async with Phone.call(platform.stream_url("brief"), stream_id="stands-still") as phone:
        assert await phone.hear() is not None
        call_id = (await platform.call("stands-still"))["call_id"]
        old = job_of(platform, call_id)
        old.send_signal(signal.SIGSTOP)
        try:
            assert await phone.hear() is not None
            new = job_of(platform, call_id, but=old.pid)
            # Both hear the question; who was replaced may not answer it.
            asking = asyncio.create_task(phone.say(question))
            await asyncio.sleep(0.2)
        finally:
            old.send_signal(signal.SIGCONT)
        await asking
        assert await phone.hear() is not None
        await until(lambda: not old.is_running())
        assert new.is_running()
        await phone.hang_up()
    assert (await platform.call("stands-still"))["incarnation"] == 2
    result = await platform.result("stands-still")
    assert_told_once(result, *WORDS)
    await until(lambda: journals(platform) == [])


async def test_worker_told_to_end_under_load_cuts_no_call_and_takes_none(
    platform: Platform,
) -> None:
    question = platform.voice(QUESTION)
    worker, *_ = platform.processes("agent")
    async with Phone.call(platform.stream_url("brief"), stream_id="outlives") as phone:
        assert await phone.hear() is not None
        os.kill(worker.pid, signal.SIGTERM)

        async def is_full() -> bool:
            text = await platform.api.get(platform.bridge("/health/fleet"))
            return bool(text.json()["fleet_available"] == 0)

        await until(is_full)
        async with Phone.call(platform.stream_url("brief"), stream_id="refused") as second:
            assert await second.wait_closed() == 1013
        await phone.say(question)
        assert await phone.hear() is not None
        assert worker.is_running()
        await phone.hang_up()
    result = await platform.result("outlives")
    assert result["disconnected_by"] == "customer"
    assert_told_once(result, *WORDS)
    await until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
