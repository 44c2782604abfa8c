"""A fleet that starts what dies again, and callers who keep calling it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
from websockets.exceptions import InvalidHandshake, WebSocketException

from bridges.phone import Phone
from sidecar.store.database import Database
from tests.faults.disk import Disk, small_disk
from tests.faults.receiver import Receiver, receiving
from tests.integration.livekit_server import find_binary
from tests.integration.platform import holder_of, rooms_of
from voicefleet.fleet import Fleet, prepare
from voicefleet.runner import Runner
from voicefleet.settings import FleetSettings

ROOT = Path(__file__).parents[2]
BOT = "clerk"
CONFIG: dict[str, Any] = {
    "opening_message": "Hello, this is the clerk. Please tell me when you are ready to go on.",
    "no_response_seconds": 300,
    "dead_air_seconds": 300,
    "stream_anonymous": True,
}
SETTINGS = {
    "AGENT_DRAIN_S": "5",
    "BRIDGE_DRAIN_S": "5",
    "LOG_LEVEL": "INFO",
    "RECOVERY_GRACE_S": "15",
    "STANDBY_AGENTS": "1",
    # The order of the real schedule, in seconds: nobody waits three days for a test.
    "WEBHOOK_DELAYS_S": ",".join(["0", "1", "1", "2", "2", *["3"] * 20]),
    "WEBHOOK_TIMEOUT_S": "4",
}
PATIENCE = 10_000
"""Deaths of one part after which it is not started again: here they are the point."""
PAUSE_S = 0.5
QUIET_TIMEOUT_S = 90.0
POLL_S = 0.2
TALK_S = (4.0, 14.0)
REFUSALS = (ConnectionError, InvalidHandshake, WebSocketException, OSError, TimeoutError)


@dataclass(slots=True)
class World:
    """Everything under test, and what is known of it from outside.

    Attributes:
        log: every line the parts printed.
        phones: the calls that are up, as the callers see them.
        answered: the calls in which a bot was heard, by the dialler's name for them.
        refused: attempts that came to nothing.
    """

    fleet: Fleet
    receiver: Receiver
    database: Database
    random: random.Random
    disk: Disk
    log: list[str] = field(default_factory=list)
    phones: dict[str, Phone] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    refused: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def processes(self, part: str) -> list[psutil.Process]:
        """Return the main processes of a part that run now."""
        return [child for child in psutil.Process().children() if self._is(part, _words(child))]

    def process(self, part: str) -> psutil.Process | None:
        """Return one of a part's main processes, if any runs now."""
        found = self.processes(part)
        return self.random.choice(found) if found else None

    def jobs(self) -> list[psutil.Process]:
        """Return the agent processes below the workers, idle ones included."""
        below: list[psutil.Process] = []
        for worker in self.processes("agent"):
            with contextlib.suppress(psutil.NoSuchProcess):
                below += worker.children(recursive=True)
        return [each for each in below if "multiprocessing.forkserver" in " ".join(_words(each))]

    def job_of(self, call_id: str) -> psutil.Process | None:
        """Return the process that serves a call, if it is there."""
        return holder_of(call_id, self.jobs())

    async def live_calls(self) -> list[dict[str, Any]]:
        """Return the calls that talk; [] where the sidecar does not answer."""
        try:
            answer = await self._get("/api/v1/calls?state=talking&limit=100")
        except httpx.HTTPError:
            return []
        return list(answer.json()["calls"]) if answer.is_success else []

    async def rooms(self) -> list[str]:
        """Return the rooms there are."""
        return await rooms_of(self.fleet)

    async def call_on(self, name: str) -> None:
        """Keep calling, one call after the other, until told to stop."""
        number = 0
        while not self.stopping.is_set():
            number += 1
            stream_id = f"{name}-{number}"
            try:
                await self._call(stream_id)
            except REFUSALS:
                self.refused += 1
                await asyncio.sleep(PAUSE_S)
            finally:
                self.phones.pop(stream_id, None)

    def stop_calling(self) -> None:
        """Place no more calls; those that are up go on to their end."""
        self.stopping.set()

    async def quiet(self) -> None:
        """Wait until no call is up and every result has been delivered."""
        async with asyncio.timeout(QUIET_TIMEOUT_S):
            while not await self._is_quiet():  # noqa: ASYNC110 - other processes' news
                await asyncio.sleep(POLL_S)

    async def _call(self, stream_id: str) -> None:
        url = f"{self.fleet.bridge_url}/ws/{BOT}"
        ring_s = self.random.choice((0.0, 1.0))
        async with Phone.call(url, stream_id=stream_id, ring_s=ring_s) as phone:
            self.phones[stream_id] = phone
            await phone.wait_for_audio()
            self.answered.add(stream_id)
            talk_s = self.random.uniform(*TALK_S)
            with contextlib.suppress(TimeoutError):
                await phone.wait_closed(talk_s)

    def _is(self, part: str, words: list[str]) -> bool:
        if part == "livekit":
            return words[:1] == [str(self.fleet.server)]
        module = {"bridge": "bridges"}.get(part, part)
        return words[-2:-1] == ["-m"] and words[-1] in {module, f"tests.faults.echo_{module}"}

    async def _is_quiet(self) -> bool:
        try:
            fleet = (await self._get("/health/fleet")).json()
            pending = (await self._get("/api/v1/deliveries?state=pending&limit=1")).json()
        except (httpx.HTTPError, ValueError):
            return False
        return not fleet["fleet_calls"] and not pending["deliveries"]

    async def _get(self, path: str) -> httpx.Response:
        headers = {"X-API-Key": self.fleet.environ["ADMIN_API_KEY"]}
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
            return await http.get(self.fleet.sidecar_url + path, headers=headers)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@asynccontextmanager
