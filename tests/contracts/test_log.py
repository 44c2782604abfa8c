"""Where log records go and what they look like."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from contracts.log import QUIET, configure_logging


class Terminal(io.StringIO):
    """An output somebody watches."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """Leave the test run's own logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in QUIET}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, kept in quiet.items():
        logging.getLogger(name).setLevel(kept)
    structlog.reset_defaults()


def written(output: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_records_are_json_lines_with_their_attributes() -> None:
    output = io.StringIO()
    configure_logging("info", output)
    structlog.get_logger("part").info("call planned", call_id="c1")
    logging.getLogger("library").warning("slow", extra={"duration_ms": 7})
    ours, theirs = written(output)
    assert (ours["event"], ours["call_id"], ours["level"]) == ("call planned", "c1", "info")
    assert (theirs["event"], theirs["duration_ms"], theirs["logger"]) == ("slow", 7, "library")


def test_bound_call_is_on_every_record() -> None:
    output = io.StringIO()
    configure_logging("INFO", output)
    with structlog.contextvars.bound_contextvars(call_id="c2"):
        structlog.get_logger("part").info("answered")
    assert written(output)[0]["call_id"] == "c2"


def test_records_below_the_level_are_dropped() -> None:
    output = io.StringIO()
    configure_logging("WARNING", output)
    structlog.get_logger("part").info("chatter")
    assert output.getvalue() == ""


def test_libraries_that_log_tokens_are_kept_to_warnings() -> None:
    output = io.StringIO()
    configure_logging("INFO", output)
    logging.getLogger("httpx").info("GET /?token=secret")
    assert output.getvalue() == ""


def test_traceback_is_data() -> None:
    output = io.StringIO()
    configure_logging("INFO", output)
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger("part").exception("failed")
    assert "exception" in written(output)[0]


def test_person_who_watches_gets_text() -> None:
    output = Terminal()
    configure_logging("INFO", output)
    structlog.get_logger("part").info("ready", port=8010)
    assert "ready" in output.getvalue()
    assert not output.getvalue().startswith("{")


def test_default_output_is_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    structlog.get_logger("part").info("hello")
    assert "hello" in capsys.readouterr().err


@pytest.mark.parametrize("output", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_traceback_tells_where_but_no_value(output: io.StringIO) -> None:
    def fail(_given: str) -> None:
        raise RuntimeError("boom")

    configure_logging("INFO", output)
    try:
        fail("pass" + "word-of-somebody")
    except RuntimeError:
        structlog.get_logger("part").exception("failed")
    assert "RuntimeError" in output.getvalue()
    assert "password-of-somebody" not in output.getvalue()
