"""`python -m bridges` as an operator runs it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PANICKING = """
import asyncio, ctypes
from bridges import __main__
from bridges.app import Bridge
from livekit.rtc._ffi_client import ffi_event_callback
from livekit.rtc._proto.ffi_pb2 import FfiEvent

event = FfiEvent()
event.panic.message = "no reactor running"
data = event.SerializeToString()
buffer = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
enter = Bridge.__aenter__

async def entered(bridge):
    asyncio.get_running_loop().call_later(0.1, ffi_event_callback, buffer, len(data))
    return await enter(bridge)

Bridge.__aenter__ = entered
__main__.main()
"""
"""A bridge whose SDK is told of a panic by its native side."""


def environ(folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "BRIDGE_PORT": "0",
        "BRIDGE_SPOOL_DIR": str(folder),
        "SIDECAR_URL": "http://127.0.0.1:9",
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_process_starts_without_a_sidecar_and_drains_on_a_signal(
    number: int, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridges"),
        env=environ(tmp_path),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            events = []
            async for line in process.stderr:
                events.append(json.loads(line)["event"])
                if events == ["bridge_started"]:
                    process.send_signal(number)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert events[0] == "bridge_started"
    assert events[-1] == "bridge_stopped"


async def test_panic_of_the_sdk_ends_it_with_care_and_a_code_that_says_so(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PANICKING),
        env=environ(tmp_path),
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, printed = await process.communicate()
    lines = [line for line in printed.splitlines() if not line.startswith(b"FFI Panic")]
    events = [json.loads(line)["event"] for line in lines]
    assert process.returncode == os.EX_SOFTWARE
    assert events[:3] == ["bridge_started", "sdk_panicked", "bridge_draining"]
    assert events[-1] == "bridge_stopped"
