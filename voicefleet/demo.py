"""`voicefleet demo`: everything started, one call placed, shown, and its result delivered."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from voicefleet.api import ApiError, ApiUnavailable, SidecarApi
from voicefleet.bots import load_bot
from voicefleet.call import CallFailed, Dialler
from voicefleet.fleet import Fleet, find_server, prepare
from voicefleet.logline import render
from voicefleet.mouth import audio_of
from voicefleet.receiver import Receiver, receiving
from voicefleet.runner import PartFailed, Runner
from voicefleet.script import parse_scenario
from voicefleet.settings import FleetSettings
from voicefleet.settings_page import all_names
from voicefleet.show import Progress, print_recording, print_result
from voicefleet.signals import ending_on_signal

SCENARIO = Path(__file__).with_name("demo.yaml")
_DELIVERY_TIMEOUT_S = 15.0
_LOG_LINES_SHOWN = 15
_KEPT_S = 24 * 3600


class DemoFailed(Exception):
    """The demo did not come to its end; the message says why and what to do next."""


async def demo(settings: FleetSettings, console: Console) -> None:
    """Run the demo in a folder of its own, on free ports.

    Raises:
        DemoFailed: something did not work.
    """
    began = time.monotonic()
    fleet = _fleet(settings)
    log_path = fleet.home / "run" / "log.txt"
    with log_path.open("w", buffering=1) as log:
        starting = Progress(console, "Starting LiveKit server, sidecar, bridge and agent worker …")
        runner = Runner(
            lambda part, line: log.write(f"{render(part, line).plain}\n"),
            restart=False,
            on_ready=starting.tell,
        )
        performing = asyncio.create_task(_perform(fleet, runner, starting, settings, console))
        try:
            with ending_on_signal(performing.cancel, runner.hurry):
                ends: list[asyncio.Future[Any]] = [performing, runner.failure]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if runner.failure.done():
                    raise runner.failure.result()
                await performing
                # All that matters is delivered and stored: nothing is left to drain.
                runner.hurry()
        except asyncio.CancelledError:
            raise DemoFailed("The demo was ended by a signal.") from None
        except (ApiError, ApiUnavailable, CallFailed, PartFailed) as error:
            raise DemoFailed(explained(error, log_path)) from error
        finally:
            performing.cancel()
            with console.status("Ending …"):
                await runner.stop()
    console.print(f"[green]✓[/] Done in {time.monotonic() - began:.0f} s.", highlight=False)
    console.print(
        "Next: `make run`, and in another shell `.venv/bin/voicefleet call --say 'Do you take"
        " insurance?'`. The bots are in bots/.",
        highlight=False,
        soft_wrap=True,
    )


def _fleet(settings: FleetSettings) -> Fleet:
    home = fresh_folder(settings.voicefleet_home / "demo")
    (home / "run").mkdir()
    own = settings.model_copy(
        update={
            "voicefleet_home": home,
            "livekit_server": find_server(settings, os.environ),
            "livekit_port": 0,
            "livekit_udp_port": 0,
            "sidecar_port": 0,
            "bridge_port": 0,
            "fleet_sip": False,
        }
    )
    # What is set for a real installation must not reach into the demo.
    foreign = all_names()
    environ = {name: value for name, value in os.environ.items() if name not in foreign}
    return prepare(own, {**environ, "AGENT_IDLE_PROCESSES": "1", "AGENT_DRAIN_S": "2"})


def fresh_folder(demos: Path) -> Path:
    """Return a folder for this run alone; those of other days are removed."""
    demos.mkdir(parents=True, exist_ok=True)
    for old in demos.iterdir():
        if time.time() - old.stat().st_mtime > _KEPT_S:
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=time.strftime("%H%M%S-"), dir=demos))


async def _perform(
    fleet: Fleet, runner: Runner, starting: Progress, settings: FleetSettings, console: Console
) -> None:
    scenario = parse_scenario(SCENARIO.read_text(), SCENARIO.parent)
    with starting:
        _, audio = await asyncio.gather(
            fleet.start(runner), audio_of(scenario, settings.voicefleet_home / "caller")
        )
    secret = fleet.environ["RESULT_SIGNING_SECRET"]
    async with (
        receiving(secret) as (receiver, webhook_url),
        SidecarApi(fleet.sidecar_url, fleet.environ["ADMIN_API_KEY"]) as api,
    ):
        config = load_bot(settings.bots_dir / f"{scenario.bot}.yaml")
        config |= {"bot_id": scenario.bot, "webhook_url": webhook_url}
        await api.save_bot(scenario.bot, config)
        dialler = Dialler(api, fleet.bridge_url, console)
        stored = await dialler.place(scenario.bot, scenario, audio)
        with console.status("Waiting for the result to be delivered …"):
            delivered = await _delivered(receiver)
    if delivered != stored:
        raise CallFailed("the delivered result is not the one that was stored")
    console.print("The result, as delivered (its signature was right):", style="bold")
    print_result(console, delivered)
    print_recording(console, delivered, fleet.recordings)


async def _delivered(receiver: Receiver) -> dict[str, Any]:
    try:
        return await asyncio.wait_for(receiver.result(), _DELIVERY_TIMEOUT_S)
    except TimeoutError:
        refused = receiver.refused
        cause = f"; {refused} with a wrong signature were refused" if refused else ""
        raise CallFailed(f"no result was delivered in {_DELIVERY_TIMEOUT_S:g} s{cause}") from None


def explained(error: Exception, log_path: Path) -> str:
    lines = log_path.read_text().splitlines()[-_LOG_LINES_SHOWN:]
    last = "\n".join(f"  {line}" for line in lines)
    return (
        f"The demo failed: {error}\nThe last lines of {log_path}:\n{last}\n"
        "Run `make demo` again; if it fails again, the whole log says why. A machine under heavy"
        " load may be too slow for a call."
    )
