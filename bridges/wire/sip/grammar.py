"""The pieces of RFC 3261 section 25.1 that more than one header field is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bridges.wire.sip.error import ProtocolError

Params = tuple[tuple[str, str | None], ...]
"""Parameters in their order; None for one without a value, quoted values with their quotes."""

MAX_PARAMS = 64
"""Parameters of one URI or header field value."""

_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_WHITESPACE = re.compile(r"[ \t\r\n]+")
_HOST = re.compile(
    r"(?:(?:[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?\.?"
    r"|\[[0-9A-Fa-f:.]+\])"
)
"""Underscores are no part of a host's name, but of names that real peers have."""
_GENERIC_VALUE = re.compile(r"[^\s\";,<>?\x00-\x1f\x7f]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def is_token(text: str) -> bool:
    """Tell whether `text` is a token."""
    return _TOKEN.fullmatch(text) is not None


def is_host(text: str) -> bool:
    """Tell whether `text` is a host name, an IPv4 address or an IPv6 address in brackets."""
    return _HOST.fullmatch(text) is not None


def collapse(text: str) -> str:
    """Return `text` with each run of linear white space, folds included, as one space.

    White space means the same everywhere but in quoted strings, where a fold is one space too.
    """
    return _WHITESPACE.sub(" ", text).strip(" ")


def parse_decimal(text: str, what: str, most: int) -> int:
    """Return the number `text` spells.

    Raises:
        ProtocolError: not decimal digits, or more than `most`.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) > most:
        raise ProtocolError(f"{what}: expected a number up to {most}, got {len(text)} characters")
    return int(text)


def parse_host_port(text: str, what: str) -> tuple[str, int | None]:
    """Return the host, an IPv6 address with its brackets, and the port.

    Raises:
        ProtocolError: anything else.
    """
    host, colon, port = text.strip(" "), "", ""
    if "]" in host or host.count(":") == 1:
        end = host.find("]") + 1
        head, tail = host[:end], host[end:]
        name, colon, port = tail.partition(":")
        host = head + name
    host, port = host.rstrip(" "), port.lstrip(" ")
    if not is_host(host):
        raise ProtocolError(f"{what}: expected a host")
    return host, parse_decimal(port, f"{what} port", 65535) if colon else None


def split_outside(text: str, separator: str, *, brackets: bool = True) -> Iterator[str]:
    """Yield the parts of `text` between separators outside of quotes and angle brackets.

    Raises:
        ProtocolError: a quote or a bracket is not closed.
    """
    start = place = 0
    bracketed = False
    while place < len(text):
        character = text[place]
        if character == '"' and not bracketed:
            quoted = _QUOTED.match(text, place)
            if quoted is None:
                raise ProtocolError("expected a closing quote")
            place = quoted.end()
            continue
        if brackets and character == "<":
            bracketed = True
        elif brackets and character == ">":
            bracketed = False
        elif character == separator and not bracketed:
            yield text[start:place]
            start = place + 1
        place += 1
    if bracketed:
        raise ProtocolError("expected a closing bracket")
    yield text[start:]


def quote(text: str) -> str:
    """Return `text` as a quoted string; control characters become spaces."""
    clean = "".join(
        " " if character < " " or character == "\x7f" else character for character in text
    )
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """Return what a quoted string says, or `text` itself if it is none."""
    if len(text) < 2 or not _QUOTED.fullmatch(text):
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def parse_params(text: str, what: str) -> Params:
    """Return the parameters of `;name=value;name`, with names in lower case.

    Raises:
        ProtocolError: an empty parameter, a name that is no token, a value that is neither token,
            host nor quoted string, a name given twice, or more than `MAX_PARAMS`.
    """
    if not text.strip(" "):
        return ()
    first, *parts = split_outside(text, ";", brackets=False)
    if first.strip(" ") or len(parts) > MAX_PARAMS:
        raise ProtocolError(
            f"{what}: expected at most {MAX_PARAMS} parameters, each after a semicolon"
        )
    params: list[tuple[str, str | None]] = []
    for part in parts:
        name, equals, value = (each.strip(" ") for each in part.partition("="))
        name = name.lower()
        if not is_token(name) or any(name == other for other, _ in params):
            raise ProtocolError(f"{what}: expected each parameter to have a name of its own")
        if equals and not (_GENERIC_VALUE.fullmatch(value) or _QUOTED.fullmatch(value)):
            raise ProtocolError(f"{what}: expected a value of the parameter")
        params.append((name, value if equals else None))
    return tuple(params)


def format_params(params: Params) -> str:
    """Return the parameters as they are written."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params)


def param(params: Params, name: str) -> str | None:
    """Return the parameter's value, `""` if it has none, None if it is not there."""
    for each, value in params:
        if each == name:
            return value or ""
    return None


def with_param(params: Params, name: str, value: str | None) -> Params:
    """Return the parameters with this one set, in its place if it was there."""
    if any(each == name for each, _ in params):
        return tuple((each, value if each == name else old) for each, old in params)
    return (*params, (name, value))
