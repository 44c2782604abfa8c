"""Header fields: an ordered multi-map, and which of them may hold a list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bridges.wire.sip import grammar
from bridges.wire.sip.error import ProtocolError

MAX_HEADERS = 256
"""Header lines of one message."""
MAX_VALUES = 256
"""Values of one header field, lists split."""

_COMPACT = {
    "b": "Referred-By", "c": "Content-Type", "e": "Content-Encoding", "f": "From", "i": "Call-ID",
    "k": "Supported", "l": "Content-Length", "m": "Contact", "o": "Event", "r": "Refer-To",
    "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via", "x": "Session-Expires",
}  # fmt: skip
"""RFC 3261 section 7.3.3, RFC 3515, RFC 3892, RFC 4028, RFC 6665."""

_LISTS = frozenset({
    "accept", "accept-encoding", "accept-language", "alert-info", "allow", "allow-events",
    "call-info", "contact", "content-encoding", "content-language", "diversion", "error-info",
    "history-info", "in-reply-to", "p-asserted-identity", "path", "proxy-require", "reason",
    "record-route", "require", "route", "service-route", "supported", "unsupported", "via",
    "warning",
})  # fmt: skip
"""Where a comma separates values. Nowhere else: digests, dates and free text hold commas."""

_UNWRITABLE = re.compile(r"[\r\n\x00]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Headers:
    """The header fields of one message, in their order.

    Names are compared whatever their case and form; `v` and `VIA` are `Via`.
    """

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: list[tuple[str, str, str]] = []
        for name, value in fields:
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Append a header field.

        Raises:
            ValueError: the name is no token, or the value would end the line.
        """
        if not grammar.is_token(name) or _UNWRITABLE.search(value):
            raise ValueError("a header field has a token for its name and stays on its line")
        self._append(name, value)

    def set(self, name: str, value: str) -> None:
        """Replace whatever there is of this header field by one value, at the end.

        Raises:
            ValueError: as `add`.
        """
        self.remove(name)
        self.add(name, value)

    def put_first(self, name: str, value: str) -> None:
        """Insert a header field before all others; what these hold does not matter.

        Raises:
            ValueError: as `add`.
        """
        rest, self._fields = self._fields, []
        self.add(name, value)
        self._fields += rest

    def remove(self, name: str) -> None:
        """Drop the header field; it need not be there."""
        key = _key(name)
        self._fields = [each for each in self._fields if each[0] != key]

    def append_received(self, name: str, value: str) -> None:
        """Append a header field off the wire, whose values may hold escaped control characters.

        Raises:
            ProtocolError: the name is no token, or there are too many of them.
        """
        if not grammar.is_token(name):
            raise ProtocolError("header: expected a token before the colon")
        if len(self._fields) >= MAX_HEADERS:
            raise ProtocolError(f"expected at most {MAX_HEADERS} header fields")
        self._append(name, value)

    def __contains__(self, name: str) -> bool:
        key = _key(name)
        return any(each == key for each, _, _ in self._fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name, value) for _, name, value in self._fields)

    def get(self, name: str) -> str | None:
        """Return the value of a header field that may be there once.

        Raises:
            ProtocolError: it is there more than once.
        """
        key = _key(name)
        found = [value for each, _, value in self._fields if each == key]
        if len(found) > 1:
            raise ProtocolError(f"{name}: expected one, got {len(found)}")
        return found[0] if found else None

    def require(self, name: str) -> str:
        """Return the value of a header field that must be there once.

        Raises:
            ProtocolError: it is not, or more than once.
        """
        value = self.get(name)
        if value is None:
            raise ProtocolError(f"{name}: expected one, got none")
        return value

    def lines(self, name: str) -> list[str]:
        """Return the values of each line of the header field, as they are written."""
        key = _key(name)
        return [value for each, _, value in self._fields if each == key]

    def values(self, name: str) -> list[str]:
        """Return all values of a header field: where it may hold lists, each member.

        Raises:
            ProtocolError: quotes or brackets are not closed, or there are too many.
        """
        lines = self.lines(name)
        if _key(name) not in _LISTS:
            return lines
        found: list[str] = []
        for line in lines:
            found += [part.strip(" \t") for part in grammar.split_outside(line, ",")]
        if len(found) > MAX_VALUES:
            raise ProtocolError(f"{name}: expected at most {MAX_VALUES} values")
        return [each for each in found if each]

    def tokens(self, name: str) -> list[str]:
        """Return the members of a list of tokens, in lower case.

        Raises:
            ProtocolError: as `values`.
        """
        return [each.lower() for each in self.values(name)]

    def readable(self) -> tuple[tuple[str, str], ...]:
        """Return names and values as text that can be shown, logged under `pii`, and stored."""
        return tuple((name, readable(value)) for _, name, value in self._fields)

    def serialize(self) -> str:
        """Return the header fields as they are written, with a line's end after each."""
        return "".join(f"{name}: {value}\r\n" for _, name, value in self._fields)

    def _append(self, name: str, value: str) -> None:
        name = _COMPACT.get(name.lower(), name)
        self._fields.append((name.lower(), name, value))


def readable(text: str) -> str:
    """Return text off the wire with replacements for what is no text."""
    octets = text.encode("utf-8", "surrogateescape")
    return _CONTROL.sub(" ", octets.decode("utf-8", "replace"))


def _key(name: str) -> str:
    lower = name.lower()
    return _COMPACT.get(lower, lower).lower()
