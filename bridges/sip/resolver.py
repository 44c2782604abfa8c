"""Names of carriers become addresses: A or AAAA records, by the system's resolver.

No NAPTR or SRV (RFC 3263): a trunk names its host, port and transport. Of several addresses the one
in use is kept for as long as it is among them, so that an INVITE and its CANCEL, or the requests of
one call, go to one machine.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

TIMEOUT_S = 5.0
KEPT_S = 60.0
"""The system's resolver does not tell how long a record is good for."""
MAX_NAMES = 1000

Lookup = Callable[[str, socket.AddressFamily], Awaitable[list[str]]]


class NoAddress(Exception):
    """The name has no address, or nobody told it in time. The text says which."""


async def look_up(host: str, family: socket.AddressFamily) -> list[str]:
    """Ask the system's resolver; `OSError` if it knows no address of that family."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, family=family, type=socket.SOCK_DGRAM)
    return [str(each[4][0]) for each in found]


def is_literal(host: str) -> bool:
    """Tell whether a host is an address already."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Resolver:
    """Looks names up, each once a minute at most, and once at a time."""

    def __init__(
        self,
        family: socket.AddressFamily,
        now: Callable[[], float],
        look_up: Lookup = look_up,
    ) -> None:
        self._family = family
        self._now = now
        self._look_up = look_up
        self._found: dict[str, tuple[float, list[str]]] = {}
        self._asked: dict[str, asyncio.Task[list[str]]] = {}

    def known(self, host: str) -> list[str]:
        """Return the addresses of a host where nobody has to be asked, else nothing."""
        if is_literal(host):
            return [host]
        asked_at, addresses = self._found.get(host, (0.0, []))
        return addresses if self._now() - asked_at < KEPT_S else []

    async def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host, the preferred one first.

        Raises:
            NoAddress: there are none.
        """
        if known := self.known(host):
            return known
        if (task := self._asked.get(host)) is None:
            task = self._asked[host] = asyncio.create_task(self._ask(host), name="look-up")
            task.add_done_callback(lambda _: self._asked.pop(host, None))
        # Shielded: one who gives up must not take the answer from the others.
        return await asyncio.shield(task)

    async def _ask(self, host: str) -> list[str]:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                addresses = list(dict.fromkeys(await self._look_up(host, self._family)))
        except TimeoutError:
            raise NoAddress("the name was not looked up in time") from None
        except (OSError, ValueError) as error:
            raise NoAddress("the name has no address") from error
        if not addresses:
            raise NoAddress("the name has no address")
        _, before = self._found.pop(host, (0.0, []))
        if before and before[0] in addresses:
            addresses.remove(before[0])
            addresses.insert(0, before[0])
        if len(self._found) >= MAX_NAMES:
            del self._found[next(iter(self._found))]
        self._found[host] = (self._now(), addresses)
        return addresses
