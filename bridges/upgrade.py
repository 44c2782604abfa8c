"""What an upgrade request says: which door and bot, with which token, from which address."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.datastructures import Headers

from bridges.settings import Network
from contracts.ids import Channel

MAX_BOT_ID_CHARS = 128
MAX_RATE_CHARS = 16
_STREAM_PATH = re.compile(r"/(ws|exotel)/([^/]+)")
_DOORS = {"ws": Channel.WEBSOCKET, "exotel": Channel.EXOTEL}


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A carrier wants a stream.

    Attributes:
        channel: by which door it comes.
        url_rate: the sample rate its URL asks for; "": none.
    """

    bot_id: str
    token: str = field(repr=False)
    peer_ip: str
    channel: Channel = Channel.WEBSOCKET
    url_rate: str = ""


def parse_upgrade(
    path: str, headers: Headers, socket_ip: str, trusted_proxies: Sequence[Network]
) -> Upgrade | None:
    """Return what the request asks for, or None where its path is no stream's."""
    try:
        url = urlsplit(path)
    except ValueError:
        return None
    match = _STREAM_PATH.fullmatch(url.path)
    if match is None:
        return None
    bot_id = unquote(match[2])
    if len(bot_id) > MAX_BOT_ID_CHARS:
        return None
    query = parse_qs(url.query)
    return Upgrade(
        bot_id,
        _presented_token(query, headers),
        _peer_ip(headers, socket_ip, trusted_proxies),
        _DOORS[match[1]],
        _asked_rate(query),
    )


def _asked_rate(query: Mapping[str, Sequence[str]]) -> str:
    # One of the vendor's examples has it with an underscore.
    asked = [*query.get("sample-rate", []), *query.get("sample_rate", [])]
    return next((rate for rate in asked if len(rate) <= MAX_RATE_CHARS), "")


def _presented_token(query: Mapping[str, Sequence[str]], headers: Headers) -> str:
    for token in query.get("token", []):
        return token
    for token in headers.get_all("X-Stream-Token"):
        return token.strip()
    for authorization in headers.get_all("Authorization"):
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return credentials.strip()
        if scheme.lower() == "basic":
            return _basic_password(credentials.strip())
    return ""


def _basic_password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _peer_ip(headers: Headers, socket_ip: str, trusted_proxies: Sequence[Network]) -> str:
    """Return the nearest address that is not one of our proxies."""
    hops = [hop.strip() for line in headers.get_all("X-Forwarded-For") for hop in line.split(",")]
    peer_ip = socket_ip
    while hops and _is_trusted(peer_ip, trusted_proxies):
        peer_ip = hops.pop()
    return peer_ip


def _is_trusted(address: str, trusted_proxies: Sequence[Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted_proxies)
