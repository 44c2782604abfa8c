"""A whole platform for tests: the fleet as `voicefleet up` runs it, with a receiver of results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    suppress,
)
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
from livekit import api as livekit_api

from tests.integration.livekit_server import find_binary
from tests.integration.room import alone
from voicefleet.caller_voice import speak
from voicefleet.fleet import Fleet, prepare
from voicefleet.receiver import Receiver, receiving
from voicefleet.runner import Runner
from voicefleet.settings import FleetSettings

ROOT = Path(__file__).parents[2]
LiveKitBehind = Callable[[Fleet], AbstractAsyncContextManager[str]]
"""Stands before a fleet's LiveKit server, and says at which address."""


@dataclass(slots=True)
class Platform:
    """A running fleet.

    Attributes:
        api: the sidecar's API, with the admin's key and the parts' secret.
        log: every line the parts printed.
    """

    fleet: Fleet
    api: httpx.AsyncClient
    webhook_url: str
    receiver: Receiver
    log: list[str]
    _runner: Runner
    _results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def stream_url(self, bot_id: str) -> str:
        return f"{self.fleet.bridge_url}/ws/{bot_id}"

    def bridge(self, path: str) -> str:
        return f"http://127.0.0.1:{self.fleet.bridge_port}{path}"

    def voice(self, text: str) -> bytes:
        """Return caller speech; made before a call, since making it holds up the phone's clock."""
        return speak(text, cache_path=ROOT / ".voicefleet" / "caller")

    async def save_bot(self, bot_id: str, config: dict[str, Any]) -> None:
        """Store a bot that takes calls from anybody and sends its results to the receiver."""
        body = {"webhook_url": self.webhook_url, "stream_anonymous": True, **config}
        answer = await self.api.put(f"/api/v1/bots/{bot_id}", json={**body, "bot_id": bot_id})
        assert answer.is_success, answer.text

    async def call(self, stream_id: str) -> dict[str, Any]:
        """Return the ledger's row of the call a dialler named."""
        answer = await self.api.get("/api/v1/calls", params={"limit": "200"})
        assert answer.is_success, answer.text
        return next(call for call in answer.json()["calls"] if call["stream_id"] == stream_id)

    async def result(self, stream_id: str, timeout_s: float = 20.0) -> dict[str, Any]:
        """Wait for the result of the call a dialler named, as delivered and signed."""
        return await self.result_of((await self.call(stream_id))["session_id"], timeout_s)

    async def result_of(self, session_id: str, timeout_s: float = 20.0) -> dict[str, Any]:
        """Wait for a call's result."""
        async with asyncio.timeout(timeout_s):
            while session_id not in self._results:
                # One reads at a time: two who wait for different calls may get each other's.
                async with self._reading:
                    if session_id not in self._results:
                        result = await self.receiver.result()
                        self._results.setdefault(result["session_id"], []).append(result)
        return self._results[session_id][-1]

    async def recording(self, path: str) -> httpx.Response:
        """Wait until a recording has arrived, and return the answer that holds it."""
        async with asyncio.timeout(30):
            while not (answer := await self.api.get(path)).is_success:
                assert answer.status_code == 404, answer.text
                await asyncio.sleep(0.1)
        return answer

    async def rooms(self) -> list[str]:
        """Return the rooms there are at the LiveKit server."""
        return await rooms_of(self.fleet)

    async def start_again(self, name: str) -> None:
        """Start a part that has died, and wait until it is ready."""
        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as http:
            part = self.fleet.parts(http)[name]
            await self._runner.start(part)

    def processes(self, module: str) -> list[psutil.Process]:
        """Return the running `python -m module` of this fleet and everything below it."""
        for child in psutil.Process().children(recursive=True):
            if child.cmdline()[-2:] == ["-m", module]:
                return [child, *child.children(recursive=True)]
        return []

    def job_of(self, call_id: str) -> psutil.Process:
        """Return the process that serves a call: the one that holds its recording open."""
        processes = self.processes("agent")
        job = holder_of(call_id, processes)
        assert job is not None, f"none of {processes} holds the recording of {call_id}"
        return job


async def rooms_of(fleet: Fleet) -> list[str]:
    """Return the rooms there are at a fleet's LiveKit server."""
    environ = fleet.environ
    async with livekit_api.LiveKitAPI(
        fleet.livekit_url, environ["LIVEKIT_API_KEY"], environ["LIVEKIT_API_SECRET"]
    ) as livekit:
        listed = await livekit.room.list_rooms(livekit_api.ListRoomsRequest())
    return [room.name for room in listed.rooms]


def holder_of(call_id: str, processes: Iterable[psutil.Process]) -> psutil.Process | None:
    """Return which process holds a call's recording open, and so serves it; None if none does."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if any(call_id in file.path for file in process.open_files()):
                return process
    return None


@asynccontextmanager
async def running_platform(
    folder: Path,
    *,
    sip: bool = False,
    livekit: LiveKitBehind | None = None,
    browsers: LiveKitBehind | None = None,
    agent: str = "agent",
    **settings: str,
) -> AsyncIterator[Platform]:
    """Run a fleet in `folder` on free ports, with `settings` as its environment.

    Args:
        folder: where it keeps everything.
        sip: whether it has a SIP bridge.
        livekit: what stands before its LiveKit server, if something does.
        browsers: the same, for those who join from a browser alone.
        agent: the module that runs as its agent worker.
        settings: what is not as it is by default.
    """
    lines: list[str] = []
    fleet = prepare(
        FleetSettings(
            voicefleet_home=folder,
            livekit_server=find_binary(),
            livekit_config=ROOT / "livekit.yaml",
            livekit_port=0,
            livekit_udp_port=0,
            sidecar_port=0,
            bridge_port=0,
            sip_port=0,
            sip_health_port=0,
            fleet_sip=sip,
        ),
        {
            "MAX_CONCURRENT_CALLS": "4",
            "AGENT_MAX_CALLS": "4",
            "AGENT_IDLE_PROCESSES": "3",
            # Few fleets of the tests have a bot that needs one.
            "AGENT_PRELOAD_VENDORS": "false",
            "AGENT_DRAIN_S": "2",
            "BRIDGE_DRAIN_S": "2",
            "STANDBY_AGENTS": "0",
            **settings,
        },
    )
    runner = Runner(lambda part, line: lines.append(f"{part} {line}"), restart=False)
    headers = {
        "X-API-Key": fleet.environ["ADMIN_API_KEY"],
        "X-VoxCore-Secret": fleet.environ["VOXCORE_SECRET"],
    }
    async with (
        receiving(fleet.environ["RESULT_SIGNING_SECRET"]) as (receiver, webhook_url),
        httpx.AsyncClient(base_url=fleet.sidecar_url, headers=headers, trust_env=False) as api,
        AsyncExitStack() as stack,
    ):
        for name, before in (("LIVEKIT_URL", livekit), ("LIVEKIT_PUBLIC_URL", browsers)):
            if before is not None:
                url = await stack.enter_async_context(before(fleet))
                fleet = replace(fleet, environ={**fleet.environ, name: url})
        try:
            async with httpx.AsyncClient(timeout=2.0, trust_env=False) as http:
                worker = fleet.parts(http)["agent"]
                worker = replace(worker, command=[*worker.command[:-1], agent])
                # One alone takes all that a small machine has.
                with ExitStack() as lock:
                    await asyncio.to_thread(lock.enter_context, alone("fleet"))
                    await fleet.start(runner, {"agent": worker})
            yield Platform(fleet, api, webhook_url, receiver, lines, runner)
        finally:
            await runner.stop()
