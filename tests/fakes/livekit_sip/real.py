"""The real `livekit-sip`, where a binary is named: configured, started, watched, stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import yaml

from tests.fakes.livekit_sip_choice import NotStarted
from tests.fakes.ports import free_port

RTP_PORTS = (31_000, 31_999)
READY_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
_LOOK_S = 0.05
_LAST_LINES = 30


def configuration(
    livekit: tuple[str, str, str], redis: str, *, sip_port: int, health_port: int
) -> dict[str, object]:
    """Return the service's configuration, all of it on loopback.

    Args:
        livekit: the server's WebSocket address, key and secret.
        redis: the `host:port` that the server has, too.
        sip_port: where phones and carriers reach it.
        health_port: where it says that it is ready.
    """
    url, key, secret = livekit
    first, last = RTP_PORTS
    return {
        "ws_url": url,
        "api_key": key,
        "api_secret": secret,
        "redis": {"address": redis},
        "sip_port": sip_port,
        "health_port": health_port,
        "rtp_port": f"{first}-{last}",
        "use_external_ip": False,
        "listen_ip": "127.0.0.1",
        # Without it the descriptions have an address of another interface.
        "nat_1_to_1_ip": "127.0.0.1",
        # Else each call keeps its ports for half a minute after its end.
        "rtp_draining_idle_timeout": "-1ns",
        "rtp_draining_duration": "-1ns",
        # A busy machine is no reason to turn calls away.
        "max_cpu_utilization": 1.0,
        "logging": {"level": "info"},
    }


@asynccontextmanager
async def running_service(
    binary: Path,
    folder: Path,
    livekit: tuple[str, str, str],
    redis: str,
    *,
    ready_timeout_s: float = READY_TIMEOUT_S,
) -> AsyncIterator[int]:
    """Run the service until the block ends; yield its SIP port.

    Raises:
        NotStarted: it ended, or has not answered in time.
    """
    sip_port, health_port = free_port(), free_port()
    config = configuration(livekit, redis, sip_port=sip_port, health_port=health_port)
    path, log_path = folder / "livekit-sip.yaml", folder / "livekit-sip.log"
    path.write_text(yaml.safe_dump(config))
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(str(binary), "--config", str(path)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
        )
    try:
        await _ready(process, health_port, log_path, ready_timeout_s)
        yield sip_port
    finally:
        await _stop(process)


async def _ready(
    process: asyncio.subprocess.Process, health_port: int, log_path: Path, timeout_s: float
) -> None:
    url = f"http://127.0.0.1:{health_port}/"
    try:
        async with asyncio.timeout(timeout_s), httpx.AsyncClient(trust_env=False) as http:
            while not await _is_ready(http, url):
                if process.returncode is not None:
                    raise NotStarted(f"it ended with {process.returncode}: {_last(log_path)}")
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        raise NotStarted(f"it was not ready in {timeout_s:g} s: {_last(log_path)}") from None


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).is_success
    except httpx.TransportError:
        return False


def _last(log_path: Path) -> str:
    return "\n".join(log_path.read_text(errors="replace").splitlines()[-_LAST_LINES:])


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()
