"""What integration tests share: one LiveKit server, and what the parts printed beside a failure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.livekit_server import LiveKitServer, running_livekit
from tests.integration.platform import Platform

_LOG_LINES = 150


@pytest.fixture(scope="session")
def livekit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    """A real LiveKit server."""
    with running_livekit(tmp_path_factory.mktemp("livekit")) as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show what the platform under test printed last, where its test has failed."""
    report: pytest.TestReport = yield
    platform = getattr(item, "funcargs", {}).get("platform")
    if report.failed and isinstance(platform, Platform):
        report.sections.append(("parts' log", "\n".join(platform.log[-_LOG_LINES:])))
    return report
