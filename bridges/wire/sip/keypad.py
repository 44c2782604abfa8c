"""Digits by INFO: `application/dtmf-relay`, and `application/dtmf` as some phones send it."""

from __future__ import annotations

import re
from collections import deque

from bridges.wire.close import InvalidState
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import DigitPressed, DigitRefused
from bridges.wire.sip.layer import ServerTransaction, Silence
from bridges.wire.sip.line import Line, status_of
from bridges.wire.sip.message import Response

RELAY = "application/dtmf-relay"
PLAIN = "application/dtmf"
DIGITS = "0123456789*#ABCD"
DEFAULT_DURATION_MS = 160
MAX_DURATION_MS = 10_000
MAX_QUEUED = 64
"""Digits that wait for those before them."""

_NAMES = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
"""The codes of RFC 4733, which some phones write here too."""
_FIELD = re.compile(r"\s*(\w+)\s*[=:]\s*([^\s]+)\s*")


def parse_digit(content_type: str, body: bytes) -> tuple[str, int]:
    """Return the digit and its duration in milliseconds.

    Raises:
        ProtocolError: with status 415 if it is of another type.
    """
    text = body.decode("ascii", "replace")
    if content_type == PLAIN:
        return _digit(text.strip()), DEFAULT_DURATION_MS
    if content_type != RELAY:
        raise ProtocolError("INFO: expected a digit", 415)
    fields = {}
    for line in text.splitlines():
        if match := _FIELD.fullmatch(line):
            fields[match[1].lower()] = match[2]
    duration = fields.get("duration", "")
    duration_ms = int(duration) if re.fullmatch("[0-9]{1,6}", duration) else DEFAULT_DURATION_MS
    return _digit(fields.get("signal", "")), min(duration_ms, MAX_DURATION_MS)


def serialize_digit(digit: str, duration_ms: int) -> bytes:
    """Return the body of an INFO."""
    return f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode()


class Keypad:
    """One call's digits. Ours go out one at a time: INFOs in flight together may change order."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._waiting: deque[tuple[str, int]] = deque()
        self._is_busy = False

    def receive(self, server: ServerTransaction, now: float) -> None:
        """Answer an INFO."""
        request = server.request
        if not request.body:
            self._line.respond(server, 200, now)  # a keep-alive of some PBXs
            return
        try:
            digit, duration_ms = parse_digit(request.content_type, request.body)
        except ProtocolError as error:
            accept = (("Accept", f"{RELAY}, {PLAIN}"),) if error.status == 415 else ()
            self._line.respond(server, error.status, now, accept)
            return
        self._line.respond(server, 200, now)
        self._line.tell(DigitPressed(self._line.handle, digit, duration_ms))

    def send(self, digit: str, duration_ms: int, now: float) -> None:
        """Send a digit once those before it are answered.

        Raises:
            InvalidState: it is none, or too many wait.
        """
        if len(digit) != 1 or digit not in DIGITS or len(self._waiting) >= MAX_QUEUED:
            raise InvalidState(f"one of {DIGITS}, and not more than {MAX_QUEUED} at once")
        self._waiting.append((digit, duration_ms))
        self._send_next(now)

    def _send_next(self, now: float) -> None:
        if self._is_busy or not self._waiting or self._line.is_over:
            return
        self._is_busy = True
        digit, duration_ms = self._waiting.popleft()

        def receive(reply: Response | Silence, now: float) -> None:
            status, _ = status_of(reply)
            if status < 200:
                return
            self._is_busy = False
            if status >= 300:
                self._line.tell(DigitRefused(self._line.handle, digit, status))
                if self._line.is_lost(reply, now):
                    return
            self._send_next(now)

        self._line.send(
            "INFO", now, receive, body=serialize_digit(digit, duration_ms), content_type=RELAY
        )


def _digit(text: str) -> str:
    digit = _NAMES.get(text, text).upper()
    if len(digit) != 1 or digit not in DIGITS:
        raise ProtocolError("INFO: expected a digit")
    return digit
