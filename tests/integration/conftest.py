"""What integration tests share: one LiveKit server for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.livekit_server import LiveKitServer, running_livekit


@pytest.fixture(scope="session")
def livekit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    """A real LiveKit server."""
    with running_livekit(tmp_path_factory.mktemp("livekit")) as server:
        yield server
