"""Signalling in this process, with media processes that obey a script."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridges.race import cancel
from bridges.sip import ipc
from bridges.sip.dialog_store import DialogStore
from bridges.sip.driver import Driver
from bridges.sip.media_link import LinkLost, MediaLink
from bridges.sip.metrics import Metrics
from bridges.sip.registrar import Registrar
from bridges.sip.settings import SipSettings
from bridges.sip.switchboard import GUARD_S, Switchboard
from bridges.sip.trunk_book import TrunkBook
from bridges.wire.sip.flow import Transport
from contracts.trunk import Trunk
from tests.fakes.ports import free_port
from tests.fakes.sip_media import FakeMedia, opened


@dataclass(slots=True)
class Exchange:
    """What a test holds in its hands."""

    board: Switchboard
    driver: Driver
    store: DialogStore
    settings: SipSettings
    medias: list[FakeMedia]
    has_crashed: bool = False

    def crash(self) -> None:
        """Let the end be that of a process struck dead: nobody is told anything."""
        self.has_crashed = True

    @property
    def media(self) -> FakeMedia:
        """The only media process."""
        (media,) = self.medias
        return media

    @property
    def port(self) -> int:
        """Where UDP and TCP are answered."""
        return self.driver.transports.ports[Transport.UDP]

    @property
    def tls_port(self) -> int:
        """Where TLS is answered."""
        return self.driver.transports.ports[Transport.TLS]

    def admit(self, *trunks: Trunk) -> None:
        """Go by these trunks from now on."""
        self.board.trunks_changed(TrunkBook(self.settings.sip_allowed_peers, trunks))


def settings_of(folder: Path, **changes: Any) -> SipSettings:
    """Return settings that a test can run on."""
    values: dict[str, Any] = {
        # Of any that the system gives for TCP, somebody may have the same for UDP.
        "sip_port": free_port(),
        "sip_tls_port": 0,
        "sip_health_port": 0,
        "sip_state_dir": folder,
    }
    return SipSettings(**(values | changes))


@asynccontextmanager
async def exchange(
    folder: Path,
    *,
    trunks: Sequence[Trunk] = (),
    media: int = 1,
    max_calls: int = 8,
    guard_s: float = GUARD_S,
    **changes: Any,
) -> AsyncIterator[Exchange]:
    """Run signalling on loopback sockets."""
    settings = settings_of(folder, **changes)
    store = DialogStore(settings.sip_state_dir)
    store.open()
    board = Switchboard(settings, store, Metrics(), time.monotonic, guard_s)
    driver = Driver(settings, board, time.monotonic)
    driver.open()
    board.driver = driver
    board.registrar = Registrar(driver.endpoint, time.monotonic)
    running = Exchange(board, driver, store, settings, [])
    running.admit(*trunks)
    tasks: list[asyncio.Task[None]] = []
    for number in range(media):
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=ipc.MAX_LINE_BYTES)
        link = MediaLink(reader, writer, time.monotonic)
        fake = await opened(theirs, max_calls=max_calls, bridge_id=f"media-{number}")
        board.link_opened(link)
        tasks += [asyncio.create_task(_keep(board, link)), asyncio.create_task(fake.run())]
        running.medias.append(fake)
    await eventually(lambda: all(link.max_calls for link in board.links))
    try:
        yield running
    finally:
        if running.has_crashed:
            board.links.clear()
        else:
            board.hang_up()
        await driver.close()
        for fake in running.medias:
            fake.close()
        await cancel(*tasks)
        store.close()


async def eventually(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Wait for what nobody tells of."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def _keep(board: Switchboard, link: MediaLink) -> None:
    try:
        await link.run(lambda order: board.order_arrived(link, order))
    except LinkLost:
        if link in board.links:
            board.link_lost(link)
