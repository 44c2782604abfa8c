"""Session descriptions, RFC 8866: text to records and back. What they mean for a call is
`bridges.wire.media_plan`.

Read leniently where phones and carriers are careless (order of lines, bare line feeds, a missing
`s=` or `t=`) and strictly where a mistake would cost audio. Lines and attributes nobody here reads
are kept as attributes or left out; an attribute that is malformed counts as absent.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

MAX_SDP_BYTES = 16 * 1024
MAX_LINES = 512
MAX_LINE_CHARS = 2048
MAX_MEDIA = 16
MAX_FORMATS = 64
"""Formats of one `m=` line; payload types end at 127."""
SRTP_KEY_BYTES = 30
"""RFC 4568 section 6.2: a 16 byte master key, then a 14 byte master salt."""


class SdpError(Exception):
    """The text is no session description: answer 400, or 488 where a dialog exists already.

    Attributes:
        reason: what was expected and what was found. Holds nothing the peer sent but line types
            and lengths, so it may be logged.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Direction(Enum):
    """Which way media flows, seen from the side that says so."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether the side that says so may send."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether the side that says so wants to receive."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    def mirrored(self) -> Direction:
        """Return the same flow as the other side says it (RFC 3264 section 6.1)."""
        return {
            Direction.SENDONLY: Direction.RECVONLY,
            Direction.RECVONLY: Direction.SENDONLY,
        }.get(self, self)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An `a=` line: `a=name` or `a=name:value`."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """The `o=` line. Ids and versions of peers need not be numbers that fit anywhere."""

    username: str
    session_id: str
    version: str
    address: str


@dataclass(frozen=True, slots=True)
class RtpMap:
    """What a payload type carries: `a=rtpmap:8 PCMA/8000`; the encoding's name in capitals."""

    encoding: str
    rate_hz: int
    channels: int = 1


@dataclass(frozen=True, slots=True)
class Crypto:
    """An SDES key, RFC 4568: `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:…`.

    `key` is the master key and salt together, `SRTP_KEY_BYTES` long. Keys stay out of `repr`.
    """

    tag: str
    suite: str
    key: bytes

    def __repr__(self) -> str:
        return f"Crypto(tag={self.tag!r}, suite={self.suite!r})"

    def serialize(self) -> Attribute:
        """Return the attribute that says so."""
        inline = base64.b64encode(self.key).decode("ascii")
        return Attribute("crypto", f"{self.tag} {self.suite} inline:{inline}")


@dataclass(frozen=True, slots=True)
class Media:
    """One `m=` line with what belongs to it; `address` is its own `c=`, None without one."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    address: str | None = None
    attributes: tuple[Attribute, ...] = ()

    def attribute(self, name: str) -> str | None:
        """Return the value of the first attribute of that name, "" if it has none."""
        return next(_values(self.attributes, name), None)

    def payload_types(self) -> tuple[int, ...]:
        """Return the formats that are RTP payload types, in the order of preference."""
        return tuple(int(each) for each in self.formats if _is_number(each, 127))

    def rtpmaps(self) -> dict[int, RtpMap]:
        """Return what `a=rtpmap` says of each payload type."""
        maps: dict[int, RtpMap] = {}
        for value in _values(self.attributes, "rtpmap"):
            number, _, encoding = value.strip().partition(" ")
            name, rate, channels, *_ = [*encoding.strip().split("/"), "", ""]
            usable = _is_number(number, 127) and _is_number(rate, 1_000_000)
            if name and usable and _is_number(channels or "1", 64):
                maps[int(number)] = RtpMap(name.upper(), int(rate), int(channels or "1"))
        return maps

    def milliseconds(self, name: str) -> int | None:
        """Return `a=ptime` or `a=maxptime`; None where it is absent or no sensible number."""
        value = (self.attribute(name) or "").strip()
        return int(value) if _is_number(value, 1000) and int(value) else None

    def cryptos(self) -> list[Crypto]:
        """Return the usable keys in the order of preference.

        Lines with a master key identifier or a session parameter are not usable: both change what
        a packet looks like (RFC 4568 section 6.3). A lifetime is longer than any call.
        """
        parsed = (_parse_crypto(value) for value in _values(self.attributes, "crypto"))
        return [crypto for crypto in parsed if crypto is not None]


@dataclass(frozen=True, slots=True)
class Session:
    """A whole description; `address` is the session's `c=`, None without one."""

    origin: Origin
    address: str | None
    media: tuple[Media, ...]
    attributes: tuple[Attribute, ...] = ()
    name: str = "-"

    @classmethod
    def parse(cls, data: bytes) -> Session:
        """Read a description.

        Raises:
            SdpError: too large, or not a description.
        """
        lines = _lines(data)
        at = next((at for at, (kind, _) in enumerate(lines) if kind == "m"), len(lines))
        head = lines[:at]
        if not head or head[0] != ("v", "0"):
            raise SdpError("expected v=0 first")
        sections: list[list[tuple[str, str]]] = []
        for kind, value in lines[at:]:
            if kind == "m":
                sections.append([])
            sections[-1].append((kind, value))
        if len(sections) > MAX_MEDIA:
            raise SdpError(f"{len(sections)} media, limit {MAX_MEDIA}")
        return cls(
            _parse_origin(_first(head, "o")),
            _parse_connection(_first(head, "c")),
            tuple(_parse_media(section) for section in sections),
            _parse_attributes(head),
            _first(head, "s") or "-",
        )

    def serialize(self) -> bytes:
        """Return the description's text."""
        origin = self.origin
        lines = [
            "v=0",
            f"o={origin.username} {origin.session_id} {origin.version} {_network(origin.address)}",
            f"s={self.name}",
            *([f"c={_network(self.address)}"] if self.address else []),
            "t=0 0",
            *map(_serialize_attribute, self.attributes),
        ]
        for media in self.media:
            lines.append(f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}")
            if media.address:
                lines.append(f"c={_network(media.address)}")
            lines += map(_serialize_attribute, media.attributes)
        return "".join(f"{line}\r\n" for line in lines).encode()

    def direction(self, media: Media) -> Direction:
        """Return a medium's direction: its own, else the session's, else `sendrecv`."""
        for attribute in (*media.attributes, *self.attributes):
            if attribute.value is None and attribute.name in _DIRECTIONS:
                return _DIRECTIONS[attribute.name]
        return Direction.SENDRECV


