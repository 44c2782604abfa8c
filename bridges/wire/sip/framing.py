"""Cuts a byte stream into SIP messages (RFC 3261 section 18.3, RFC 5626 section 3.5.1)."""

from __future__ import annotations

import re

from bridges.wire.sip.error import ProtocolError

MAX_HEAD_BYTES = 16 * 1024
"""Start line and header fields."""
MAX_BODY_BYTES = 64 * 1024
MAX_MESSAGE_BYTES = MAX_HEAD_BYTES + MAX_BODY_BYTES

PONG = b"\r\n"
PING = b"\r\n\r\n"

HEAD_END = re.compile(rb"\r?\n\r?\n")
"""Some peers end lines with LF alone."""
_LENGTH = re.compile(
    rb"(?:^|\n)(?:content-length|l)[ \t]*:(?P<value>(?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE
)
_LONGEST_HEAD_END = 4


class StreamFramer:
    """One connection's incoming octets.

    After a `ProtocolError` nothing in the stream can be trusted: the connection is to be closed.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._pongs = 0

    def receive(self, data: bytes) -> list[bytes]:
        """Take octets and return the messages that are complete, each as it was sent.

        Raises:
            ProtocolError: a message is too large, or does not tell its length.
        """
        self._buffer += data
        messages: list[bytes] = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def outgoing(self) -> list[bytes]:
        """Return the answers to keep-alives since the last call."""
        pongs, self._pongs = self._pongs, 0
        return [PONG] * pongs

    @property
    def is_empty(self) -> bool:
        """Whether no part of a message is waiting for its rest."""
        return not self._buffer.strip(b"\r\n")

    def _next(self) -> bytes | None:
        self._skip_keepalives()
        end = HEAD_END.search(self._buffer, self._scanned)
        head_bytes = end.end() if end else len(self._buffer)
        if head_bytes > MAX_HEAD_BYTES:
            raise ProtocolError(f"expected a head of at most {MAX_HEAD_BYTES} octets", 513)
        if end is None:
            self._scanned = max(0, head_bytes - _LONGEST_HEAD_END)
            return None
        size_bytes = head_bytes + content_length(bytes(self._buffer[:head_bytes]))
        if len(self._buffer) < size_bytes:
            self._scanned = end.start()
            return None
        message = bytes(self._buffer[:size_bytes])
        del self._buffer[:size_bytes]
        self._scanned = 0
        return message

    def _skip_keepalives(self) -> None:
        """Drop the line ends before a message: two are a ping, one is a pong or nothing at all."""
        while self._buffer.startswith(PONG):
            if self._buffer.startswith(PING):
                self._pongs += 1
                del self._buffer[: len(PING)]
            elif PING.startswith(self._buffer):
                return  # the first half of a ping, perhaps
            else:
                del self._buffer[: len(PONG)]


def content_length(head: bytes) -> int:
    """Return the length of the body that follows this head in a stream.

    Raises:
        ProtocolError: there is none, or more than one, or it is too large.
    """
    found = {match["value"].strip(b" \t\r\n") for match in _LENGTH.finditer(head)}
    if len(found) != 1:
        raise ProtocolError("Content-Length: expected one in a stream")
    (value,) = found
    if not value.isdigit() or len(value) > 10:
        raise ProtocolError("Content-Length: expected a number")
    if int(value) > MAX_BODY_BYTES:
        raise ProtocolError(f"Content-Length: expected at most {MAX_BODY_BYTES}", 513)
    return int(value)
