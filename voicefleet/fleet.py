"""Which parts make up a local fleet: their programs, settings, and how each shows it is ready."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from voicefleet.credential import environ_with, load_or_create
from voicefleet.livekit import effective_config, write_config
from voicefleet.runner import Part, Runner
from voicefleet.settings import FleetSettings

_HOST = "127.0.0.1"
_PROBE_TIMEOUT_S = 2.0
_FREE_PORT_ATTEMPTS = 10

# What suits one machine that somebody sits at. The environment wins.
_LOCAL_DEFAULTS = {
    "AGENT_DRAIN_S": "10",
    "ALLOW_PRIVATE_VENDORS": "true",
    "ALLOW_PRIVATE_WEBHOOKS": "true",
    "BRIDGE_DRAIN_S": "10",
    "SIP_DRAIN_S": "10",
    "STANDBY_AGENTS": "2",
    "STREAM_ANONYMOUS": "true",
}


class CannotStart(Exception):
    """The fleet lacks something to start with; the message says what and how to get it."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """A local fleet before it runs.

    Attributes:
        environ: what every part is started with, secrets included.
    """

    home: Path
    server: Path
    environ: Mapping[str, str]
    livekit_port: int
    sidecar_port: int
    bridge_port: int
    sip_port: int | None
    """None: it has no SIP bridge."""
    sip_health_port: int

    @property
    def sidecar_url(self) -> str:
        return f"http://{_HOST}:{self.sidecar_port}"

    @property
    def bridge_url(self) -> str:
        return f"ws://{_HOST}:{self.bridge_port}"

    @property
    def livekit_url(self) -> str:
        return f"ws://{_HOST}:{self.livekit_port}"

    @property
    def recordings(self) -> Path:
        """Where the sidecar keeps recordings."""
        configured = self.environ.get("RECORDINGS_DIR")
        return Path(configured or Path(self.environ["DATA_DIR"], "recordings"))

    async def start(self, runner: Runner, changed: Mapping[str, Part] | None = None) -> None:
        """Start every part, in the order in which they need one another.

        Args:
            runner: keeps them.
            changed: parts to start in the place of those of the same names.

        Raises:
            PartFailed: one of them did not come up.
        """
        async with httpx.AsyncClient(timeout=_PROBE_TIMEOUT_S, trust_env=False) as http:
            livekit, *others = {**self.parts(http), **(changed or {})}.values()
            await runner.start(livekit)
            # Each of these waits for the others where it has to; side by side is seconds faster.
            await runner.start(*others)

    def parts(self, http: httpx.AsyncClient) -> dict[str, Part]:
        """Return livekit, sidecar, agent, bridge and sip; `http` asks whether they are ready."""

        async def answers(url: str) -> bool:
            try:
                return (await http.get(url)).is_success
            except httpx.HTTPError:
                return False

        async def serves_calls() -> bool:
            try:
                fleet = (await http.get(f"{self.sidecar_url}/health/fleet")).json()
            except (httpx.HTTPError, ValueError):
                return False
            # Counts agents that LiveKit knows and bridges that accept: the fleet as a whole.
            return int(fleet["fleet_available"]) > 0

        def python(module: str) -> list[str]:
            return [sys.executable, "-m", module]

        config = self.home / "run" / "livekit.yaml"
        livekit_health = f"http://{_HOST}:{self.livekit_port}/"
        drain_s = {name: float(self.environ[name]) for name in ("AGENT_DRAIN_S", "BRIDGE_DRAIN_S")}
        parts = [
            Part(
                "livekit",
                [self.server, "--config", config],
                _for_livekit(self.environ),
                lambda: answers(livekit_health),
                stop_timeout_s=5.0,
            ),
            Part(
                "sidecar",
                python("sidecar"),
                self.environ,
                lambda: answers(f"{self.sidecar_url}/health"),
                stop_timeout_s=15.0,
            ),
            Part(
                "agent",
                python("agent"),
                self.environ,
                serves_calls,
                ready_timeout_s=90.0,
                # What remains then is ended, with a report: that takes a job up to 28 s.
                stop_timeout_s=drain_s["AGENT_DRAIN_S"] + 30.0,
            ),
            Part(
                "bridge",
                python("bridges"),
                self.environ,
                lambda: answers(f"http://{_HOST}:{self.bridge_port}/health"),
                stop_timeout_s=drain_s["BRIDGE_DRAIN_S"] + 5.0,
            ),
        ]
        if self.sip_port is not None:
            sip_health = f"http://{_HOST}:{self.sip_health_port}/health"
            parts.append(
                Part(
                    "sip",
                    python("bridges.sip"),
                    self.environ,
                    lambda: answers(sip_health),
                    stop_timeout_s=float(self.environ["SIP_DRAIN_S"]) + 10.0,
                )
            )
        return {part.name: part for part in parts}


def prepare(settings: FleetSettings, environ: Mapping[str, str]) -> Fleet:
    """Make secrets, ports and LiveKit's configuration, and return the fleet they describe.

    Raises:
        CannotStart: there is no livekit-server, no configuration for it, or a port is taken.
    """
    home = settings.voicefleet_home.resolve()
    server = find_server(settings, environ)
    try:
        sample = settings.livekit_config.read_text()
    except OSError as error:
        raise CannotStart(
            f"{error}; run it in the project's folder or set LIVEKIT_CONFIG"
        ) from error
    ports = _ports(settings)
    livekit_port, sidecar_port, bridge_port, sip_health_port = (
        ports[name] for name in ("LIVEKIT_PORT", "SIDECAR_PORT", "BRIDGE_PORT", "SIP_HEALTH_PORT")
    )
    chosen = {
        "AGENT_LINES_DIR": str(home / "agent" / "lines"),
        "AGENT_RECORDINGS_DIR": str(home / "agent" / "recordings"),
        "AGENT_SPOOL_DIR": str(home / "agent" / "spool"),
        "BRIDGE_SPOOL_DIR": str(home / "bridge" / "spool"),
        "DATA_DIR": str(home / "data"),
        "SIP_STATE_DIR": str(home / "sip"),
        "PUBLIC_URL": f"http://{_HOST}:{sidecar_port}",
        **_LOCAL_DEFAULTS,
        "SIP_ALLOWED_PEERS": ",".join(_own_networks()),
        **environ_with(load_or_create(home), environ),
        # Not from the environment: these parts are to find one another.
        "BRIDGE_PORT": str(bridge_port),
        "LIVEKIT_URL": f"ws://{_HOST}:{livekit_port}",
        "PYTHONUNBUFFERED": "1",
        "SIP_HEALTH_PORT": str(sip_health_port),
        "SIP_PORT": str(ports["SIP_PORT"]),
        "SIDECAR_PORT": str(sidecar_port),
        "SIDECAR_URL": f"http://{_HOST}:{sidecar_port}",
    }
    config = effective_config(
        sample,
        port=livekit_port,
        udp_port=ports["LIVEKIT_UDP_PORT"],
        key=chosen["LIVEKIT_API_KEY"],
        secret=chosen["LIVEKIT_API_SECRET"],
        sidecar_url=chosen["SIDECAR_URL"],
    )
    write_config(config, home / "run" / "livekit.yaml")
    Path(chosen["DATA_DIR"]).mkdir(parents=True, exist_ok=True)
    sip_port = ports["SIP_PORT"] if settings.fleet_sip else None
    return Fleet(
        home, server, chosen, livekit_port, sidecar_port, bridge_port, sip_port, sip_health_port
    )


def _own_networks() -> list[str]:
    """Return what this machine's own phones call from: many name an address that others see."""
    found = (each for addresses in psutil.net_if_addrs().values() for each in addresses)
    own = {each.address for each in found if each.family == socket.AF_INET}
    return ["127.0.0.0/8", "::1", *sorted(own - {_HOST})]