_DIRECTIONS = {direction.value: direction for direction in Direction}


def _lines(data: bytes) -> list[tuple[str, str]]:
    if len(data) > MAX_SDP_BYTES:
        raise SdpError(f"{len(data)} bytes, limit {MAX_SDP_BYTES}")
    # Only free text (s=, i=) may hold more than ASCII; no encoding of it may cost a call.
    texts = data.decode("utf-8", "replace").split("\n")
    if len(texts) > MAX_LINES:
        raise SdpError(f"{len(texts)} lines, limit {MAX_LINES}")
    lines: list[tuple[str, str]] = []
    for number, text in enumerate(texts, start=1):
        line = text.removesuffix("\r")
        if not line:
            continue
        if len(line) > MAX_LINE_CHARS:
            raise SdpError(f"line {number}: {len(line)} characters, limit {MAX_LINE_CHARS}")
        if line[1:2] != "=" or "\0" in line or "\r" in line:
            raise SdpError(f"line {number}: expected a letter, an equals sign and a value")
        lines.append((line[0], line[2:]))
    return lines


def _first(lines: list[tuple[str, str]], kind: str) -> str | None:
    return next((value for each, value in lines if each == kind), None)


def _values(attributes: tuple[Attribute, ...], name: str) -> Iterator[str]:
    return (each.value or "" for each in attributes if each.name == name)


def _is_number(text: str, most: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= most


def _parse_origin(value: str | None) -> Origin:
    match (value or "").split():
        case [username, session_id, version, "IN", "IP4" | "IP6", address]:
            return Origin(username, session_id, version, address)
    raise SdpError("o=: expected a user, an id, a version and an address")


def _parse_connection(value: str | None) -> str | None:
    if value is None:
        return None
    match value.split():
        case ["IN", "IP4" | "IP6", address]:
            return address.partition("/")[0] or None
    raise SdpError("c=: expected IN, IP4 or IP6 and an address")


def _parse_media(lines: list[tuple[str, str]]) -> Media:
    kind, port, protocol, *formats = [*lines[0][1].split(), "", "", ""][: MAX_FORMATS + 6]
    formats = [each for each in formats if each]
    number = port.partition("/")[0]
    if not formats or not _is_number(number, 65535):
        raise SdpError("m=: expected a kind, a port, a protocol and formats")
    if len(formats) > MAX_FORMATS:
        raise SdpError(f"m=: more than {MAX_FORMATS} formats")
    return Media(
        kind.lower(),
        int(number),
        protocol,
        tuple(formats),
        _parse_connection(_first(lines, "c")),
        _parse_attributes(lines),
    )


def _parse_attributes(lines: list[tuple[str, str]]) -> tuple[Attribute, ...]:
    attributes = []
    for kind, text in lines:
        if kind == "a":
            name, colon, value = text.partition(":")
            attributes.append(Attribute(name.strip(), value.strip() if colon else None))
    return tuple(attributes)


def _parse_crypto(value: str) -> Crypto | None:
    match value.split():
        case [tag, suite, parameters] if _is_number(tag, 999_999_999):
            method, _, info = parameters.partition(":")
            inline, *extras = info.split("|")
            # A lifetime is a number or a power of two, a key identifier has a colon.
            if method.lower() != "inline" or ";" in info or any(":" in each for each in extras):
                return None
            try:
                key = base64.b64decode(inline, validate=True)
            except ValueError:  # not base64, or not even ASCII
                return None
            return Crypto(tag, suite, key) if len(key) == SRTP_KEY_BYTES else None
    return None


def _network(address: str) -> str:
    return f"IN {'IP6' if ':' in address else 'IP4'} {address}"


def _serialize_attribute(attribute: Attribute) -> str:
    value = attribute.value
    return f"a={attribute.name}" if value is None else f"a={attribute.name}:{value}"
