"""Agents that wait, on a real server: who gets them, what becomes of those that die or grow old."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import pytest_asyncio

from bridges.phone import Phone
from contracts.ids import standby_of
from tests.integration.bots import TALKER
from tests.integration.listening import hears, words_in
from tests.integration.platform import Platform, running_platform

pytestmark = pytest.mark.asyncio(loop_scope="module")

POOL = 2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A running fleet in which agents wait."""
    folder = tmp_path_factory.mktemp("fleet")
    async with running_platform(folder, STANDBY_AGENTS=str(POOL)) as running:
        await running.save_bot("talker", TALKER)
        yield running


async def until(happened: Callable[[], Awaitable[bool]], timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await happened():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.1)


async def pool(platform: Platform) -> dict[str, int]:
    try:
        fleet = (await platform.api.get("/health/fleet")).json()
    except httpx.HTTPError:
        return {}
    standbys: dict[str, int] = fleet["standbys"]
    return standbys


async def waiting_rooms(platform: Platform) -> set[str]:
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
    lines = [line["text"] for line in result["transcript"] if line["speaker"] == speaker]
    return " ".join(lines).lower()


async def test_caller_who_listens_at_once_talks_to_an_agent_that_waited(
    platform: Platform,
) -> None:
    question = platform.voice("When are you open?")
    rooms = await filled(platform)
    async with Phone.call(platform.stream_url("talker"), stream_id="at-once") as phone:
        assert await phone.hear() is not None
        await phone.say(question)
        assert await phone.hear() is not None
        heard = phone.heard()
    result = await platform.result("at-once")
    assert await served_by_standby(platform, "at-once")
    words = await words_in(heard)
    assert hears("information line", words)
    assert hears("monday to friday", words)
    assert hears("when are you open", said(result, "customer"))
    assert (result["disconnected_by"], result["call_duration_seconds"] > 3) == ("customer", True)
    # The recording is complete, and the room the agent waited in is gone with the call.
    recording = await platform.api.get(f"/recordings/{result['recording_key']}")
    assert len(recording.content) > 3 * 2 * 2 * 8000
    after = await filled(platform)
    assert len(rooms & after) == POOL - 1


async def test_caller_whose_phone_rings_first_leaves_them_waiting(platform: Platform) -> None:
    rooms = await filled(platform)
    async with Phone.call(platform.stream_url("talker"), stream_id="ringing", ring_s=1.0) as phone:
        assert await phone.hear() is not None
    await platform.result("ringing")
    assert not await served_by_standby(platform, "ringing")
    assert await waiting_rooms(platform) == rooms


async def test_config_saved_while_the_agent_waits_is_obeyed(platform: Platform) -> None:
    await platform.save_bot("mover", TALKER)
    await filled(platform)
    moved = {**TALKER, "opening_message": "We have moved to the other side of the river."}
    await platform.save_bot("mover", moved)
    async with Phone.call(platform.stream_url("mover"), stream_id="moved") as phone:
        assert await phone.hear() is not None
        words = await words_in(phone.heard())
    await platform.result("moved")
    assert await served_by_standby(platform, "moved")
    assert hears("other side of the river", words)


async def test_opening_line_is_kept_and_sounds_the_same_again(platform: Platform) -> None:
    sounds = []
    for stream_id in ("first-time", "second-time"):
        await filled(platform)
        async with Phone.call(platform.stream_url("talker"), stream_id=stream_id) as phone:
            assert await phone.hear() is not None
            sounds.append(await words_in(phone.heard()))
        await platform.result(stream_id)
    assert all(hears("information line", words) for words in sounds)
    kept = Path(platform.fleet.environ["AGENT_LINES_DIR"])
    assert list(kept.glob("*.wav"))
    assert not list(kept.glob("*.part"))


