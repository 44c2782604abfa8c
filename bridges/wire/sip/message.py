"""Requests and responses: octets to parts and back (RFC 3261 section 7).

`Request.parse` takes what has the shape of a message; `check` then asks what section 8.2 asks of a
request before anything is done with it, so that what is wrong with it can still be answered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from bridges.wire.sip import grammar
from bridges.wire.sip.address import Address
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.flow import Flow
from bridges.wire.sip.framing import HEAD_END, MAX_BODY_BYTES, MAX_HEAD_BYTES
from bridges.wire.sip.header import Headers
from bridges.wire.sip.uri import Uri
from bridges.wire.sip.via import Via

VERSION = "SIP/2.0"
VERSION_NOT_SUPPORTED = 505
MAX_CSEQ = 2**31 - 1
"""RFC 3261 section 8.1.1.5."""
MAX_EXPIRES = 2**32 - 1

_FOLD = re.compile(r"\r?\n[ \t]+")
_LINE_END = re.compile(r"\r?\n")
_VERSION = re.compile(r"SIP/\d+\.\d+", re.IGNORECASE)
_STATUS = re.compile(r"SIP/2\.0 ([1-6]\d\d)(?: (.*))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CSeq:
    """A request's number within its dialog."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Read the value.

        Raises:
            ProtocolError: it is not a number below 2³¹ and a method.
        """
        number, _, method = grammar.collapse(text).partition(" ")
        if not grammar.is_token(method):
            raise ProtocolError("CSeq: expected a number and a method")
        return cls(grammar.parse_decimal(number, "CSeq", MAX_CSEQ), method)

    def serialize(self) -> str:
        """Return the value as it is written."""
        return f"{self.number} {self.method}"


class Message:
    """What requests and responses have in common.

    The properties read header fields when they are first asked for, and raise `ProtocolError`
    where these are malformed or missing.

    Attributes:
        headers: all of them; Content-Length is written anew when the message is.
        body: octets.
        flow: what it came on; None for one of ours.
    """

    def __init__(self, headers: Headers, body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self.flow: Flow | None = None

    @cached_property
    def vias(self) -> tuple[Via, ...]:
        """Via, the nearest hop first; never empty."""
        found = tuple(Via.parse(each) for each in self.headers.values("Via"))
        if not found:
            raise ProtocolError("Via: expected one, got none")
        return found

    @cached_property
    def from_address(self) -> Address:
        """From."""
        return Address.parse(self.headers.require("From"), "From")

    @cached_property
    def to_address(self) -> Address:
        """To."""
        return Address.parse(self.headers.require("To"), "To")

    @cached_property
    def call_id(self) -> str:
        """Call-ID."""
        value = self.headers.require("Call-ID")
        if not value or any(character.isspace() for character in value):
            raise ProtocolError("Call-ID: expected a word")
        return value

    @cached_property
    def cseq(self) -> CSeq:
        """CSeq."""
        return CSeq.parse(self.headers.require("CSeq"))

    @property
    def contacts(self) -> tuple[Address, ...]:
        """Contact, without `*`."""
        values = self.headers.values("Contact")
        return tuple(Address.parse(each, "Contact") for each in values if each != "*")

    @property
    def record_route(self) -> tuple[Address, ...]:
        """Record-Route, as it stands in the message."""
        return tuple(
            Address.parse(each, "Record-Route") for each in self.headers.values("Record-Route")
        )

    @property
    def content_type(self) -> str:
        """The body's type without parameters, in lower case; `""` if none is told."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip(" \t").lower()

    @property
    def sdp(self) -> bytes | None:
        """The body if it is SDP and not empty."""
        return self.body or None if self.content_type == "application/sdp" else None

    def _serialize(self, start_line: str) -> bytes:
        self.headers.set("Content-Length", str(len(self.body)))
        head = f"{start_line}\r\n{self.headers.serialize()}\r\n"
        return head.encode("utf-8", "surrogateescape") + self.body


