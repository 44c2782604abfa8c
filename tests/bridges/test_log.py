"""One log line is one JSON object, whoever wrote it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from bridges.log import configure_logging


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.usefixtures("restored_logging")
def test_our_lines_and_a_librarys_look_alike(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")

    structlog.get_logger("bridges.test").info("call_ended", reason="bot_ended")
    structlog.get_logger("bridges.test").debug("unseen")
    logging.getLogger("some.library").warning("careful")
    logging.getLogger("websockets.server").info("GET /ws/desk?token=secret")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["call_ended", "careful"]
    assert lines[0]["reason"] == "bot_ended"
    assert all(line["level"] and line["timestamp"] and line["logger"] for line in lines)
