"""`python -m bench.sip`: the SIP bridge under one call, two, four …, on a fleet of its own.

Two runs. An agent that echoes shows what the bridge and the room add to audio's way, how evenly
packets leave, and what the bridge costs. The real agent shows how soon a caller is answered and
greeted. A table on screen, JSON in `bench/out/sip.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from bench.call import BOT, CONFIG
from bench.figure import Figure, figure
from bench.fleet import new_fleet, save_bot
from bench.machine import commit, keep, machine
from bench.sip.caller import SipCaller
from bench.sip.phone_audio import FRAME_S, RATE_HZ
from bench.usage import Meter, roles
from voicefleet.fleet import Fleet
from voicefleet.runner import Runner

ECHOED_S = 12.0
SETTLE_S = 2.0
BETWEEN_CALLS_S = 0.5
GREETED_WITHIN_S = 10.0
NEAREST_S = 0.6
"""A pulse comes each 0.74 s, so that the next loud packet within this is its echo."""
PARTS = ("sip signalling", "sip media", "livekit-server")


@asynccontextmanager
async def running(calls: int, *, echo: bool, log: Path) -> AsyncIterator[Fleet]:
    """Run a fleet with room for so many SIP calls, whose agents perhaps only echo."""
    with tempfile.TemporaryDirectory(prefix="voicefleet-bench-") as folder:
        room = str(calls + 2)
        limits = ("MAX_CONCURRENT_CALLS", "AGENT_MAX_CALLS", "SIP_MEDIA_MAX_CALLS")
        environ = {
            **os.environ,
            **dict.fromkeys(limits, room),
            "AGENT_IDLE_PROCESSES": str(min(calls, 4)),
            "STANDBY_AGENTS": "0",
            "SIP_MEDIA_PROCESSES": "1",
            "CALL_STARTS_PER_S": "20",
            "ECHO_LOG": str(log),
        }
        fleet = new_fleet(Path(folder), environ, sip=True)
        runner = Runner(lambda _part, _line: None, restart=False)
        try:
            async with httpx.AsyncClient(timeout=2.0, trust_env=False) as http:
                agent = fleet.parts(http)["agent"]
                if echo:
                    command = [sys.executable, "-m", "bench.sip.echo_agent"]
                    agent = replace(agent, command=command)
                await fleet.start(runner, {"agent": agent})
            await save_bot(fleet, {**CONFIG, "bot_id": BOT})
            await _give_number(fleet)
            yield fleet
        finally:
            await runner.stop()


async def echoed(calls: int, log: Path) -> dict[str, Any]:
    """Hold so many calls at once with agents that echo; return what was measured."""
    log.unlink(missing_ok=True)
    async with running(calls, echo=True, log=log) as fleet:
        assert fleet.sip_port is not None
        target = ("127.0.0.1", fleet.sip_port)
        callers: list[SipCaller] = []
        try:
            for number in range(calls):
                callers.append(await SipCaller(target, BOT, f"caller{number}").call())
                await asyncio.sleep(BETWEEN_CALLS_S)
            await asyncio.sleep(SETTLE_S)
            root = psutil.Process()
            # In a thread: reading the processes must not make the callers stutter.
            meter = await asyncio.to_thread(Meter, lambda: roles(root))
            for caller in callers:
                caller.audio.arrivals.clear()
                caller.audio.loud.clear()
                caller.audio.is_pulsing = True
            await asyncio.sleep(ECHOED_S)
            used = await asyncio.to_thread(meter.stop)
        finally:
            await asyncio.gather(*(caller.hang_up() for caller in callers))
    at_agent = _by_caller(log.read_text().splitlines())
    name = f"{calls} calls" if calls > 1 else "1 call"
    ways_in = [lag for c in callers for lag in _lags(c.audio.pulses, at_agent[c.name])]
    ways_out = [lag for c in callers for lag in _lags(at_agent[c.name], c.audio.loud)]
    rounds = [lag for c in callers for lag in _lags(c.audio.pulses, c.audio.loud)]
    late = [late for c in callers for late in _lateness_ms(c.audio.arrivals)]
    figures = [
        figure(
            f"{name}: INVITE to 200", "ms", [_ms(c.answered_at - c.invited_at) for c in callers]
        ),
        figure(f"{name}: phone to agent", "ms", [_ms(lag) for lag in ways_in]),
        figure(f"{name}: agent to phone", "ms", [_ms(lag) for lag in ways_out]),
        figure(f"{name}: phone to agent and back", "ms", [_ms(lag) for lag in rounds]),
        figure(f"{name}: lateness of packets", "ms", late),
    ]
    return {
        "calls": calls,
        "figures": [each.to_json() for each in figures],
        "cpu_percent_of_a_core_per_call": {
            part: round(used.get(part, 0.0) / calls, 2) for part in PARTS
        },
    }


async def greeted(calls: int, log: Path) -> dict[str, Any]:
    """Place calls to the real agent, one after the other; return how soon each was greeted."""
    async with running(1, echo=False, log=log) as fleet:
        assert fleet.sip_port is not None
        answered, heard = [], []
        for _ in range(calls):
            caller = await SipCaller(("127.0.0.1", fleet.sip_port), BOT).call()
            answered.append(_ms(caller.answered_at - caller.invited_at))
            async with asyncio.timeout(GREETED_WITHIN_S):
                while not caller.audio.heard_at:  # noqa: ASYNC110 - packets tell of themselves by time alone
                    await asyncio.sleep(FRAME_S)
            heard.append(_ms(caller.audio.heard_at - caller.answered_at))
            await caller.hang_up()
            await asyncio.sleep(SETTLE_S)
    figures = [
        figure("real agent: INVITE to 200", "ms", answered),
        figure("real agent: ACK to greeting", "ms", heard),
    ]
    return {"figures": [each.to_json() for each in figures]}


async def _give_number(fleet: Fleet) -> None:
    headers = {"X-API-Key": fleet.environ["ADMIN_API_KEY"]}
    async with httpx.AsyncClient(base_url=fleet.sidecar_url, trust_env=False) as http:
        body = {"number": BOT, "bot_id": BOT}
        answer = await http.post("/api/v1/numbers", json=body, headers=headers)
        answer.raise_for_status()


def _lags(sent: Sequence[float], came: Sequence[float]) -> list[float]:
    """Return after how long what was sent came, where it did."""
    firsts = (next((at for at in came if at > each), None) for each in sent)
    lags = [at - each for each, at in zip(sent, firsts, strict=True) if at is not None]
    return [lag for lag in lags if lag < NEAREST_S]


def _by_caller(lines: Iterable[str]) -> dict[str, list[float]]:
    """Return when each caller's pulses were heard, from what the agents wrote down."""
    found: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        caller, at = line.split()
        found[caller].append(float(at))
    return found


