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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_process_starts_without_a_sidecar_and_drains_on_a_signal(number: int) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "BRIDGE_PORT": "0",
        "SIDECAR_URL": "http://127.0.0.1:9",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridges", env=environ, stderr=asyncio.subprocess.PIPE
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
