"""`python -m bridges`: one bridge process, until SIGTERM or SIGINT has drained it."""

from __future__ import annotations

import asyncio
import os
import signal

# The SDK's native runtime: a second thread costs more wake-ups than the packets are worth.
os.environ.setdefault("TOKIO_WORKER_THREADS", "1")

from bridges.app import Bridge
from bridges.clock import Clock
from bridges.race import race
from bridges.settings import Settings
from contracts.log import configure_logging
from sidecar.client import SidecarClient


async def run(settings: Settings) -> None:
    """Serve until told to stop; a second signal ends the calls that remain."""
    stop, now = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: (now if stop.is_set() else stop).set())
    secret = settings.voxcore_secret.get_secret_value()
    async with (
        SidecarClient(settings.sidecar_url, secret) as sidecar,
        Bridge(settings, sidecar, Clock()) as bridge,
    ):
        await stop.wait()
        await race(bridge.drain(settings.bridge_drain_s), now.wait())


def main() -> None:
    """Read the settings and run."""
    settings = Settings()
    configure_logging(settings.log_level)
    asyncio.run(run(settings))


if __name__ == "__main__":
    main()
