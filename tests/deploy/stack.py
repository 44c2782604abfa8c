"""`compose.yaml` without an engine: each service's own command in its own environment, natively.

Only where things are is changed: host names and ports (all on 127.0.0.1), folders, and the name of
the interpreter. What an image's entry point would do before the command, as making a database, is
done here in its place.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import yaml

from scripts.server import S3
from tests.deploy.composition import ROOT, load
from tests.fakes.missing import Required, missing
from tests.fakes.ports import free_port
from tests.integration.livekit_server import find_binary

PORTS = {
    "nginx": (8080, 8081),
    "sidecar-1": (8000,),
    "sidecar-2": (8000,),
    "bridge-1": (8010,),
    "bridge-2": (8010,),
    "livekit": (7880,),
    "redis": (6379,),
    "postgres": (5432,),
    "s3": (7070,),
}
ORDER = (
    ("postgres", "redis", "s3"),
    ("livekit", "sidecar-1", "sidecar-2"),
    ("nginx", "bridge-1", "bridge-2", "agent"),
)
UNPRIVILEGED = ("nginx", "postgres")
"""They refuse to run as root, or give it up half-way."""
READY_TIMEOUT_S = 60.0
_FIXED_ADDRESS = re.compile(r"172\.30\.8\.\d+")


@dataclass(slots=True)
class Stack:
    """The running services.

    Attributes:
        environ: what `.env` holds.
        services: `compose.yaml`'s, variables put in.
        ports: by service and the port it has there.
    """

    folder: Path
    environ: Mapping[str, str]
    services: dict[str, dict[str, Any]]
    ports: dict[tuple[str, int], int]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def address(self, service: str, port: int) -> str:
        return f"127.0.0.1:{self.ports[service, port]}"

    def log(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text(errors="replace")

    def rewritten(self, service: str, text: str) -> str:
        """Return a text of a service with the places in it as they are on this machine."""
        for (name, port), own in self.ports.items():
            text = re.sub(rf"\b{name}:{port}\b", f"127.0.0.1:{own}", text)
            if name == service:
                text = re.sub(rf"\b(127\.0\.0\.1|0\.0\.0\.0):{port}\b", f"127.0.0.1:{own}", text)
                text = str(own) if text == str(port) else text
        text = _FIXED_ADDRESS.sub("127.0.0.1", text).replace("0.0.0.0", "127.0.0.1")
        for volume in self.services[service].get("volumes", []):
            source, target, *_ = volume.split(":")
            text = text.replace(target, str(self._mounted(service, source)))
        text = re.sub(r"(?<!\w)/tmp/", f"{self.folder / service}/", text)
        return text.replace("/dev/stdout", str(self.folder / service / "access.log"))

    def _mounted(self, service: str, source: str) -> Path:
        """Return where a volume is; of a file, a copy with the places in it rewritten."""
        if not source.startswith("."):
            return self.folder / "volumes" / source
        own = self.folder / service / Path(source).name
        if not own.exists():
            own.write_text("")
            text = self.rewritten(service, (ROOT / source).read_text())
            own.write_text(_livekit(text, self) if service == "livekit" else text)
        return own

    def start(self, service: str) -> None:
        """Start a service's command in its environment."""
        (self.folder / service).mkdir(exist_ok=True)
        given = self.services[service]
        command = [*given.get("entrypoint", []), *given.get("command", [])]
        command = [self.rewritten(service, word) for word in command]
        wanted = {k: self.rewritten(service, v) for k, v in given.get("environment", {}).items()}
        if service == "livekit":
            command = [str(find_binary()), *command]
        if service == "postgres":
            command = _initialised(self, command, wanted)
        if command[0] == "python":
            command[0] = sys.executable
        if service in UNPRIVILEGED and os.geteuid() == 0:
            shutil.chown(self.folder / service, "nobody", "nogroup")
            command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
        programs = f"{S3.path(ROOT).parent}:/usr/sbin:{os.environ['PATH']}"
        with (self.folder / f"{service}.log").open("ab") as log:
            self.processes[service] = subprocess.Popen(
                command,
                cwd="/" if service in UNPRIVILEGED else ROOT,
                env={"PATH": programs, "HOME": os.environ["HOME"], **wanted},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ready(self, *services: str) -> None:
        """Wait until services are well."""
        async with asyncio.timeout(READY_TIMEOUT_S):
            for service in services:
                while not await self.is_well(service):
                    process = self.processes[service]
                    assert process.poll() is None, f"{service}: {self.log(service)}"
                    await asyncio.sleep(0.1)

    async def is_well(self, service: str) -> bool:
        """Return what a service's health check says; of one without, whether it is there."""
        check = self.services[service].get("healthcheck", {}).get("test", [])[1:]
        if check[:1] != ["python"]:
            return await _listens(self.ports[service, PORTS[service][0]])
        words = [self.rewritten(service, word) for word in check[1:]]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL
        )
        return await process.wait() == 0

    async def stop(self, service: str, timeout_s: float = 20.0) -> int:
        """Wait for the end of a service that was told to end; return its exit code."""
        process = self.processes[service]
        return await asyncio.to_thread(process.wait, timeout_s)

    def end(self) -> None:
        """End everything."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for service, process in reversed(self.processes.items()):
            try:
                process.wait(1 if service == "livekit" else 8)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _livekit(text: str, stack: Stack) -> str:
    """Return LiveKit's file with media on loopback alone."""
    config = yaml.safe_load(text)
    config["port"] = stack.ports["livekit", 7880]
    config["rtc"] |= {
        "udp_port": free_port(),
        "enable_loopback_candidate": True,
        "interfaces": {"includes": ["lo"]},
        "ips": {"includes": ["127.0.0.0/8"]},
    }
    return str(yaml.safe_dump(config))


