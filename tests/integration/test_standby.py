"""Agents that wait, on a real server: who gets them, and what becomes of those that die."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bridges.phone import Phone
from tests.integration.bots import TALKER
from tests.integration.listening import hears, words_in
from tests.integration.platform import Platform, running_platform
from tests.integration.waiting import (
    POOL,
    filled,
    has_told,
    pool,
    said,
    served_by_standby,
    until,
    waiting_processes,
    waiting_rooms,
)
from tests.integration.web_visit import GREETER, talk_and_forge_nothing

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A running fleet in which agents wait."""
    folder = tmp_path_factory.mktemp("fleet")
    async with running_platform(folder, STANDBY_AGENTS=str(POOL)) as running:
        await running.save_bot("talker", TALKER)
        yield running


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
    recording = await platform.recording(f"/recordings/{result['recording_key']}")
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
    served = [await served_by_standby(platform, name) for name in names]
    # On a machine under load an answer may come too late for an agent that waits.
    assert 0 < sum(served) <= POOL


async def test_agent_that_died_while_it_waited_is_given_to_nobody(platform: Platform) -> None:
    rooms = await filled(platform)
    for process in waiting_processes(platform):
        process.kill()

    async def is_known() -> bool:
        return not rooms & await waiting_rooms(platform)

    await until(is_known)
    async with Phone.call(platform.stream_url("talker"), stream_id="after-death") as phone:
        assert await phone.hear() is not None
    await platform.result("after-death")
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


async def test_visitor_with_a_token_talks_to_an_agent_that_waited(platform: Platform) -> None:
    await platform.save_bot("greeter", GREETER)
    await filled(platform)
    await talk_and_forge_nothing(platform, "standby-")


async def test_pool_survives_the_sidecar_and_leaves_with_the_worker(platform: Platform) -> None:
    rooms = await filled(platform)
    (sidecar,) = platform.processes("sidecar")
    sidecar.terminate()
    # Questions held open do not hold it up.
    await asyncio.to_thread(sidecar.wait, 5)
    again = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sidecar",
        env=platform.fleet.environ,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        assert await filled(platform) == rooms
        # What the sidecar knows of a worker from before it went grows stale.
        await until(lambda: has_told(platform, "heartbeats delivered again"))
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
            left = await platform.rooms()
            return not left and await pool(platform) == {"making": 0, "ready": 0}

        await until(is_empty)
    finally:
        again.terminate()
        await again.wait()
