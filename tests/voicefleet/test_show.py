"""`voicefleet.show`: what somebody watching a call reads."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from contracts.event import Event, EventType
from voicefleet.show import ConversationView, Progress, print_recording, print_result, render_event


def event(type_: EventType, **data: object) -> Event:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    return Event(id="e", type=type_, subject="c", time=at, sequence=1, data=data)


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (event(EventType.TRANSCRIPT, speaker="bot", text="Hello. "), "2.5 s  bot    Hello."),
        (
            event(EventType.TRANSCRIPT, speaker="customer", text="Hi", interrupted=True),
            "2.5 s  caller Hi ✂",
        ),
        (event(EventType.NOTICE, type="leg_answered"), "the phone is answered"),
        (event(EventType.AGENT_JOINED), "the bot is in the room"),
        (
            event(
                EventType.LATENCY,
                response_ms=412.4,
                stt_ms=250,
                endpointing_ms=50,
                tool_ms=None,
                llm_ttft_ms=5.5,
            ),
            "↳ answered in 412 ms: hearing you out 300, thinking 6",
        ),
        (event(EventType.LATENCY, response_ms=412.4), "↳ answered in 412 ms"),
        (event(EventType.INTENT, name="book", slots={"day": "monday"}), "intent book (day=monday)"),
        (event(EventType.TOOL, name="free", arguments={}, result=3), "tool free → 3"),
        (event(EventType.TOOL, name="free", error="timeout"), "tool free → timeout"),
        (event(EventType.TRANSFER, type="transfer_sent"), "transfer sent"),
        (
            event(EventType.CALL_ENDED, reason="bot_ended", disconnected_by="bot"),
            "the call has ended: bot_ended, disconnected by bot",
        ),
    ],
)
def test_event_reads_like_this(shown: Event, words: str) -> None:
    line = render_event(shown, 2.5)
    assert line is not None
    assert line.plain.endswith(words)


@pytest.mark.parametrize(
    "silent",
    [
        event(EventType.CALL_PLANNED),
        event(EventType.CALL_STATE, state="talking"),
        event(EventType.NOTICE, type="usage_counted"),
        event(EventType.LATENCY),
        event(EventType.CALL_RESULT),
    ],
)
def test_event_nobody_needs_is_not_shown(silent: Event) -> None:
    assert render_event(silent, 0.0) is None


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_view_prints_one_line_an_event_however_long() -> None:
    console = Console(file=io.StringIO(), width=40)
    view = ConversationView(console)
    view(event(EventType.TRANSCRIPT, speaker="bot", text="word " * 40), 0.1)
    view(event(EventType.CALL_RESULT), 0.2)
    assert len(printed(console).splitlines()) == 1


def test_progress_in_a_pipe_is_one_line() -> None:
    console = Console(file=io.StringIO())
    with Progress(console, "Starting …") as progress:
        progress.tell("sidecar")
    assert printed(console) == "Starting …\n"


def test_progress_on_a_terminal_says_what_is_ready() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=60)
    with Progress(console, "Starting …") as progress:
        progress.tell("livekit")
        progress.tell("sidecar")
    assert "livekit, sidecar ready" in Text.from_ansi(printed(console)).plain


def test_result_is_printed_as_json_that_can_be_read_back() -> None:
    result = {"text": "[bold] stays " + "long " * 40, "none": None}
    console = Console(file=io.StringIO(), width=40)
    print_result(console, result)
    assert json.loads(printed(console)) == result


def test_result_on_a_terminal_has_colours() -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    print_result(console, {"a": 1})
    assert "\x1b[" in printed(console)


def test_recording_is_named_by_its_path_where_it_is_here(tmp_path: Path) -> None:
    path = tmp_path / "2026" / "06" / "05" / "s-1.wav"
    path.parent.mkdir(parents=True)
    path.touch()
    result = {"recording_key": "recordings/2026/06/05/s-1.wav", "recording_url": "http://sidecar/x"}
    console = Console(file=io.StringIO())
    print_recording(console, result, tmp_path)
    print_recording(console, result, tmp_path / "elsewhere")
    print_recording(console, {"recording_key": None, "recording_url": None}, tmp_path)
    assert printed(console) == f"Recording: {path}\nRecording: http://sidecar/x\n"
