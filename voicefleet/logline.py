"""A part's log line as a person reads it: JSON in, `time part message key=value` out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

_TIME_KEYS = ("timestamp", "ts", "time")
_MESSAGE_KEYS = ("event", "msg", "message")
# True of every line of a part, so said by its name already.
_DULL_KEYS = frozenset({"logger", "pid", "caller", "nodeID", "nodeIP", "tid", "process", "job_id"})
_PART_STYLES = {"livekit": "magenta", "sidecar": "cyan", "agent": "green", "bridge": "blue"}
_LEVEL_STYLES = {
    "debug": "dim",
    "warn": "yellow",
    "warning": "yellow",
    "error": "bold red",
    "critical": "bold red",
    "fatal": "bold red",
}
_PART_WIDTH = 8


@dataclass(frozen=True, slots=True)
class LogLine:
    """What a line says. A line that is not JSON is all message."""

    message: str
    level: str = "info"
    clock: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    traceback: str = ""


def parse(line: str) -> LogLine:
    """Return the line's content; never fails."""
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        return LogLine(message=line)
    message = _first(record, _MESSAGE_KEYS)
    clock = _clock(_first(record, _TIME_KEYS))
    level = str(record.pop("level", "info")).lower()
    traceback = _traceback(record.pop("exception", None))
    fields = {key: value for key, value in record.items() if key not in _DULL_KEYS}
    return LogLine(str(message or ""), level, clock, fields, traceback)


def render(part: str, line: str) -> Text:
    """Return the line for the terminal."""
    parsed = parse(line)
    text = Text()
    text.append(f"{parsed.clock or ' ' * 8} ", style="dim")
    text.append(f"{part:<{_PART_WIDTH}} ", style=_PART_STYLES.get(part, "white"))
    text.append(parsed.message, style=_LEVEL_STYLES.get(parsed.level, ""))
    for key, value in parsed.fields.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        text.append(f"  {key}=", style="dim")
        text.append(shown)
    if parsed.traceback:
        text.append(f"\n{parsed.traceback}", style="red")
    return text


def _first(record: dict[str, Any], keys: tuple[str, ...]) -> Any:
    found = None
    for key in keys:
        value = record.pop(key, None)
        found = value if found is None else found
    return found


def _clock(moment: Any) -> str:
    """Return `HH:MM:SS` local time of an ISO text or Unix seconds; "" for anything else."""
    try:
        if isinstance(moment, int | float):
            at = datetime.fromtimestamp(moment, UTC)
        else:
            at = datetime.fromisoformat(str(moment))
    except (ValueError, OverflowError, OSError):
        return ""
    return at.astimezone().strftime("%H:%M:%S")


def _traceback(exception: Any) -> str:
    """Return a traceback, as text or in structlog's dictionary form, in a few lines."""
    if not isinstance(exception, list):
        return str(exception or "").rstrip()
    lines = []
    for error in filter(lambda item: isinstance(item, dict), exception):
        lines += [
            f"  {frame.get('filename')}:{frame.get('lineno')} {frame.get('name')}"
            for frame in error.get("frames", [])
        ]
        lines.append(f"  {error.get('exc_type')}: {error.get('exc_value')}")
    return "\n".join(lines)
