"""The two products under measurement, each started anew for every run."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import httpx
import psutil

from bench.fleet import new_fleet, save_bot
from bench.machine import OUT, ROOT
from bench.peer.line import DiallerLine, ExotelLine, Line
from bench.peer.vendors import Vendors
from bench.usage import roles
from voicefleet.runner import Runner

BOT = "peer"
GREETING = "Hello, this is the information line. How can I help you?"
PROMPT = "You are a helpful assistant on the telephone. Answer briefly."
START_TIMEOUT_S = 60.0
ROOM_FOR_CALLS = 24
"""Above what any run asks for: measured is what calls cost, not where a limit refuses them."""

Processes = Callable[[], dict[str, list[psutil.Process]]]


@dataclass(frozen=True, slots=True)
class Product:
    """A product that is up.

    Attributes:
        line: makes the carrier's end of the protocol it speaks.
        rings: whether its protocol knows a ringing phone.
        processes: its own processes by what they do, and no others.
    """

    url: str
    line: Callable[[], Line]
    rings: bool
    processes: Processes


@dataclass(frozen=True, slots=True)
class Setup:
    """What a run asks of a product.

    Attributes:
        message_ms: how much bot audio goes into a message.
        config: more of our bot's configuration.
    """

    vendors: Vendors
    message_ms: int
    config: Mapping[str, Any]


Start = Callable[[Setup], AbstractAsyncContextManager[Product]]


@asynccontextmanager
async def our_fleet(setup: Setup) -> AsyncIterator[Product]:
    """The whole platform: LiveKit server, sidecar, bridge, agent worker."""
    with tempfile.TemporaryDirectory(prefix="voicefleet-peer-") as folder:
        room = str(ROOM_FOR_CALLS)
        limits = ("AGENT_MAX_CALLS", "BRIDGE_MAX_CALLS", "MAX_CONCURRENT_CALLS")
        fleet = new_fleet(Path(folder), {**dict.fromkeys(limits, room), **os.environ})
        log = product_log("ours")
        runner = Runner(lambda part, line: log.write(f"{part}: {line}\n"), restart=False)
        try:
            await fleet.start(runner)
            await save_bot(fleet, our_bot(setup))
            root = psutil.Process()
            yield Product(f"{fleet.bridge_url}/ws/{BOT}", DiallerLine, True, lambda: roles(root))
        finally:
            await runner.stop()
            log.close()


def our_bot(setup: Setup) -> dict[str, Any]:
    """Return the bot's configuration: defaults, but for vendors, texts and message size."""
    vendors = setup.vendors
    return {
        "bot_id": BOT,
        "stream_anonymous": True,
        "webhook_url": "",
        "opening_message": GREETING,
        "system_prompt": PROMPT,
        "stt": {"provider": "deepgram", "api_key": "bench", "base_url": vendors.deepgram},
        "llm": {
            "provider": "openai",
            "api_key": "bench",
            "model": "gpt-4.1",
            "base_url": vendors.openai,
        },
        "tts": {
            "provider": "elevenlabs",
            "api_key": "bench",
            "voice": "bench",
            "base_url": vendors.elevenlabs,
        },
        # The stand-ins tell turns apart by references such as "R1 T2".
        "pronunciation": {"numbers": False},
        "stream_message_ms": setup.message_ms,
        # Callers who are through wait for the others, longer than a bot would hold the line.
        "no_response_seconds": 300,
        "dead_air_seconds": 300,
        **setup.config,
    }


def pipecat(python: Path, workers: int) -> Start:
    """Return what starts the peer in its own environment, in one process or several."""

    @asynccontextmanager
    async def start(setup: Setup) -> AsyncIterator[Product]:
        port = _free_port()
        environ = {
            **os.environ,
            "PEER_VENDORS": f"127.0.0.1:{setup.vendors.port}",
            "PEER_MESSAGE_MS": str(setup.message_ms),
            "PEER_GREETING": GREETING,
            "PEER_PROMPT": PROMPT,
            # As our own parts run: its inference library's reports are no part of a comparison.
            "ORT_DISABLE_TELEMETRY": "1",
        }
        log = product_log("pipecat")
        process = await asyncio.create_subprocess_exec(
            python, "-m", "uvicorn", "--app-dir", ROOT, "--host", "127.0.0.1", "--port", str(port),
            "--workers", str(workers), "--log-level", "warning", "bench.peer.pipecat_bot:app",
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )  # fmt: skip
        try:
            await _until_answering(f"http://127.0.0.1:{port}/health")
            root = psutil.Process(process.pid)

            def processes() -> dict[str, list[psutil.Process]]:
                return {"pipecat": [root, *root.children(recursive=True)]}

            yield Product(f"ws://127.0.0.1:{port}/exotel", ExotelLine, False, processes)
        finally:
            process.terminate()
            await process.wait()
            log.close()

    return start


def product_log(name: str) -> TextIO:
    """Open what a product's last run is to print to."""
    OUT.mkdir(exist_ok=True)
    return (OUT / f"peer-{name}.log").open("w")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _until_answering(url: str) -> None:
    async with asyncio.timeout(START_TIMEOUT_S), httpx.AsyncClient(trust_env=False) as http:
        while True:
            try:
                (await http.get(url)).raise_for_status()
                return
            except httpx.HTTPError:
                await asyncio.sleep(0.1)
