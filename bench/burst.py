"""`python -m bench.burst`: what calls that talk notice of others that start.

Some calls listen to a long line; then several start at once. The gaps between the messages of the
first ones tell how long the machine kept them waiting, before the burst and during it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect

from bench.fleet import new_fleet, save_bot
from bench.machine import commit, keep, machine
from bridges.race import cancel
from bridges.wire.dialler_event import BotAudio
from bridges.wire.dialler_phone import DiallerPhone
from voicefleet.runner import Runner

BOT = "burst"
FRAME_S = 0.02
QUIET_S = 8.0
"""How long the first calls are watched before the burst."""
BURST_S = 10.0
LINE = " ".join(
    f"Item {number} of the list is ready for you to collect at the desk on the ground floor."
    for number in ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
)
"""More than half a minute of speech."""
ROOM_FOR_CALLS = "16"


@dataclass(slots=True)
class _Listener:
    """A call whose phone is answered at once and notes when messages come."""

    connection: ClientConnection
    protocol: DiallerPhone = field(default_factory=DiallerPhone)
    arrivals: list[float] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, number: int) -> None:
        self.protocol.connect({"callerId": "1", "did": "2", "streamId": f"burst-{number}"})
        self.protocol.start(f"burst-{number}")
        self.protocol.answer()
        speaking = asyncio.create_task(self._be_silent())
        try:
            async for message in self.connection:
                now = time.monotonic()
                for event in self.protocol.receive(message):
                    if isinstance(event, BotAudio):
                        self.arrivals.append(now)
                        self.heard.set()
        finally:
            await cancel(speaking)

    async def _be_silent(self) -> None:
        due = time.monotonic()
        while True:
            self.protocol.send_media(bytes(320))
            for message in self.protocol.outgoing():
                await self.connection.send(message)
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def gaps_ms(self, since: float, until: float) -> list[float]:
        """Return how much longer than a frame each message let wait."""
        within = [arrival for arrival in self.arrivals if since <= arrival <= until]
        return [1000 * (after - before - FRAME_S) for before, after in itertools.pairwise(within)]


async def burst(talking: int, starting: int, rate_per_s: str) -> dict[str, Any]:
    """Return the gaps of the calls that talk, before and during the burst."""
    limits = ("AGENT_MAX_CALLS", "BRIDGE_MAX_CALLS", "MAX_CONCURRENT_CALLS")
    environ = {**os.environ, **dict.fromkeys(limits, ROOM_FOR_CALLS)}
    environ["CALL_STARTS_PER_S"] = rate_per_s
    with tempfile.TemporaryDirectory(prefix="voicefleet-burst-") as folder:
        fleet = new_fleet(Path(folder), environ)
        runner = Runner(lambda _part, _line: None, restart=False)
        try:
            await fleet.start(runner)
            config = {"bot_id": BOT, "stream_anonymous": True, "webhook_url": ""}
            await save_bot(fleet, {**config, "opening_message": LINE})
            return await _watch(f"{fleet.bridge_url}/ws/{BOT}", talking, starting)
        finally:
            await runner.stop()


async def _watch(url: str, talking: int, starting: int) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        tasks: list[asyncio.Task[None]] = []

        async def call() -> _Listener:
            connection = await stack.enter_async_context(connect(url, compression=None))
            listener = _Listener(connection)
            tasks.append(asyncio.create_task(listener.run(len(tasks))))
            return listener

        try:
            # The first call of a fleet makes the line; the others take it from where it is kept.
            first = await call()
            async with asyncio.timeout(30):
                await first.heard.wait()
            listeners = []
            for _ in range(talking):
                listeners.append(await call())
                async with asyncio.timeout(30):
                    await listeners[-1].heard.wait()
            await asyncio.sleep(1.0)
            began = time.monotonic()
            await asyncio.sleep(QUIET_S)
            burst_at = time.monotonic()
            late = await asyncio.gather(*(call() for _ in range(starting)))
            await asyncio.sleep(BURST_S)
            ended = time.monotonic()
        finally:
            await cancel(*tasks)
        return {
            "started": sum(listener.heard.is_set() for listener in late),
            "before_ms": _gaps(listeners, began, burst_at),
            "during_ms": _gaps(listeners, burst_at, ended),
        }


def _gaps(listeners: list[_Listener], since: float, until: float) -> list[float]:
    gaps = [gap for listener in listeners for gap in listener.gaps_ms(since, until)]
    return sorted(round(gap, 2) for gap in gaps)


def main() -> int:
    """Read the command line, measure with and without a pace, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--talking", type=int, default=4)
    parser.add_argument("--starting", type=int, default=6)
    parser.add_argument("--rates", default="4,0", help="CALL_STARTS_PER_S, each in turn")
    given = parser.parse_args()
    console = Console()
    table = Table(title=f"Gaps beyond a frame, ms · {machine()} · {commit()}")
    for heading in ("starts a second", "started", "before: p99", "max", "during: p99", "max"):
        table.add_column(heading, justify="right")
    runs: dict[str, Any] = {}
    for rate_per_s in given.rates.split(","):
        with console.status(f"{rate_per_s} starts a second …"):
            run = asyncio.run(burst(given.talking, given.starting, rate_per_s))
        runs[rate_per_s] = run
        cells = [
            f"{cell:.0f}"
            for gaps in (run["before_ms"], run["during_ms"])
            for cell in (gaps[int(0.99 * (len(gaps) - 1))], gaps[-1])
        ]
        name = "no limit" if rate_per_s == "0" else rate_per_s
        table.add_row(name, f"{run['started']} of {given.starting}", *cells)
    console.print(table)
    console.print(f"Raw samples: {keep('burst', {'runs': runs})}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
