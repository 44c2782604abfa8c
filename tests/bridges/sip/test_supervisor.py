"""Media processes: started, missed and replaced."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from bridges.sip import ipc
from bridges.sip.media_link import SILENCE_S, LinkLost, MediaLink
from bridges.sip.supervisor import Supervisor
from tests.bridges.sip.exchange import eventually, settings_of

# As small as one can be, so that it starts at once: ready, then whatever the test wants of it.
PROCESS = """
import os, socket, sys
line = socket.socket(fileno=int(sys.argv[-1])).makefile("rwb")
start, end = os.environ["RTP_PORT_START"], os.environ["RTP_PORT_END"]
name = f"{start}-{end}"
line.write(b'{"type":"ready","bridge_id":"%s","max_calls":1}\\n' % name.encode())
line.flush()
"""
OBEDIENT = PROCESS + "line.read()\n"
NONSENSE = PROCESS + "line.write(b'what\\n'); line.flush(); line.read()\n"
STUBBORN = PROCESS + "import time\nline.close()\ntime.sleep(60)\n"


class Owner:
    """Counts links."""

    def __init__(self) -> None:
        self.links: list[MediaLink] = []
        self.lost: list[MediaLink] = []

    def link_opened(self, link: MediaLink) -> None:
        self.links.append(link)

    def link_lost(self, link: MediaLink) -> None:
        self.links.remove(link)
        self.lost.append(link)

    def order_arrived(self, link: MediaLink, order: ipc.LegOrder) -> None:
        raise AssertionError

    @property
    def names(self) -> list[str]:
        """The names of the processes that are ready."""
        return sorted(link.bridge_id for link in self.links if link.is_ready)


def media_processes() -> list[psutil.Process]:
    """Return the processes that a supervisor has started here, those of other tests left out."""
    children = psutil.Process().children()
    ours = [each for each in children if each.status() != psutil.STATUS_ZOMBIE]
    return [each for each in ours if "-S" in each.cmdline()]


@asynccontextmanager
async def supervised(
    folder: Path, script: str, processes: int = 1
) -> AsyncIterator[tuple[Supervisor, Owner, list[float]]]:
    """Run processes; what is waited for between two tries is remembered instead."""
    waits: list[float] = []

    async def sleep(delay_s: float) -> None:
        waits.append(delay_s)
        await asyncio.sleep(0)

    owner = Owner()
    settings = settings_of(
        folder, sip_media_processes=processes, rtp_port_start=41001, rtp_port_end=41100
    )
    command = (sys.executable, "-I", "-S", "-c", script)
    supervisor = Supervisor(settings, owner, time.monotonic, command, sleep)
    supervisor.start()
    try:
        yield supervisor, owner, waits
    finally:
        await supervisor.stop()
        assert owner.links == []
        assert media_processes() == []


async def test_processes_share_the_ports(tmp_path: Path) -> None:
    async with supervised(tmp_path, OBEDIENT, processes=2) as (_, owner, _):
        await eventually(lambda: len(owner.names) == 2)
        assert owner.names == ["41002-41051", "41052-41100"]


async def test_process_that_dies_is_replaced(tmp_path: Path) -> None:
    async with supervised(tmp_path, OBEDIENT) as (supervisor, owner, waits):
        await eventually(lambda: len(owner.names) == 1)
        (child,) = media_processes()
        child.kill()
        await eventually(lambda: len(owner.lost) == 1 and len(owner.names) == 1)
        assert supervisor.restarts == 1
        assert waits == [0.5]


@pytest.mark.parametrize("script", [NONSENSE, "raise SystemExit(1)"])
async def test_process_that_is_no_good_is_replaced_ever_more_slowly(
    tmp_path: Path, script: str
) -> None:
    async with supervised(tmp_path, script) as (_, _, waits):
        await eventually(lambda: len(waits) >= 7, timeout_s=20)
        assert waits[:7] == [0.5, 1, 2, 4, 8, 15, 15]


async def test_process_that_closes_its_line_and_stays_is_killed(tmp_path: Path) -> None:
    async with supervised(tmp_path, STUBBORN) as (_, owner, _):
        await eventually(lambda: len(owner.links) == 1)
        (first,) = media_processes()
        await eventually(lambda: not first.is_running())
        await eventually(lambda: len(owner.lost) >= 1)


async def test_process_is_not_replaced_while_draining(tmp_path: Path) -> None:
    async with supervised(tmp_path, OBEDIENT) as (supervisor, owner, waits):
        await eventually(lambda: len(owner.names) == 1)
        supervisor.drain()
        media_processes()[0].kill()
        await eventually(lambda: len(owner.lost) == 1)
        await eventually(lambda: media_processes() == [])
        assert waits == []


async def test_process_that_hangs_is_given_up(tmp_path: Path) -> None:
    now = 0.0
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    link = MediaLink(reader, writer, lambda: now)
    running = asyncio.create_task(link.run(lambda _: None))
    with theirs:
        theirs.sendall(ipc.serialize(ipc.Ready(bridge_id="m", max_calls=3)))
        await eventually(lambda: link.free == 3)
        now = SILENCE_S + 0.1
        with pytest.raises(LinkLost, match="does not answer"):
            await asyncio.wait_for(running, 5)
