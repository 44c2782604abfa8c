"""`python -m bench.listen_in`: what somebody who listens in costs the bridge, and what remains.

The bridge is a process of its own. In every call both sides speak without a pause.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
from livekit import rtc
from rich.console import Console
from rich.table import Table

from bench.usage import Reading, read
from bridges.app import Bridge
from bridges.clock import Clock
from bridges.phone import Phone
from bridges.settings import Settings
from contracts.log import configure_logging
from contracts.plan import Plan
from tests.fakes.room_agent import RoomAgent
from tests.fakes.sidecar import FakeSidecar
from tests.integration.livekit_server import LiveKitServer, running_livekit

SECONDS = 6.0
SETTLE_S = 5.0
"""A listener that publishes nothing is announced, and missed, every three seconds."""
SPEECH_S = 3 * (SECONDS + SETTLE_S) + 5


async def carry(url: str, key: str, secret: str) -> None:
    """Run a bridge; tell its port, then every plan it gets, line by line, until input ends."""
    configure_logging("CRITICAL")  # nothing but ours on the way to the parent
    sidecar = FakeSidecar(url, key, secret)
    settings = Settings(bridge_host="127.0.0.1", bridge_port=0)
    async with sidecar.client() as client, Bridge(settings, client, Clock()) as bridge:
        _say(str(bridge.port))
        planned = 0
        while await asyncio.to_thread(sys.stdin.readline):
            planned += 1
            _say((await sidecar.planned(planned))[-1].model_dump_json())


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def measure(server: LiveKitServer, calls: int) -> list[tuple[str, float, Reading, int]]:
    """Return share of a core per call, memory and phones' underruns, phase by phase."""
    signer = FakeSidecar(server.url, server.key, server.secret)
    async with AsyncExitStack() as stack:
        bridge = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.listen_in", "--carry", server.url, server.key,
            server.secret, stdin=PIPE, stdout=PIPE, env={**os.environ, "TOKIO_WORKER_THREADS": "1"},
        )  # fmt: skip
        stack.push_async_callback(_end, bridge)
        assert bridge.stdin is not None
        assert bridge.stdout is not None
        port = int(await bridge.stdout.readline())
        phones: list[Phone] = []
        plans: list[Plan] = []
        for _ in range(calls):
            url = f"ws://127.0.0.1:{port}/ws/desk"
            phones.append(
                await stack.enter_async_context(Phone.call(url, ring_s=1.0, jitter_buffer_s=0.1))
            )
            bridge.stdin.write(b"\n")
            plan = Plan.model_validate_json(await bridge.stdout.readline())
            plans.append(plan)
            agent = await RoomAgent.join(signer, plan)
            stack.push_async_callback(agent.leave)
            await agent.answered.wait()
            await agent.say(1, os.urandom(int(SPEECH_S * 16_000)))
            speaking = asyncio.create_task(phones[-1].say(os.urandom(int(SPEECH_S * 16_000))))
            stack.callback(speaking.cancel)
        process = psutil.Process(bridge.pid)
        found = [await _phase("nobody listens", process, phones)]
        rooms = [rtc.Room() for _ in plans]
        for room, plan in zip(rooms, plans, strict=True):
            await room.connect(plan.livekit_url, signer.token(plan.room_name, "supervisor"))
        found.append(await _phase("somebody listens", process, phones))
        for room in rooms:
            await room.disconnect()
        found.append(await _phase("they have left", process, phones))
        return found


async def _end(bridge: Process) -> None:
    bridge.kill()
    await bridge.wait()


async def _phase(
    name: str, process: psutil.Process, phones: list[Phone]
) -> tuple[str, float, Reading, int]:
    underruns = sum(phone.underruns for phone in phones)
    await asyncio.sleep(SETTLE_S)
    before = read(process)
    await asyncio.sleep(SECONDS)
    after = read(process)
    percent = 100 * (after.cpu_s - before.cpu_s) / SECONDS / len(phones)
    return name, percent, after, sum(phone.underruns for phone in phones) - underruns


def main() -> int:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=4)
    parser.add_argument("--carry", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.carry:
        asyncio.run(carry(*arguments.carry))
        return 0
    table = Table(title=f"Listening in, {arguments.calls} calls")
    for heading in ("", "bridge, % of a core per call", "bridge USS MB", "underruns"):
        table.add_column(heading, justify="right" if heading else "left")
    with (
        tempfile.TemporaryDirectory(prefix="voicefleet-listen-in-") as folder,
        running_livekit(Path(folder)) as server,
    ):
        for name, percent, held, underruns in asyncio.run(measure(server, arguments.calls)):
            table.add_row(name, f"{percent:.1f}", f"{held.uss_mb:.0f}", str(underruns))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
