"""Where a request goes to: SIP and SIPS URIs, and the `tel` URIs that carriers send instead."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.grammar import MAX_PARAMS, parse_host_port

UNSUPPORTED_SCHEME = 416

MAX_URI_CHARACTERS = 2048

_USER = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#\[\]]|%[0-9A-Fa-f]{2})*")
"""It may be empty, which is wrong but what a PBX sends for a caller who hides; `#` and brackets
should be escaped, but carriers write them as they are."""
_PASSWORD = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,]|%[0-9A-Fa-f]{2})*")
_PARAM = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$]|%[0-9A-Fa-f]{2})+")
_HEADERS = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()\[\]/?:+$=&]|%[0-9A-Fa-f]{2})+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
_SUBSCRIBER = re.compile(r"\+?[0-9A-Fa-f*#\-.()]+")
_UNESCAPED = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()&=+$,;?/"
)


@dataclass(frozen=True, slots=True)
class Uri:
    """A SIP, SIPS or `tel` URI.

    Attributes:
        scheme: `sip`, `sips` or `tel`.
        host: a name or an address, IPv6 in brackets; `""` of a `tel` URI.
        port: None where the URI names none.
        user: as it is written, escapes and all: parts of a user are compared octet by octet, and
            a request goes out with the URI it was given. `name` is what it says. The number of a
            `tel` URI.
        password: as it is written; None where there is none.
        params: names in lower case; a value of None is a parameter without one.
        headers: what follows the question mark, as it is written.
    """

    scheme: str
    host: str
    port: int | None = None
    user: str | None = None
    password: str | None = None
    params: tuple[tuple[str, str | None], ...] = ()
    headers: str = ""

    @classmethod
    def parse(cls, text: str) -> Uri:
        """Read a URI.

        Raises:
            ProtocolError: it is none; with status 416 if it is one of another scheme.
        """
        if len(text) > MAX_URI_CHARACTERS:
            raise ProtocolError(f"URI: expected at most {MAX_URI_CHARACTERS} characters", 414)
        scheme, colon, rest = text.partition(":")
        if not colon or not _SCHEME.fullmatch(scheme):
            raise ProtocolError("URI: expected a scheme")
        match scheme.lower():
            case "sip" | "sips" as known:
                return _parse_sip(known, rest)
            case "tel":
                return _parse_tel(rest)
        raise ProtocolError("URI: expected sip, sips or tel", UNSUPPORTED_SCHEME)

    @property
    def name(self) -> str:
        """The user part as people read it: escapes undone, a `tel` number without separators.

        What is no text once unescaped, control characters included, is replaced; parameters within
        the user are cut off.
        """
        user = (self.user or "").partition(";")[0]
        if self.scheme == "tel":
            return re.sub(r"[\-.()]", "", user)
        text = unquote_to_bytes(user).decode("utf-8", "replace")
        return "".join(each if each.isprintable() else "\ufffd" for each in text)

    def param(self, name: str) -> str | None:
        """Return the parameter's value, `""` if it has none, None if it is not there."""
        for each, value in self.params:
            if each == name:
                return value or ""
        return None

    def without_headers(self) -> Uri:
        """Return the URI as a request may carry it (RFC 3261 section 19.1.1, table 1)."""
        kept = tuple(each for each in self.params if each[0] != "method")
        return replace(self, headers="", params=kept)

    def serialize(self) -> str:
        """Return the URI as it is written."""
        params = "".join(
            f";{name}" if value is None else f";{name}={value}" for name, value in self.params
        )
        if self.scheme == "tel":
            return f"tel:{self.user}{params}"
        password = "" if self.password is None else f":{self.password}"
        user = "" if self.user is None else f"{self.user}{password}@"
        port = "" if self.port is None else f":{self.port}"
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{self.host}{port}{params}{headers}"


def escape_user(text: str) -> str:
    """Return `text` as the user part of a URI."""
    octets = text.encode("utf-8", "replace")
    return "".join(chr(each) if each in _UNESCAPED else f"%{each:02X}" for each in octets)


def _parse_sip(scheme: str, rest: str) -> Uri:
    # The user part may hold `;` and `?` but neither `@` nor `:`, so the last `@` before the host
    # ends it; escapes hide any other.
    userinfo, at, hostpart = rest.rpartition("@")
    user = password = None
    if at:
        user, colon, secret = userinfo.partition(":")
        password = secret if colon else None
        if not _USER.fullmatch(user) or not _PASSWORD.fullmatch(secret):
            raise ProtocolError("URI: expected a user of unreserved or escaped characters")
    hostparams, question, headers = hostpart.partition("?")
    if question and not _HEADERS.fullmatch(headers):
        raise ProtocolError("URI: expected headers after the question mark")
    hostport, *params = hostparams.split(";")
    if hostport != hostport.strip():
        raise ProtocolError("URI: expected no space around the host")
    host, port = parse_host_port(hostport, "URI")
    return Uri(scheme, host, port, user, password, _parse_params(params), headers)


def _parse_tel(rest: str) -> Uri:
    number, *params = rest.split(";")
    if not _SUBSCRIBER.fullmatch(number):
        raise ProtocolError("URI: expected a telephone number")
    return Uri("tel", "", user=number, params=_parse_params(params))


def _parse_params(parts: list[str]) -> tuple[tuple[str, str | None], ...]:
    if len(parts) > MAX_PARAMS:
        raise ProtocolError(f"URI: expected at most {MAX_PARAMS} parameters")
    params: list[tuple[str, str | None]] = []
    for part in parts:
        name, equals, value = part.partition("=")
        if not _PARAM.fullmatch(name) or (equals and not _PARAM.fullmatch(value)):
            raise ProtocolError("URI: expected parameters of unreserved or escaped characters")
        params.append((name.lower(), value if equals else None))
    return tuple(params)
