"""Agents that wait, on a real server: nobody waits for ever."""

from __future__ import annotations

from pathlib import Path

from tests.integration.platform import running_platform
from tests.integration.waiting import POOL, filled, until, waiting_rooms


async def test_agents_are_renewed_at_their_age_limit(tmp_path: Path) -> None:
    async with running_platform(
        tmp_path, STANDBY_AGENTS=str(POOL), STANDBY_MAX_AGE_S="6", AGENT_IDLE_PROCESSES="1"
    ) as platform:
        first = await filled(platform)

        async def are_gone() -> bool:
            return not first & await waiting_rooms(platform)

        await until(are_gone)
        assert "Traceback" not in "\n".join(platform.log)
