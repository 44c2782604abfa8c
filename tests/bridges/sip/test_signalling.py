"""The signalling process as a process: killed, replaced, drained."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.bridges.sip.exchange import eventually
from tests.fakes import sipp
from tests.fakes.ports import free_port
from tests.fakes.sipp_script import (
    answered,
    hung_up_by_caller,
    hung_up_by_us,
    pause,
    refused,
    scenario,
)


@dataclass(slots=True)
class Running:
    """One signalling process."""

    port: int
    health_port: int
    state: Path
    process: asyncio.subprocess.Process

    async def health(self) -> dict[str, Any]:
        """Return `/health`, `{}` while nobody answers."""
        async with httpx.AsyncClient(trust_env=False) as http:
            try:
                response = await http.get(f"http://127.0.0.1:{self.health_port}/health")
            except httpx.TransportError:
                return {}
            return dict(response.json())

    async def is_ready(self) -> None:
        """Wait until the media process takes calls."""
        await self.says("media_processes", 1)

    async def says(self, key: str, value: object) -> None:
        """Wait until `/health` says so."""
        async with asyncio.timeout(20):
            while (await self.health()).get(key) != value:
                assert self.process.returncode is None
                await asyncio.sleep(0.02)

    @property
    def dialogs(self) -> list[Path]:
        """What is stored of answered calls."""
        return list((self.state / "dialogs").glob("*.json"))

    async def kill(self) -> None:
        """Strike it dead."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def signalling(folder: Path, port: int) -> AsyncIterator[Running]:
    """Run a process with one media process."""
    health_port = free_port()
    state = folder / "state"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fakes.sip_signalling"),
        env={
            **os.environ,
            "SIP_PORT": str(port),
            "SIP_HEALTH_PORT": str(health_port),
            "SIP_STATE_DIR": str(state),
            "SIDECAR_URL": "http://127.0.0.1:9",
        },
    )
    try:
        yield Running(port, health_port, state, process)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()


async def test_calls_of_a_process_that_was_killed_are_hung_up_by_the_next(tmp_path: Path) -> None:
    port = free_port()
    script = scenario(answered(), hung_up_by_us())
    async with signalling(tmp_path, port) as first:
        await first.is_ready()
        media = psutil.Process(first.process.pid).children()
        async with sipp.running(script, tmp_path, to=port) as phone:
            await eventually(lambda: "\nACK " in phone.trace())
            assert len(first.dialogs) == 1
            await first.kill()
            async with signalling(tmp_path, port) as second:
                await phone.succeeds()
                await eventually(lambda: second.dialogs == [])
        # Its media processes have seen the end of their line.
        _, alive = psutil.wait_procs(media, timeout=5)
        assert alive == []


async def test_second_process_on_the_same_state_is_refused(tmp_path: Path) -> None:
    async with signalling(tmp_path, free_port()) as first:
        await first.is_ready()
        async with signalling(tmp_path, free_port()) as second:
            assert await asyncio.wait_for(second.process.wait(), 20) == os.EX_TEMPFAIL


async def test_media_process_that_is_killed_is_replaced_and_its_call_hung_up(
    tmp_path: Path,
) -> None:
    async with signalling(tmp_path, free_port()) as running:
        await running.is_ready()
        (media,) = psutil.Process(running.process.pid).children()
        async with sipp.running(
            scenario(answered(), hung_up_by_us()), tmp_path, to=running.port
        ) as phone:
            await eventually(lambda: len(running.dialogs) == 1)
            media.kill()
            await phone.succeeds(timeout_s=2)
        await running.is_ready()
        (other,) = psutil.Process(running.process.pid).children()
        assert other.pid != media.pid


async def test_process_that_is_told_to_stop_lets_calls_end(tmp_path: Path) -> None:
    script = scenario(answered(), pause(600), hung_up_by_caller())
    async with signalling(tmp_path, free_port()) as running:
        await running.is_ready()
        async with sipp.running(script, tmp_path, to=running.port) as phone:
            await eventually(lambda: len(running.dialogs) == 1)
            running.process.terminate()
            async with sipp.running(scenario(refused(503)), tmp_path, to=running.port) as late:
                await late.succeeds()
            await running.says("status", "draining")
            await phone.succeeds()
        assert await asyncio.wait_for(running.process.wait(), 10) == 0


async def test_second_signal_hangs_up_at_once(tmp_path: Path) -> None:
    async with signalling(tmp_path, free_port()) as running:
        await running.is_ready()
        async with sipp.running(
            scenario(answered(), hung_up_by_us()), tmp_path, to=running.port
        ) as phone:
            await eventually(lambda: len(running.dialogs) == 1)
            running.process.terminate()
            await running.says("status", "draining")
            running.process.send_signal(signal.SIGTERM)
            await phone.succeeds()
        assert await asyncio.wait_for(running.process.wait(), 10) == 0
        assert running.dialogs == []


async def test_figures_are_served(tmp_path: Path) -> None:
    async with signalling(tmp_path, free_port()) as running:
        await running.is_ready()
        async with httpx.AsyncClient(trust_env=False) as http:
            response = await http.get(f"http://127.0.0.1:{running.health_port}/metrics")
        assert "sip_media_processes 1.0" in response.text
        assert 'sip_faults_total{kind="malformed"} 0.0' in response.text
        assert (await running.health())["available"] == 8
