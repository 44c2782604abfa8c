"""`python -m bridges.sip.media FD`: one media process, until the line it inherits as FD ends.

The signalling process starts it and decides when it stops: SIGTERM, which a supervisor sends to
all processes of a service at once, is no reason to drop calls that signalling is draining.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

# The SDK's native runtime: a second thread costs more wake-ups than the packets are worth.
os.environ.setdefault("TOKIO_WORKER_THREADS", "1")

import structlog

from bridges.clock import Clock
from bridges.data_room import PANIC_SIGNAL, tell_panics
from bridges.sip.ipc import MAX_LINE_BYTES
from bridges.sip.media_bridge import MediaBridge
from bridges.sip.settings import SipSettings
from contracts.log import configure_logging
from sidecar.client import SidecarClient

log = structlog.get_logger(__name__)


async def run(settings: SipSettings, line: socket.socket) -> bool:
    """Carry calls until signalling is gone or has drained this process.

    Returns:
        Whether all was well: False if the media SDK has panicked, and another process is needed.
    """
    panicked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, log.info, "signal_left_to_signalling")
    reader, writer = await asyncio.open_unix_connection(sock=line, limit=MAX_LINE_BYTES)
    secret = settings.voxcore_secret.get_secret_value()
    async with SidecarClient(settings.sidecar_url, secret) as sidecar:
        bridge = MediaBridge(settings, sidecar, Clock(), reader, writer)

        def panic() -> None:
            # One task of the SDK's has ended, and most calls outlive it: they are drained, too.
            log.error("sdk_panicked")
            panicked.set()
            bridge.drain(settings.sip_drain_s)

        tell_panics()
        loop.add_signal_handler(PANIC_SIGNAL, panic)
        await bridge.run()
    return not panicked.is_set()


def main() -> None:
    """Read the settings and run; where the process is not well, signalling is to notice."""
    settings = SipSettings()
    configure_logging(settings.log_level)
    line = socket.socket(fileno=int(sys.argv[1]))
    if not asyncio.run(run(settings, line)):
        sys.exit(os.EX_SOFTWARE)


if __name__ == "__main__":
    main()
