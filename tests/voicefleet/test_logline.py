"""`voicefleet.logline`: every part's lines become one readable form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicefleet.logline import parse, render


def test_structlog_line_is_read() -> None:
    line = parse(
        '{"event": "call planned", "level": "warning", "timestamp": "2026-01-05T09:30:15Z",'
        ' "logger": "sidecar.calls", "call_id": "c-1"}'
    )
    assert (line.message, line.level, line.fields) == (
        "call planned",
        "warning",
        {"call_id": "c-1"},
    )
    assert line.clock.endswith(":15")


def test_livekit_line_is_read() -> None:
    line = parse('{"level":"info","ts":1767605415.5,"caller":"a.go:1","msg":"started","port":7880}')
    assert (line.message, line.fields) == ("started", {"port": 7880})
    assert line.clock.endswith(":15")


@pytest.mark.parametrize("text", ["plain words", "", "[1, 2]", "12", '"quoted"', "{broken"])
def test_other_line_is_all_message(text: str) -> None:
    assert parse(text).message == text


def test_line_without_a_usable_time_has_no_clock() -> None:
    assert parse('{"event": "x", "timestamp": "yesterday"}').clock == ""
    assert parse('{"event": "x", "ts": 1e300}').clock == ""


def test_traceback_in_dictionary_form_becomes_lines() -> None:
    exception = [
        {
            "exc_type": "ValueError",
            "exc_value": "no",
            "frames": [{"filename": "a.py", "lineno": 7, "name": "f"}],
        }
    ]
    line = parse(json.dumps({"event": "failed", "exception": exception}))
    assert line.traceback == "  a.py:7 f\n  ValueError: no"
    assert line.fields == {}


def test_traceback_as_text_is_kept() -> None:
    assert (
        parse(json.dumps({"event": "x", "exception": "Traceback …\n"})).traceback == "Traceback …"
    )


def test_rendered_line_names_the_part_and_its_values() -> None:
    text = render("bridge", '{"event": "call ended", "reason": "bot_ended", "frames": 3}').plain
    assert text.split() == ["bridge", "call", "ended", "reason=bot_ended", "frames=3"]


def test_rendered_failure_shows_its_traceback() -> None:
    text = render("agent", '{"event": "failed", "level": "error", "exception": "boom"}').plain
    assert text.endswith("failed\nboom")


@given(
    st.dictionaries(
        st.sampled_from(["event", "msg", "level", "ts", "timestamp", "exception", "x"]),
        st.none() | st.integers() | st.text(max_size=10) | st.lists(st.integers(), max_size=2),
    )
)
def test_any_record_can_be_shown(record: dict[str, object]) -> None:
    render("sidecar", json.dumps(record))


@given(st.text(max_size=50))
def test_any_text_can_be_shown(text: str) -> None:
    render("sidecar", text)