def _initialised(stack: Stack, command: list[str], environ: Mapping[str, str]) -> list[str]:
    """Do what the image's entry point does; return the command on the database that is there."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not binaries:
        missing(Required.NGINX, "Postgres: install it")
    folder = stack.folder / "postgres"
    data, password = folder / "data", folder / "password"
    password.write_text(environ["POSTGRES_PASSWORD"])
    prefix: list[str] = []
    if os.geteuid() == 0:
        for path in (folder, password):
            shutil.chown(path, "nobody", "nogroup")
        prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    options = ["-A", "scram-sha-256", "-N", "-E", "UTF8", f"--pwfile={password}"]
    initdb = [str(binaries[-1]), "-D", str(data), "-U", environ["POSTGRES_USER"], *options]
    subprocess.run([*prefix, *initdb], check=True, cwd="/", stdout=subprocess.DEVNULL)
    port = str(stack.ports["postgres", 5432])
    own = ["-D", str(data), "-p", port, "-c", "unix_socket_directories="]
    return [str(binaries[-1].with_name("postgres")), *command[1:], *own]


async def _make_database(stack: Stack) -> None:
    environ = stack.services["postgres"]["environment"]
    user, password = environ["POSTGRES_USER"], environ["POSTGRES_PASSWORD"]
    url = f"postgresql://{user}:{password}@{stack.address('postgres', 5432)}/postgres"
    async with asyncio.timeout(READY_TIMEOUT_S):
        while True:
            try:
                connection = await asyncpg.connect(url)
                break
            except (OSError, asyncpg.CannotConnectNowError):
                await asyncio.sleep(0.1)
    await connection.execute(f"CREATE DATABASE {environ['POSTGRES_DB']}")
    await connection.close()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@asynccontextmanager
async def running_stack(folder: Path, environ: Mapping[str, str]) -> AsyncIterator[Stack]:
    """Run every service until the block ends."""
    for program in ("nginx", "redis-server"):
        if shutil.which(program, path=f"/usr/sbin:{os.environ['PATH']}") is None:
            missing(Required.NGINX, f"{program}: install it")
    if not S3.path(ROOT).exists():
        missing(Required.NGINX, f"{S3.name}: run `make setup-test`")
    services = load(environ)["services"]
    ports = {(name, port): free_port() for name, each in PORTS.items() for port in each}
    stack = Stack(folder, environ, services, ports)
    try:
        for group in ORDER:
            for service in group:
                stack.start(service)
            if "postgres" in group:
                await _make_database(stack)
            await stack.ready(*(name for name in group if name != "agent"))
        await stack.ready("agent")
        async with asyncio.timeout(READY_TIMEOUT_S):
            while not (await placed(stack, "/health/fleet")).json()["fleet_available"]:  # noqa: ASYNC110 - a picture
                await asyncio.sleep(0.1)
        yield stack
    finally:
        stack.end()


async def placed(stack: Stack, path: str, **headers: str) -> httpx.Response:
    """Ask nginx's outside."""
    base = f"http://{stack.address('nginx', 8080)}"
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as http:
        return await http.get(path)
