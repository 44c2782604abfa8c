"""`voicefleet up`: the whole platform on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from typing import Any

from rich.console import Console
from rich.table import Table

from voicefleet.api import SidecarApi
from voicefleet.bots import bot_files, import_bots
from voicefleet.fleet import Fleet, prepare
from voicefleet.logline import render
from voicefleet.runner import Runner
from voicefleet.settings import FleetSettings
from voicefleet.show import Progress
from voicefleet.signals import ending_on_signal

DEMO_NUMBER = "demo"
"""What a softphone dials to reach `SIP_DEMO_BOT`."""


async def up(settings: FleetSettings, console: Console) -> None:
    """Run the fleet until a signal ends it.

    Raises:
        PartFailed: a part did not come up, or died too often; the others were ended.
    """
    fleet = prepare(settings, os.environ)
    stopped = asyncio.Event()

    def show(part: str, line: str) -> None:
        console.print(render(part, line), soft_wrap=True)

    starting = Progress(console, "Starting …")
    runner = Runner(show, restart=True, on_ready=starting.tell)
    with ending_on_signal(stopped.set, runner.hurry):
        try:
            with starting:
                if not await _unless(stopped, _bring_up(fleet, runner, settings)):
                    return
            console.print(addresses(fleet), "Ctrl-C ends everything.", "")
            if await _unless(stopped, runner.failure):
                raise runner.failure.result()
        finally:
            console.print("Ending: calls may finish; Ctrl-C again cuts them off.")
            await runner.stop()


def addresses(fleet: Fleet) -> Table:
    """Return where everything is."""
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    table.add_row("call a bot", f"{fleet.bridge_url}/ws/<bot>")
    if fleet.sip_port is not None:
        table.add_row("by any softphone", f"sip:{DEMO_NUMBER}@127.0.0.1:{fleet.sip_port}")
    table.add_row("in the browser", f"{fleet.sidecar_url}/dialler")
    table.add_row("API", f"{fleet.sidecar_url}/api/v1  (X-API-Key: ADMIN_API_KEY)")
    table.add_row("health", f"{fleet.sidecar_url}/health/fleet")
    table.add_row("LiveKit", fleet.livekit_url)
    table.add_row("secrets", str(fleet.home / "secrets.env"))
    table.add_row("recordings", str(fleet.recordings))
    table.add_row("try", ".venv/bin/voicefleet call --say 'I would like an appointment.'")
    return table


async def _bring_up(fleet: Fleet, runner: Runner, settings: FleetSettings) -> None:
    await fleet.start(runner)
    async with SidecarApi(fleet.sidecar_url, fleet.environ["ADMIN_API_KEY"]) as api:
        files = bot_files(settings.bots_dir)
        await import_bots(api, files, only_changed=True)
        if fleet.sip_port is not None and settings.sip_demo_bot in {path.stem for path in files}:
            await api.give_number(DEMO_NUMBER, settings.sip_demo_bot)


async def _unless(stopped: asyncio.Event, work: Awaitable[Any]) -> bool:
    """Wait for `work`; False, and the work cancelled, where `stopped` came first."""
    working = asyncio.ensure_future(work)
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait([working, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not working.done():
        working.cancel()
        return False
    working.result()
    return True
