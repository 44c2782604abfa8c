"""What Exotel's Passthru applet tells of a stream, in any of its spellings: pure.

A GET has `Stream[Status]=…`, or all of it as JSON under `Stream`; a POST has JSON or a form, flat
or nested, `StreamSid` or `streamsid`. Names are compared without case and underscores, the first
value of a name counts, and what nobody knows is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from contracts.outcome import Reason
from contracts.report import Fact, LegEnded, TransferFailed, TransferStarted

MAX_VALUE_CHARS = 300
MAX_URL_CHARS = 2000
_NESTED = re.compile(r"stream\[([a-z_]{1,40})\]", re.IGNORECASE)
_SID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_SECONDS = re.compile(r"[0-9]{1,6}")
_NOTHING = frozenset({"", "na", "n/a", "null", "none"})
"""How Exotel says that there is none."""
_CALLER = frozenset({"user", "caller", "customer"})
_STARTING = "stream-start"
_NAMES = {
    name.lower(): name
    for name in (
        "CallSid",
        "StreamSID",
        "Status",
        "Duration",
        "RecordingUrl",
        "DisconnectedBy",
        "Error",
        "DetailedStatus",
        "Disposition",
        "Direction",
        "From",
        "To",
        "EventType",
    )
}
"""What is kept. `StreamUrl` is not: there may be a token in it."""


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What became of a stream, as Exotel sees it.

    Attributes:
        call_sid: Exotel's name of the call; "" if it told none that can be one.
        stream_sid: its name of the stream; "" for one that never began.
        fields: all that is kept of what it told, by its own names.
    """

    call_sid: str
    stream_sid: str
    fields: Mapping[str, str]

    @classmethod
    def parse(cls, pairs: Iterable[tuple[str, Any]]) -> StreamReport:
        """Return the report that names and values make, in whatever order."""
        fields: dict[str, str] = {}
        for key, value in _unfolded(pairs):
            name = _NAMES.get(key.lower().replace("_", ""))
            if name is not None and name not in fields and (text := _text(name, value)):
                fields[name] = text
        call_sid, stream_sid = (_sid(fields.pop(name, "")) for name in ("CallSid", "StreamSID"))
        return cls(call_sid, stream_sid, fields)

    @property
    def is_beforehand(self) -> bool:
        """Whether the stream is yet to begin, of which there is nothing to keep."""
        return self.fields.get("EventType", "").lower() == _STARTING

    @property
    def ended_by_caller(self) -> bool:
        return self.fields.get("DisconnectedBy", "").lower() in _CALLER

    @property
    def error(self) -> str:
        """Why the stream failed; "" if it did not."""
        if self.status != "failed":
            return ""
        return self.fields.get("Error") or self.fields.get("DetailedStatus", "failed")

    @property
    def status(self) -> str:
        # Where the two disagree it is the error that is to be believed.
        return "failed" if "Error" in self.fields else self.fields.get("Status", "").lower()

    def record(self) -> dict[str, Any]:
        """Return what is kept of it: its own words, and beside them what any CDR is read by."""
        sids = {"CallSid": self.call_sid, "StreamSID": self.stream_sid}
        record: dict[str, Any] = {name: sid for name, sid in sids.items() if sid}
        record |= self.fields
        if self.status:
            record["call_status"] = self.status
        if _SECONDS.fullmatch(duration := self.fields.get("Duration", "")):
            record["talktime"] = int(duration)
        if url := self.fields.get("RecordingUrl"):
            record["recording_filename"] = url
        return record


def transfer_wanted(facts: Sequence[Fact]) -> TransferStarted | None:
    """Return to whom the bot has handed its caller, unless that was taken back, or they are gone.

    Args:
        facts: what is known of the call, in order of time.
    """
    wanted: TransferStarted | None = None
    for fact in facts:
        match fact:
            case TransferStarted():
                wanted = fact
            case TransferFailed():
                wanted = None
            case LegEnded(reason=Reason.CALLER_HUNG_UP):
                return None
    return wanted


def _unfolded(pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Return the stream's own fields first: `Status` may be the call's as well."""
    flat: list[tuple[str, Any]] = []
    for key, value in pairs:
        if match := _NESTED.fullmatch(key):
            yield match[1], value
        elif key.lower() == "stream":
            yield from _object(value).items()
        else:
            flat.append((key, value))
    yield from flat


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = from_json(value, allow_inf_nan=False)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _text(name: str, value: Any) -> str:
    """Return a value as text, cut; "" for what says nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(value).replace("\0", "").strip()
    if name == "RecordingUrl":
        is_url = text.startswith(("https://", "http://")) and len(text) <= MAX_URL_CHARS
        return text if is_url else ""
    return "" if text.lower() in _NOTHING else text[:MAX_VALUE_CHARS]


def _sid(text: str) -> str:
    return text if _SID.fullmatch(text) else ""
