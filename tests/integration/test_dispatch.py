"""Calls that no agent takes: refused in time, and nothing is left of them."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

from bridges.phone import Phone
from tests.integration.bots import TALKER
from tests.integration.platform import running_platform


async def test_call_no_agent_takes_is_dispatched_again_and_then_refused(tmp_path: Path) -> None:
    async with running_platform(tmp_path, AGENT_IDLE_PROCESSES="1") as platform:
        await platform.save_bot("talker", TALKER)
        worker = platform.processes("agent")[0]
        worker.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            async with Phone.call(platform.stream_url("talker"), stream_id="untaken") as phone:
                assert await phone.wait_closed() == 1013
            # Two dispatches of 1.5 s each, and what the rest of a busy platform needs.
            assert time.monotonic() - began < 9.0
            call = await platform.call("untaken")
            assert call["incarnation"] == 2
            result = await platform.result("untaken")
            assert (result["disconnected_by"], result["transcript"]) == ("error", [])
        finally:
            worker.send_signal(signal.SIGCONT)


async def test_call_before_any_worker_has_registered_is_refused_at_once(tmp_path: Path) -> None:
    async with running_platform(tmp_path, AGENT_IDLE_PROCESSES="1") as platform:
        await platform.save_bot("talker", TALKER)
        for process in platform.processes("agent"):
            process.kill()
        async with Phone.call(platform.stream_url("nobody"), stream_id="unknown") as phone:
            assert await phone.wait_closed() in (1013, 4404)
        fleet = (await platform.api.get("/health/fleet")).json()
        while fleet["fleet_available"] > 0:
            await asyncio.sleep(0.1)
            fleet = (await platform.api.get("/health/fleet")).json()
        async with Phone.call(platform.stream_url("talker"), stream_id="too-early") as phone:
            assert await phone.wait_closed() == 1013
