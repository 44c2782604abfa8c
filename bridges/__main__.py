"""`python -m bridges`: one bridge process, until SIGTERM or SIGINT has drained it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

# The SDK's native runtime: a second thread costs more wake-ups than the packets are worth.
os.environ.setdefault("TOKIO_WORKER_THREADS", "1")

import structlog

from bridges.app import Bridge
from bridges.clock import Clock
from bridges.data_room import PANIC_SIGNAL, tell_panics
from bridges.race import race
from bridges.settings import Settings
from contracts.log import configure_logging
from sidecar.client import SidecarClient

log = structlog.get_logger(__name__)


async def run(settings: Settings) -> bool:
    """Serve until told to stop; a second signal ends the calls that remain.

    Returns:
        Whether all was well: False if the media SDK has panicked, and another process is needed.
    """
    stop, now, panicked = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def panic() -> None:
        # One task of the SDK's has ended, and most calls outlive it: they are drained, too.
        log.error("sdk_panicked")
        panicked.set()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: (now if stop.is_set() else stop).set())
    tell_panics()
    loop.add_signal_handler(PANIC_SIGNAL, panic)
    secret = settings.voxcore_secret.get_secret_value()
    async with (
        SidecarClient(settings.sidecar_url, secret) as sidecar,
        Bridge(settings, sidecar, Clock()) as bridge,
    ):
        await stop.wait()
        await race(bridge.drain(settings.bridge_drain_s), now.wait())
    return not panicked.is_set()


def main() -> None:
    """Read the settings and run; where the process is not well, its supervisor is to notice."""
    settings = Settings()
    configure_logging(settings.log_level)
    if not asyncio.run(run(settings)):
        sys.exit(os.EX_SOFTWARE)


if __name__ == "__main__":
    main()