class Request(Message):
    """A request.

    Attributes:
        method: a token; upper and lower case differ.
        uri_text: the Request-URI as it is written.
        flaw: what is wrong with its body's length; `check` raises it.
    """

    def __init__(
        self,
        method: str,
        uri_text: str,
        headers: Headers,
        body: bytes = b"",
        version: str = VERSION,
    ) -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri_text = uri_text
        self.version = version
        self.flaw: ProtocolError | None = None

    @cached_property
    def uri(self) -> Uri:
        """The Request-URI."""
        return Uri.parse(self.uri_text)

    def check(self) -> None:
        """Ask for what every request must have (RFC 3261 sections 8.1.1 and 8.2).

        Raises:
            ProtocolError: it does not; `status` is what it is answered with.
        """
        if self.version.upper() != VERSION:
            raise ProtocolError("request: expected SIP/2.0", VERSION_NOT_SUPPORTED)
        _ = self.uri
        try:
            _ = self.from_address, self.to_address, self.contacts, self.record_route
        except ProtocolError as error:
            # Other schemes are the Request-URI's affair alone to refuse as such.
            raise ProtocolError(error.reason) from error
        _ = self.vias, self.call_id, self.content_type
        if self.flaw is not None:
            raise self.flaw
        if self.cseq.method != self.method:
            raise ProtocolError("CSeq: expected the request's method")
        if (hops := self.headers.get("Max-Forwards")) is not None:
            grammar.parse_decimal(hops.strip(" \t"), "Max-Forwards", 255)
        if (expires := self.headers.get("Expires")) is not None:
            grammar.parse_decimal(expires.strip(" \t"), "Expires", MAX_EXPIRES)

    def serialize(self) -> bytes:
        """Return the request as it is sent."""
        return self._serialize(f"{self.method} {self.uri_text} {VERSION}")


class Response(Message):
    """A response.

    Attributes:
        status: 100 to 699.
        reason: its phrase; any text, even none.
    """

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    @property
    def is_final(self) -> bool:
        """Whether no other response follows."""
        return self.status >= 200

    def check(self) -> None:
        """Ask for what is needed to tell which request it answers.

        Raises:
            ProtocolError: it is not there.
        """
        _ = self.vias, self.cseq, self.from_address, self.to_address, self.call_id
        _ = self.contacts, self.record_route, self.content_type

    def serialize(self) -> bytes:
        """Return the response as it is sent."""
        return self._serialize(f"{VERSION} {self.status} {self.reason}")


def parse_message(data: bytes) -> Request | Response:
    """Read one message: a datagram, or what a `StreamFramer` returned.

    What follows the body is ignored, as section 18.3 wants it of datagrams.

    Raises:
        ProtocolError: it has not the shape of a message.
    """
    end = HEAD_END.search(data)
    if end is None or end.end() > MAX_HEAD_BYTES:
        raise ProtocolError(f"expected an empty line within {MAX_HEAD_BYTES} octets")
    # Octets that are no UTF-8 survive as surrogates, so that what is echoed is what was sent.
    head = data[: end.start()].decode("utf-8", "surrogateescape").lstrip("\r\n")
    start_line, *lines = _LINE_END.split(_FOLD.sub(" ", head))
    headers = Headers()
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or "\r" in line:
            raise ProtocolError("header: expected a name and a colon")
        headers.append_received(name.rstrip(" \t"), value.strip(" \t"))
    body = data[end.end() :]
    if status := _STATUS.fullmatch(start_line):
        return Response(int(status[1]), status[2] or "", headers, _body(headers, body))
    method, _, rest = start_line.partition(" ")
    uri, _, version = rest.rpartition(" ")
    if not grammar.is_token(method) or not _VERSION.fullmatch(version):
        raise ProtocolError("expected a request line or a status line")
    request = Request(method, uri, headers, version=version)
    try:
        request.body = _body(headers, body)
    except ProtocolError as flaw:
        request.flaw = flaw
    return request


def _body(headers: Headers, octets: bytes) -> bytes:
    """Return the body: as long as Content-Length says, or all there is if it says nothing."""
    values = {value.strip(" \t") for value in headers.lines("Content-Length")}
    if not values:
        length = len(octets)
    elif len(values) == 1:
        length = grammar.parse_decimal(values.pop(), "Content-Length", MAX_BODY_BYTES)
    else:
        raise ProtocolError("Content-Length: expected one")
    if length > len(octets):
        raise ProtocolError("Content-Length: expected no more than the octets received")
    return octets[:length]
