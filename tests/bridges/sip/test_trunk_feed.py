"""Trunks are fetched again and again, and hold while the sidecar is away."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_network

from bridges.race import cancel
from bridges.sip.resolver import Resolver
from bridges.sip.trunk_book import Admitted, Denied, TrunkBook
from bridges.sip.trunk_feed import TrunkFeed
from contracts.trunk import BridgeTrunks, Trunk
from sidecar.client import Unavailable
from tests.fakes.virtual_time import virtual_time

CARRIER = Trunk(name="c", trunk_id="c", inbound_addresses=["192.0.2.1"])
EXTENSION = Trunk(
    name="e", trunk_id="e", address="pbx.example", username="1", register_expires_s=60
)


class Sidecar:
    """Answers with what it was given, or is away."""

    def __init__(self, *trunks: Trunk) -> None:
        self.trunks: tuple[Trunk, ...] | None = trunks
        self.asked = 0

    async def bridge_trunks(self) -> BridgeTrunks:
        self.asked += 1
        if self.trunks is None:
            raise Unavailable("away")
        return BridgeTrunks(trunks=list(self.trunks))


async def look_up(host: str, family: socket.AddressFamily) -> list[str]:
    if host == "pbx.example":
        return ["192.0.2.50"]
    raise OSError


def feed(sidecar: Sidecar) -> tuple[TrunkFeed, list[TrunkBook]]:
    books: list[TrunkBook] = []
    resolver = Resolver(socket.AF_INET, lambda: 0.0, look_up)
    allowed = (ip_network("127.0.0.0/8"),)
    return TrunkFeed(sidecar, resolver, allowed, books.append), books


@virtual_time
async def test_last_trunks_hold_while_the_sidecar_is_away() -> None:
    sidecar = Sidecar(CARRIER)
    fresh, books = feed(sidecar)
    running = asyncio.create_task(fresh.run())
    await asyncio.sleep(5)
    sidecar.trunks = None
    await asyncio.sleep(60)
    assert sidecar.asked == 7
    (book,) = books
    assert book.judge("192.0.2.1", "1", "") == Admitted(CARRIER)
    sidecar.trunks = ()
    await asyncio.sleep(10)
    assert books[-1].judge("192.0.2.1", "1", "") == Denied()
    await cancel(running)


@virtual_time
async def test_first_trunks_are_asked_for_more_often() -> None:
    sidecar = Sidecar()
    sidecar.trunks = None
    fresh, books = feed(sidecar)
    running = asyncio.create_task(fresh.run())
    await asyncio.sleep(4.5)
    assert (sidecar.asked, books) == (5, [])
    await cancel(running)


@virtual_time
async def test_what_has_not_changed_is_not_told() -> None:
    fresh, books = feed(Sidecar(CARRIER))
    await fresh.refresh()
    await fresh.refresh()
    assert len(books) == 1


@virtual_time
async def test_pbx_that_we_register_with_may_call() -> None:
    lost = EXTENSION.model_copy(update={"trunk_id": "l", "address": "nowhere.example"})
    fresh, books = feed(Sidecar(EXTENSION, lost))
    await fresh.refresh()
    assert books[0].judge("192.0.2.50", "1", "") == Admitted(EXTENSION)
