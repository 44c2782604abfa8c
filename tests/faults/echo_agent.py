"""`python -m tests.faults.echo_agent`: an agent worker whose calls cost next to nothing.

It claims, joins, speaks a tone, records and reports like the real one; it only neither hears nor
thinks. For faults under many calls, where speech is not the point.
"""

from __future__ import annotations

import asyncio
from typing import Any

from livekit.agents import JobContext

from agent import worker
from agent.__main__ import main
from agent.engines import Engines
from agent.job import serve
from agent.settings import AgentSettings
from contracts.plan import AgentPlan
from sidecar.client import SidecarClient
from tests.fakes.engines import ScriptedEngines


def build_engines(_: AgentPlan, __: Any) -> Engines:
    """Return engines that speak and are deaf."""
    return ScriptedEngines().engines()


async def serve_call(ctx: JobContext) -> None:
    """Serve the call a dispatch names."""
    settings = AgentSettings()
    async with SidecarClient(settings.sidecar_url, settings.voxcore_secret) as client:
        await serve(ctx, settings, client, build_engines)


if __name__ == "__main__":
    worker.serve_call = serve_call  # type: ignore[attr-defined]
    asyncio.run(main())
