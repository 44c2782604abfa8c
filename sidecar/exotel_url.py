"""Where Exotel opens a call's stream: at which bridge, and what the bot is to know. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from sidecar.denial import Code, Denied

CUSTOM_PREFIX = "call."
"""Of parameters that are handed on: `call.campaign=spring` is `{{call.campaign}}` to the bot."""
MAX_CUSTOM = 3
MAX_QUERY_CHARS = 256
MAX_URL_CHARS = 600
"""Exotel's limits."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_OURS = frozenset({"token", "sample_rate", "call_sid", "account_sid"})
_PLACE = re.compile(
    r"(?:(?P<host>[A-Za-z0-9][A-Za-z0-9._-]{0,199})=)?"
    r"(?P<url>wss?://[A-Za-z0-9.\-\[\]:]{1,260}(?:/[A-Za-z0-9._~/-]*)?)"
)
_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(?::[0-9]{1,5})?")
_SCHEMES = {"https": "wss", "http": "ws", "wss": "wss", "ws": "ws"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bridge is reached from outside.

    Attributes:
        url: `wss://host[/path]`.
        host: the machine the bridge says it is on; "" where nobody has told.
    """

    url: str
    host: str = ""

    @classmethod
    def parse(cls, text: str) -> Place:
        """Return the place that `[host=]wss://…` names.

        Raises:
            ValueError: it names none.
        """
        match = _PLACE.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not [host=]wss://…")
        return cls(match["url"].rstrip("/"), match["host"] or "")

    @classmethod
    def of_request(cls, scheme: str, host: str) -> Place:
        """Return where a request itself went, for a proxy that serves all our parts.

        Raises:
            Denied: its `Host` is none.
        """
        if not _HOST.fullmatch(host) or scheme not in _SCHEMES:
            raise Denied(Code.BODY_INVALID, "the request names no host; set STREAM_PUBLIC_URL")
        return cls(f"{_SCHEMES[scheme]}://{host}")


def choose(places: Sequence[Place], free: Mapping[str, int], chance: Callable[[], float]) -> Place:
    """Return where the next stream goes: to the most free slots, else anywhere.

    Args:
        places: at least one.
        free: slots by host, of the bridges that are known to take calls.
        chance: returns a number from 0 to 1 (without it).
    """
    most = max((free.get(place.host, 0) for place in places), default=0)
    best = [place for place in places if most and free.get(place.host, 0) == most]
    among = best or [place for place in places if not place.host] or places
    return among[int(chance() * len(among))]


def custom_of(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters that a query asks to hand on.

    Raises:
        Denied: they are more than Exotel carries, or not to be had under these names.
    """
    found: dict[str, str] = {}
    for key, value in pairs:
        if not key.startswith(CUSTOM_PREFIX):
            continue
        name = key.removeprefix(CUSTOM_PREFIX)
        if not _NAME.fullmatch(name) or name.lower() in _OURS:
            raise Denied(Code.BODY_INVALID, f"no parameter can be called {name[:64]!r}")
        if name in found:
            raise Denied(Code.BODY_INVALID, f"{CUSTOM_PREFIX}{name} is there twice")
        found[name] = value
    if len(found) > MAX_CUSTOM:
        raise Denied(Code.BODY_INVALID, f"Exotel carries {MAX_CUSTOM} parameters, no more")
    return found


def stream_url(
    place: Place, bot_id: str, custom: Mapping[str, str], *, rate_hz: int = 8000, token: str = ""
) -> str:
    """Return the URL of a bot's stream.

    Args:
        place: whose bridge.
        bot_id: the bot.
        custom: what else Exotel hands on in `start.custom_parameters`.
        rate_hz: samples a second.
        token: what lets the stream in.

    Raises:
        Denied: it is longer than Exotel takes.
    """
    query = {} if rate_hz == 8000 else {"sample-rate": str(rate_hz)}
    query |= {"token": token} if token else {}
    text = urlencode({**query, **custom}, quote_via=quote)
    if len(text) > MAX_QUERY_CHARS:
        raise Denied(Code.BODY_INVALID, f"the query has more than {MAX_QUERY_CHARS} characters")
    url = f"{place.url}/exotel/{quote(bot_id, safe='')}{'?' * bool(text)}{text}"
    if len(url) > MAX_URL_CHARS:
        raise Denied(Code.BODY_INVALID, f"the URL has more than {MAX_URL_CHARS} characters")
    return url