def _lateness_ms(arrivals: Sequence[tuple[int, float]]) -> list[float]:
    """Return how much later than its RTP timestamp each packet came, by the earliest one."""
    first = arrivals[0][0] if arrivals else 0
    offsets = [at - ((stamp - first) & 0xFFFFFFFF) / RATE_HZ for stamp, at in arrivals]
    return [_ms(offset - min(offsets)) for offset in offsets]


def _ms(seconds: float) -> float:
    return 1000 * seconds


def show(console: Console, measured: dict[str, Any]) -> None:
    """Print the tables."""
    table = Table(title=f"SIP bridge · {machine()} · {commit()}")
    for heading in ("", "n", "p50", "p95", "p99", "max", "unit"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    runs = [*measured["echoed"], measured["greeted"]]
    for each in (each for run in runs for each in run["figures"]):
        table.add_row(*Figure(each["name"], each["unit"], tuple(each["samples"])).row())
    console.print(table)
    costs = Table(title="Processor time per call, % of a core")
    for heading in ("calls", *PARTS, "together"):
        costs.add_column(heading, justify="right")
    for run in measured["echoed"]:
        shares = run["cpu_percent_of_a_core_per_call"]
        costs.add_row(
            str(run["calls"]),
            *(f"{shares[part]:.1f}" for part in PARTS),
            f"{sum(shares.values()):.1f}",
        )
    console.print(costs)


def main() -> int:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[1, 2, 4, 8], help="at once")
    parser.add_argument("--greeted", type=int, default=8, help="calls to the real agent")
    arguments = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder, console.status("Measuring …") as status:
        log = Path(folder) / "echo.log"

        async def measure() -> dict[str, Any]:
            runs = []
            for calls in arguments.calls:
                status.update(f"{calls} at once …")
                runs.append(await echoed(calls, log))
            status.update("Greetings …")
            return {"echoed": runs, "greeted": await greeted(arguments.greeted, log)}

        measured = asyncio.run(measure())
    path = keep("sip", measured)
    show(console, measured)
    console.print(f"Raw samples: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
