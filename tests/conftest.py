"""What every test gets: no network beyond this machine, a clean environment, quiet hypothesis."""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.fakes import livekit_sip_choice
from tests.fakes.missing import Required
from tests.fakes.postgres import running_postgres
from tests.fakes.s3 import S3Server

# No deadline: a slow machine must not turn a property into a timing test.
hypothesis.settings.register_profile("voicefleet", deadline=None, print_blob=True)
hypothesis.settings.load_profile("voicefleet")

# A traceback with every local in a frame of its own takes longer to draw than most tests to run.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

_KEPT_VARIABLES = frozenset(
    {
        *("CI", "HOME", "LANG", "LC_ALL", "PATH", "TERM", "TMPDIR", "TZ", "USER"),
        *Required,
        livekit_sip_choice.VARIABLE,
    }
)
_KEPT_PREFIXES = ("COVERAGE_", "COV_", "HYPOTHESIS_", "PYTEST_", "PYTHON", "TEST_")


class NetworkForbidden(AssertionError):
    """A test reached for an address that is not this machine's."""


def _is_local(host: object) -> bool:
    if not isinstance(host, str):
        return isinstance(host, bytes | None)
    if host in {"", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or (not address.is_multicast and _is_own(str(address)))


@cache
def _is_own(address: str) -> bool:
    """Tell whether an interface of this machine has the address; WebRTC clients send from it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = arguments[1]
        if isinstance(address, tuple) and not _is_local(address[0]):
            raise NetworkForbidden(f"{event} to {address!r}")
    elif event == "socket.getaddrinfo" and not _is_local(arguments[0]):
        # A literal address is parsed, not looked up.
        try:
            ipaddress.ip_address(arguments[0])
        except ValueError:
            raise NetworkForbidden(f"look-up of {arguments[0]!r}") from None


# An audit hook sees every socket of this process, whichever library opens it.
sys.addaudithook(_guard)


_DOUBLE_ONLY = (
    "double_only(reason): makes the double do what a real LiveKit SIP cannot be made to do"
)


def pytest_configure(config: pytest.Config) -> None:
    """Tell of the markers."""
    config.addinivalue_line("markers", _DOUBLE_ONLY)
    config.addinivalue_line("markers", "livekit_sip: runs on the double, or on a real LiveKit SIP")
    config.addinivalue_line("markers", "calls_go_on: this process carries calls between its tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what only the double can do where there is a real LiveKit SIP."""
    if not os.environ.get(livekit_sip_choice.VARIABLE):
        return
    for item in items:
        if mark := item.get_closest_marker("double_only"):
            item.add_marker(pytest.mark.skip(reason=f"the double's alone: {mark.kwargs['reason']}"))


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what was collected: with it, a test stands still for
    one second or three.
    """
    gc.collect()
    gc.freeze()


_TOGETHER = (
    ("tests/browser/",),
    *(
        tuple(f"tests/integration/test_{name}.py" for name in names)
        for names in (
            ("call", "exotel", "exotel_flow", "web_door"),
            ("brownouts", "latency", "vendors"),
        )
    ),
)
"""Which share a fleet that starts once a worker; two share what one would be too long at."""


class _ByFleet(LoadFileScheduling):  # type: ignore[misc]
    """Keeps in one worker what shares a fleet: each module's tests, and those of some modules."""

    def _split_scope(self, nodeid: str) -> str:
        module: str = super()._split_scope(nodeid)
        found = (names[0] for names in _TOGETHER if module.startswith(names))
        return next(found, module)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _ByFleet | None:
    """Share tests out."""
    return _ByFleet(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which LiveKit SIP was used, if one was."""
    reports = [each for kind in terminalreporter.stats.values() for each in kind]
    if any("livekit_sip" in getattr(report, "keywords", {}) for report in reports):
        terminalreporter.write_line(f"LiveKit SIP in these tests: {livekit_sip_choice.which()}")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the developer's settings from every test, and each test's reports from a fleet."""
    for name in list(os.environ):
        if name not in _KEPT_VARIABLES and not name.startswith(_KEPT_PREFIXES):
            monkeypatch.delenv(name)
    for name in ("AGENT_SPOOL_DIR", "BRIDGE_SPOOL_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real Postgres. Without one its tests are skipped, unless `REQUIRE_POSTGRES=1`."""
    with running_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server with a bucket. Without one its tests are skipped, unless `REQUIRE_S3=1`."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.stop()
