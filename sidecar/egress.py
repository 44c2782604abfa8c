"""Where the platform may send things on a tenant's word: one guard for every such address."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from ipaddress import IPv4Address, IPv6Network, ip_address

import httpx

MAX_PORT = 65_535
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""How a network without IPv4 names its addresses, private ones too: they are the last 32 bits."""
_BY_OTHER_NAMES = tuple(map(IPv6Network, ("::/96", "64:ff9b:1::/48", "2002::/16", "fec0::/10")))
"""Where IPv4 addresses may hide as well, and old private ones. No host of today is here alone."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


def keep_no_cookies(http: httpx.AsyncClient) -> None:
    """Let a client forget what it is told to remember.

    It knows receivers by their addresses, which those of two tenants may share.
    """
    http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))


class EgressRefused(Exception):
    """Nothing is sent there."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that passed, pinned: what was checked is what is connected to."""

    url: httpx.URL
    host_header: str
    server_name: str


async def resolve(host: str, port: int) -> list[str]:
    """Return every address of a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class EgressGuard:
    """Lets http and https through to public addresses; to private ones only where told so."""

    def __init__(self, *, allow_private: bool, resolve: Resolve = resolve) -> None:
        self._allow_private = allow_private
        self._resolve = resolve

    async def check(self, url: str) -> Target:
        """Return where to send.

        Raises:
            EgressRefused: not an address to send to; the message says why.
        """
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, TypeError) as error:
            raise EgressRefused("the URL cannot be read") from error
        # As it goes over the wire: spelt out, a name may be none, or become another's.
        host = parsed.raw_host.decode("ascii")
        if parsed.scheme not in ("http", "https") or not host:
            raise EgressRefused("only http and https URLs with a host are allowed")
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        if port > MAX_PORT:
            raise EgressRefused("there is no such port")
        addresses = await self.addresses(host, port)
        return Target(parsed.copy_with(host=addresses[0]), parsed.netloc.decode("ascii"), host)

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return where a host is that may be sent to.

        Raises:
            EgressRefused: it is unknown, or somewhere private; the message says which.
        """
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise EgressRefused(f"the host {host} is unknown") from error
        if not addresses:
            raise EgressRefused(f"the host {host} has no address")
        if not self._allow_private and not all(map(_is_public, addresses)):
            raise EgressRefused("private and loopback addresses are not allowed")
        return addresses


def _is_public(address: str) -> bool:
    ip = ip_address(address.partition("%")[0])
    if ip in _TRANSLATED:
        ip = IPv4Address(int(ip) & 0xFFFFFFFF)
    if any(ip in network for network in _BY_OTHER_NAMES):
        return False
    return ip.is_global and not ip.is_multicast
