"""What a call looks like on a terminal: who said what, when, and how fast."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from contracts.event import Event, EventType
from voicefleet.api import dumped

_CLOCK_WIDTH = 7
_WHO_WIDTH = 7
_WHO_STYLES = {"bot": "bold green", "caller": "bold cyan"}
_STAGES = {
    "hearing you out": ("stt_ms", "endpointing_ms"),
    "tools": ("tool_ms",),
    "thinking": ("llm_ttft_ms", "clause_ms"),
    "speaking": ("tts_ttfb_ms", "lead_in_ms"),
    "playing": ("sending_ms", "playback_ms"),
}


class Progress:
    """A step that takes a while: a spinner on a terminal, a line elsewhere.

    `tell` adds what has been reached so far.
    """

    def __init__(self, console: Console, text: str) -> None:
        self._console = console
        self._text = text
        self._reached: list[str] = []
        self._status = console.status(text)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        else:
            self._console.print(self._text, highlight=False, soft_wrap=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._status.stop()

    def tell(self, what: str) -> None:
        """Add to what has been reached."""
        self._reached.append(what)
        self._status.update(f"{self._text} [dim]{', '.join(self._reached)} ready[/]")


class ConversationView:
    """Prints a call's events as they come."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: Event, at_s: float) -> None:
        line = render_event(event, at_s)
        if line is not None:
            self._console.print(line, soft_wrap=not self._console.is_terminal)


def render_event(event: Event, at_s: float) -> Text | None:
    """Return an event's line, or None where a listener need not know."""
    data = event.data
    match event.type:
        case EventType.TRANSCRIPT:
            who = "bot" if data.get("speaker") == "bot" else "caller"
            cut = " ✂" if data.get("interrupted") else ""
            return _line(
                at_s, who, f"{str(data.get('text', '')).strip()}{cut}", _WHO_STYLES[who], ""
            )
        case EventType.NOTICE if data.get("type") == "leg_answered":
            return _line(at_s, "", "the phone is answered")
        case EventType.AGENT_JOINED:
            return _line(at_s, "", "the bot is in the room")
        case EventType.LATENCY if data.get("response_ms") is not None:
            return _line(at_s, "", _latency(data))
        case EventType.INTENT:
            return _line(at_s, "", f"intent {data.get('name')}{_pairs(data.get('slots'))}")
        case EventType.TOOL:
            outcome = data.get("error") or data.get("result")
            return _line(
                at_s, "", f"tool {data.get('name')}{_pairs(data.get('arguments'))} → {outcome}"
            )
        case EventType.TRANSFER:
            return _line(at_s, "", str(data.get("type", "transfer")).replace("_", " "))
        case EventType.CALL_ENDED:
            why = f"{data.get('reason')}, disconnected by {data.get('disconnected_by')}"
            return _line(at_s, "", f"the call has ended: {why}")
    return None


def print_result(console: Console, result: dict[str, Any]) -> None:
    """Print a result's JSON, in colours on a terminal."""
    text = dumped(result)
    if console.is_terminal:
        console.print(Syntax(text, "json", background_color="default", word_wrap=True))
    else:
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_recording(console: Console, result: dict[str, Any], folder: Path) -> None:
    """Print where the WAV is: on this machine, else its address."""
    key = result.get("recording_key")
    path = folder / str(key).removeprefix("recordings/")
    if key and path.exists():
        console.print(f"Recording: {path}", highlight=False, soft_wrap=True)
    elif result.get("recording_url"):
        console.print(f"Recording: {result['recording_url']}", highlight=False, soft_wrap=True)


def table(*columns: str) -> Table:
    """Return a table without lines, for a list of things that have names."""
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(columns):
        # The first one is what other commands want to be given: it stays whole.
        shown.add_column(column, no_wrap=number == 0, overflow="fold")
    return shown


def moment(at: str) -> str:
    """Return an ISO time as people read it, to the second."""
    return at[:19].replace("T", " ")


def _line(at_s: float, who: str, text: str, who_style: str = "", style: str = "dim") -> Text:
    line = Text()
    line.append(f"{at_s:{_CLOCK_WIDTH}.1f} s  ", style="dim")
    line.append(f"{who:<{_WHO_WIDTH}}", style=who_style)
    line.append(text, style=style)
    return line


def _latency(data: dict[str, Any]) -> str:
    stages = []
    for name, parts in _STAGES.items():
        known = [data[part] for part in parts if data.get(part) is not None]
        if known:
            stages.append(f"{name} {sum(known):.0f}")
    detail = f": {', '.join(stages)}" if stages else ""
    return f"↳ answered in {data['response_ms']:.0f} ms{detail}"


def _pairs(values: Any) -> str:
    if not isinstance(values, dict) or not values:
        return ""
    return f" ({', '.join(f'{key}={value}' for key, value in values.items())})"