async def test_more_callers_than_agents_wait_are_all_greeted(platform: Platform) -> None:
    await filled(platform)
    names = [f"burst-{number}" for number in range(POOL + 1)]

    async def call(name: str) -> None:
        async with Phone.call(platform.stream_url("talker"), stream_id=name) as phone:
            assert await phone.hear() is not None

    await asyncio.gather(*map(call, names))
    results = [await platform.result(name) for name in names]
    assert all("information line" in said(result, "bot") for result in results)
    assert sorted([await served_by_standby(platform, name) for name in names]) == [
        False,
        *POOL * [True],
    ]


async def test_agent_that_died_while_it_waited_is_given_to_nobody(platform: Platform) -> None:
    rooms = await filled(platform)
    for process in waiting_processes(platform):
        process.kill()
    async with Phone.call(platform.stream_url("talker"), stream_id="after-death") as phone:
        assert await phone.hear() is not None
    await platform.result("after-death")
    assert (await platform.call("after-death"))["incarnation"] == 1
    assert not rooms & await filled(platform)


async def test_claimed_agent_that_froze_is_replaced_and_shut_out(platform: Platform) -> None:
    await filled(platform)
    frozen = waiting_processes(platform)
    assert len(frozen) == POOL
    for process in frozen:
        process.send_signal(signal.SIGSTOP)
    try:
        async with Phone.call(platform.stream_url("talker"), stream_id="frozen") as phone:
            assert await phone.hear() is not None
            assert await served_by_standby(platform, "frozen")
            assert (await platform.call("frozen"))["incarnation"] == 2
            heard = phone.heard()
            for process in frozen:
                process.send_signal(signal.SIGCONT)
            # Awake again, it learns that it came too late, and is not heard.
            assert await phone.hear(timeout_s=2.0) is None
            assert phone.heard() == heard
    finally:
        for process in frozen:
            if process.is_running():
                process.send_signal(signal.SIGCONT)
    result = await platform.result("frozen")
    assert said(result, "bot").count("information line") == 1
    assert result["disconnected_by"] == "customer"
    call_id = (await platform.call("frozen"))["call_id"]
    sent = await platform.api.get("/api/v1/deliveries", params={"call_id": call_id})
    assert len(sent.json()["deliveries"]) == 1
    await filled(platform)


async def test_agents_are_renewed_at_their_age_limit(tmp_path: Path) -> None:
    async with running_platform(
        tmp_path, STANDBY_AGENTS=str(POOL), STANDBY_MAX_AGE_S="6", AGENT_IDLE_PROCESSES="1"
    ) as platform:
        first = await filled(platform)

        async def are_gone() -> bool:
            return not first & await waiting_rooms(platform)

        await until(are_gone)
        assert "Traceback" not in "\n".join(platform.log)


async def test_pool_survives_the_sidecar_and_leaves_with_the_worker(tmp_path: Path) -> None:
    async with running_platform(tmp_path, STANDBY_AGENTS=str(POOL)) as platform:
        await platform.save_bot("talker", TALKER)
        rooms = await filled(platform)
        (sidecar,) = platform.processes("sidecar")
        sidecar.terminate()
        # Questions held open do not hold it up.
        await asyncio.to_thread(sidecar.wait, 5)
        again = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sidecar", env=platform.fleet.environ, stdout=subprocess.DEVNULL
        )
        try:
            assert await filled(platform) == rooms
            async with Phone.call(platform.stream_url("talker"), stream_id="adopted") as phone:
                assert await phone.hear() is not None
            result = await platform.result("adopted")
            assert "information line" in said(result, "bot")
            assert len(rooms & await filled(platform)) == POOL - 1

            worker = platform.processes("agent")[0]
            worker.terminate()
            # Nor do agents without a call hold their worker up.
            await asyncio.to_thread(worker.wait, 10)

            async def is_empty() -> bool:
                return not await platform.rooms()

            await until(is_empty)
            assert await pool(platform) == {"making": 0, "ready": 0}
        finally:
            again.terminate()
            await again.wait()
