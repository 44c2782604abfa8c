"""`python -m bridges.sip`: one address's signalling, until SIGTERM or SIGINT has drained it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence

import structlog

from bridges.clock import Clock
from bridges.race import race
from bridges.sip.dialog_store import StateInUse
from bridges.sip.settings import SipSettings
from bridges.sip.signalling import Signalling
from bridges.sip.supervisor import COMMAND
from contracts.log import configure_logging
from sidecar.client import SidecarClient

log = structlog.get_logger(__name__)


async def run(settings: SipSettings, command: Sequence[str]) -> None:
    """Serve until told to stop; a second signal ends the calls that remain.

    Args:
        command: what starts a media process.
    """
    stop, now = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: (now if stop.is_set() else stop).set())
    secret = settings.voxcore_secret.get_secret_value()
    async with (
        SidecarClient(settings.sidecar_url, secret) as sidecar,
        Signalling(settings, sidecar, Clock(), command) as signalling,
    ):
        await stop.wait()
        await race(signalling.drain(settings.sip_drain_s), now.wait())


def main(command: Sequence[str] = COMMAND) -> None:
    """Read the settings and run."""
    settings = SipSettings()
    configure_logging(settings.log_level)
    try:
        asyncio.run(run(settings, command))
    except StateInUse as error:
        log.error("sip_state_in_use", folder=str(error))
        sys.exit(os.EX_TEMPFAIL)
    except OSError as error:
        log.error("sip_not_started", error=str(error))
        sys.exit(os.EX_OSERR)


if __name__ == "__main__":
    main()
