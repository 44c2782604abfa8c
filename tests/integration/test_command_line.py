"""The command line as a person uses it: real processes, one real call."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from tests.integration.livekit_server import find_binary

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def voicefleet(
    home: Path, *arguments: str, **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the command; whatever happens, nothing of it is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voicefleet",
        *arguments,
        cwd=ROOT,
        env={
            **os.environ,
            **settings,
            "VOICEFLEET_HOME": str(home),
            "LIVEKIT_SERVER": str(find_binary()),
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def free_ports() -> dict[str, str]:
    return dict.fromkeys(("LIVEKIT_PORT", "LIVEKIT_UDP_PORT", "SIDECAR_PORT", "BRIDGE_PORT"), "0")


async def test_demo_shows_a_call_and_delivers_its_result(tmp_path: Path) -> None:
    async with voicefleet(tmp_path, "demo") as process:
        output, _ = await asyncio.wait_for(process.communicate(), 100)
    text = output.decode()
    assert process.returncode == 0, text
    assert "answered in" in text
    result = json.loads(text[text.index("\n{\n") : text.index("\n}\n") + 3])
    spoken = {line["speaker"] for line in result["transcript"]}
    assert spoken == {"bot", "customer"}
    assert "book_appointment" in {intent["name"] for intent in result["intents"]}
    recording = Path(text.split("Recording: ")[1].splitlines()[0])
    with wave.open(str(recording)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        assert file.getnframes() / file.getframerate() > 5


async def test_up_ends_every_process_when_told_to(tmp_path: Path) -> None:
    async with voicefleet(tmp_path, "up", **free_ports()) as process:
        assert process.stdout is not None
        lines: list[str] = []
        async with asyncio.timeout(90):
            while not any("Ctrl-C ends everything" in line for line in lines):
                line = await process.stdout.readline()
                assert line, "".join(lines)
                lines.append(line.decode())
        parts = psutil.Process(process.pid).children(recursive=True)
        assert len(parts) >= 4
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 0
    alive = [part for part in parts if part.is_running()]
    assert all(part.status() == psutil.STATUS_ZOMBIE for part in alive)


async def test_command_without_a_platform_says_what_to_do(tmp_path: Path) -> None:
    # Port 9 is nobody's.
    async with voicefleet(tmp_path, "calls", "list", SIDECAR_URL="http://127.0.0.1:9") as process:
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"no sidecar answers at http://127.0.0.1:9. Start the platform with `make run`" in output
