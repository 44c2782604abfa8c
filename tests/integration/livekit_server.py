"""A real LiveKit server on free ports of this machine, for as long as it is needed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.fakes.ports import free_port

ROOT = Path(__file__).parents[2]
KEY = "devkey"
SECRET = "integration-secret-of-32-characters"
READY_TIMEOUT_S = 20.0


class ServerMissing(Exception):
    """There is no LiveKit server to run: `make setup` builds one."""


@dataclass(frozen=True, slots=True)
class LiveKitServer:
    """Where a running server is, and what signs its tokens."""

    url: str
    udp_port: int
    key: str
    secret: str
    process: subprocess.Popen[bytes]


def find_binary() -> Path:
    """Return the server: what `LIVEKIT_SERVER` names, what set-up built, or what PATH has.

    Raises:
        ServerMissing: none of them.
    """
    built = ROOT / ".voicefleet" / "bin" / "livekit-server"
    candidates = [os.environ.get("LIVEKIT_SERVER"), built, shutil.which("livekit-server")]
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    raise ServerMissing("run `make setup`, or set LIVEKIT_SERVER to a livekit-server binary")


@contextmanager
def running_livekit(folder: Path, **config: object) -> Iterator[LiveKitServer]:
    """Run a server, wait until it answers, and stop it afterwards; `config` is added to its own."""
    port, udp_port = free_port(), free_port()
    config_path = folder / "livekit.yaml"
    config_path.write_text(yaml.safe_dump({**_config(port, udp_port), **config}))
    binary = find_binary()
    with (folder / "livekit.log").open("wb") as log:
        process = subprocess.Popen(
            [str(binary), "--config", str(config_path)], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait_until_ready(port, process, folder / "livekit.log")
            yield LiveKitServer(f"ws://127.0.0.1:{port}", udp_port, KEY, SECRET, process)
        finally:
            _stop(process)


def _config(port: int, udp_port: int) -> dict[str, object]:
    return {
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "keys": {KEY: SECRET},
        "rtc": {
            "tcp_port": 0,
            "udp_port": udp_port,
            "node_ip": "127.0.0.1",
            "use_external_ip": False,
            "enable_loopback_candidate": True,
            "interfaces": {"includes": ["lo"]},
            "ips": {"includes": ["127.0.0.0/8"]},
        },
        "room": {"empty_timeout": 20, "departure_timeout": 3},
        "logging": {"level": "warn"},
    }


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"livekit-server ended with {process.returncode}: {log.read_text()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise RuntimeError(f"livekit-server was not ready in {READY_TIMEOUT_S:g} s: {log.read_text()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
