"""The pool of waiting agents on a real server: renewed, kept over a restart, gone at the end."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bridges.phone import Phone
from tests.integration.bots import TALKER
from tests.integration.platform import running_platform
from tests.integration.waiting import POOL, filled, pool, said, until, waiting_rooms


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
            sys.executable,
            "-m",
            "sidecar",
            env=platform.fleet.environ,
            stdout=asyncio.subprocess.DEVNULL,
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
                left = await platform.rooms()
                return not left and await pool(platform) == {"making": 0, "ready": 0}

            await until(is_empty)
        finally:
            again.terminate()
            await again.wait()