def find_server(settings: FleetSettings, environ: Mapping[str, str]) -> Path:
    """Return the livekit-server program.

    Raises:
        CannotStart: it is nowhere.
    """
    own = settings.livekit_server or settings.voicefleet_home / "bin" / "livekit-server"
    if own.exists():
        return own.resolve()
    on_path = shutil.which("livekit-server", path=environ.get("PATH", os.defpath))
    if settings.livekit_server is None and on_path is not None:
        return Path(on_path)
    raise CannotStart(f"no livekit-server at {own}; `make run` and `make demo` fetch it")


def _for_livekit(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the server's environment.

    It takes `LIVEKIT_…` variables for options of its own, above its file. A fleet on one host asks
    for a few percent of a core, and Go's scheduler costs a fifth less when it need not share it.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith("LIVEKIT_")}
    return {"GOMAXPROCS": "1", **kept}


def _ports(settings: FleetSettings) -> dict[str, int]:
    """Return every part's port by its setting's name, every 0 replaced by a free one.

    A taken port is noticed here: whoever has it might answer in the place of our part.
    """
    stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
    wanted = {
        "LIVEKIT_PORT": (settings.livekit_port, (stream,)),
        "SIDECAR_PORT": (settings.sidecar_port, (stream,)),
        "BRIDGE_PORT": (settings.bridge_port, (stream,)),
        "LIVEKIT_UDP_PORT": (settings.livekit_udp_port, (datagram,)),
        # Without a SIP bridge they are nobody's.
        "SIP_PORT": (settings.sip_port if settings.fleet_sip else 0, (datagram, stream)),
        "SIP_HEALTH_PORT": (settings.sip_health_port if settings.fleet_sip else 0, (stream,)),
    }
    with ExitStack() as stack:
        return {name: _port(stack, name, port, kinds) for name, (port, kinds) in wanted.items()}


def _port(stack: ExitStack, name: str, wanted: int, kinds: Sequence[socket.SocketKind]) -> int:
    for attempts_left in reversed(range(_FREE_PORT_ATTEMPTS)):
        port = wanted
        try:
            for kind in kinds:
                probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
                if kind is socket.SOCK_STREAM:
                    # As servers do: connections that are closing take no port.
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((_HOST, port))
                port = probe.getsockname()[1]
            break
        except OSError as error:
            # One that is free for datagrams may be taken for streams.
            if wanted or not attempts_left:
                raise CannotStart(
                    f"port {port} is taken: end what has it, or set {name} to another (0: any)"
                ) from error
    return port
