"""`python -m agent`: an agent worker. SIGTERM or Ctrl-C drains it."""

from __future__ import annotations

import asyncio
import os
import signal

# Its 50 Hz heartbeat costs every idle process 0.7 % of a core.
os.environ.setdefault("LIVEKIT_AGENTS_LOOP_BLOCK_WARN_MS", "0")
# The SDK's native runtime: with one room a process, a second thread only has to be woken.
os.environ.setdefault("TOKIO_WORKER_THREADS", "1")

from agent.settings import AgentSettings
from agent.worker import Worker, new_server, new_worker_id
from contracts.log import configure_logging
from sidecar.client import SidecarClient


async def main() -> None:
    """Run one worker until a signal stops it."""
    settings = AgentSettings(agent_worker_id=new_worker_id())
    # Its jobs claim calls by this name: they are forked with this environment.
    os.environ["AGENT_WORKER_ID"] = settings.agent_worker_id
    configure_logging(settings.log_level)
    async with SidecarClient(settings.sidecar_url, settings.voxcore_secret) as client:
        worker = Worker(settings, client, new_server(settings))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main())