async def running_world(
    folder: Path, seed: int, *, calls: int, echo: bool = False, workers: int = 1, **settings: str
) -> AsyncIterator[World]:
    """Run a fleet that carries `calls` calls; its parts are started again when they die.

    Args:
        folder: where it keeps everything.
        seed: of all that is random.
        calls: how many it takes at once.
        echo: whether its agents only pretend to hold conversations.
        workers: how many agent workers there are.
        settings: more of its environment.
    """
    room = str(calls + 2)
    limits = ("MAX_CONCURRENT_CALLS", "AGENT_MAX_CALLS", "BRIDGE_MAX_CALLS")
    own = FleetSettings(
        voicefleet_home=folder,
        livekit_server=find_binary(),
        livekit_config=ROOT / "livekit.yaml",
        livekit_port=0,
        livekit_udp_port=0,
        sidecar_port=0,
        bridge_port=0,
        fleet_sip=False,
    )
    environ = {"AGENT_IDLE_PROCESSES": "2", **SETTINGS, **dict.fromkeys(limits, room), **settings}
    fleet = prepare(own, environ)
    log: list[str] = []
    runner = Runner(
        lambda part, line: log.append(f"{part} {line}"), restart=True, patience=PATIENCE
    )
    data = Path(fleet.environ["DATA_DIR"])
    database = Database(
        fleet.environ.get("DATABASE_URL") or f"sqlite:///{folder}/data/voicefleet.db"
    )
    with small_disk(data) as disk:
        async with receiving(fleet.environ["RESULT_SIGNING_SECRET"]) as receiver:
            try:
                await _start(fleet, runner, echo=echo, workers=workers)
                world = World(fleet, receiver, database, random.Random(seed), disk, log)
                await _save_bot(fleet, {**CONFIG, "webhook_url": receiver.url, "bot_id": BOT})
                yield world
            finally:
                await runner.stop()
                await database.aclose()


async def _start(fleet: Fleet, runner: Runner, *, echo: bool, workers: int) -> None:
    async with httpx.AsyncClient(timeout=2.0, trust_env=False) as http:
        livekit, sidecar, agent, bridge = fleet.parts(http).values()
        if echo:
            agent = replace(agent, command=[sys.executable, "-m", "tests.faults.echo_agent"])
        agents = [replace(agent, name=f"agent-{n}") for n in range(1, workers + 1)]
        await runner.start(livekit)
        await runner.start(sidecar, *agents, bridge)


async def _save_bot(fleet: Fleet, config: dict[str, Any]) -> None:
    headers = {"X-API-Key": fleet.environ["ADMIN_API_KEY"]}
    async with httpx.AsyncClient(base_url=fleet.sidecar_url, trust_env=False) as http:
        answer = await http.put(f"/api/v1/bots/{BOT}", json=config, headers=headers)
        answer.raise_for_status()
