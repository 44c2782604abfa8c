"""What integration tests share: one LiveKit server, a fleet for those that need none of their own,
and what the parts printed beside a failure.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.livekit_server import LiveKitServer, running_livekit
from tests.integration.platform import Platform, running_platform
from tests.integration.room import wait_for_room

_LOG_LINES = 150


@pytest.fixture(scope="session")
def livekit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    """A real LiveKit server."""
    with running_livekit(tmp_path_factory.mktemp("livekit")) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A running fleet for the tests of several modules: what a test strikes, it leaves whole."""
    secrets = tmp_path_factory.mktemp("secrets")
    async with running_platform(
        tmp_path_factory.mktemp("fleet"),
        AGENT_PRELOAD_VENDORS="true",
        SECRETS_DIR=str(secrets),
        # A machine that others load as well is no reason to turn a visitor away.
        WEB_JOIN_TIMEOUT_S="10",
    ) as running:
        yield running


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin a test, and what it shares, where the machine has room."""
    if os.environ.get("PYTEST_XDIST_WORKER") and not item.get_closest_marker("calls_go_on"):
        wait_for_room()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the shared fleet where the next test does without: an idle one takes from the others."""
    shared = _shared_fleet(item)
    if shared is not None and nextitem is not None and _shared_fleet(nextitem) is None:
        shared.finish(item._request)  # type: ignore[attr-defined]


def _shared_fleet(item: pytest.Item) -> Any:
    found = item._fixtureinfo.name2fixturedefs.get("fleet")  # type: ignore[attr-defined]
    return found and found[-1]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show what the platform under test printed last, where its test has failed."""
    report: pytest.TestReport = yield
    platform = getattr(item, "funcargs", {}).get("platform")
    if report.failed and isinstance(platform, Platform):
        report.sections.append(("parts' log", "\n".join(platform.log[-_LOG_LINES:])))
    return report
