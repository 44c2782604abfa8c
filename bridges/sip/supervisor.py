"""Media processes: started, watched, and replaced when they die; their calls are not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import structlog

from bridges.race import race
from bridges.sip import ipc
from bridges.sip.media_link import LinkLost, MediaLink
from bridges.sip.settings import SipSettings

log = structlog.get_logger(__name__)

READY_TIMEOUT_S = 30.0
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 15.0
STEADY_S = 60.0
"""Having run for so long, a process starts over with the shortest back-off."""
EXIT_TIMEOUT_S = 5.0
"""For a process whose line we closed, to put its reports away before it is killed."""
LOST_TIMEOUT_S = 1.0
"""For one that closed its line, or hangs."""
COMMAND = (sys.executable, "-m", "bridges.sip.media")


class Owner(Protocol):
    """Whom the links' news concern."""

    def link_opened(self, link: MediaLink) -> None:
        """Take note of a process that starts."""

    def order_arrived(self, link: MediaLink, order: ipc.LegOrder) -> None:
        """Do what a process asks."""

    def link_lost(self, link: MediaLink) -> None:
        """End the process's legs: it is gone."""


class Supervisor:
    """Keeps so many media processes running. `start`, then `stop`.

    Attributes:
        restarts: how often one had to be replaced.
    """

    def __init__(
        self,
        settings: SipSettings,
        owner: Owner,
        now: Callable[[], float],
        command: Sequence[str] = COMMAND,
        sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
    ) -> None:
        self.restarts = 0
        self._settings = settings
        self._owner = owner
        self._now = now
        self._command = tuple(command)
        self._sleep = sleep
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False
        self._stop = asyncio.Event()

    def start(self) -> None:
        """Start all processes."""
        for index in range(self._settings.sip_media_processes):
            keeper = asyncio.create_task(self._keep(index), name=f"media-{index}")
            self._keepers.append(keeper)

    def drain(self) -> None:
        """Replace no process from now on: they end one by one."""
        self._stopping = True

    async def stop(self) -> None:
        """Close all lines, which ends the processes, and kill those that stay."""
        self._stopping = True
        self._stop.set()
        # Not cancelled: whatever they are at, no process is left behind.
        await asyncio.gather(*self._keepers)

    async def _keep(self, index: int) -> None:
        backoff_s = FIRST_BACKOFF_S
        while not self._stop.is_set():
            started_at = self._now()
            try:
                await self._run(index)
            except (LinkLost, OSError) as error:
                if self._stopping:
                    return
                log.error("sip_media_lost", index=index, detail=str(error))
            self.restarts += 1
            if self._now() - started_at >= STEADY_S:
                backoff_s = FIRST_BACKOFF_S
            await race(self._sleep(backoff_s), self._stopped())
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    async def _run(self, index: int) -> None:
        """Run one process until it is lost; nothing of it is left behind."""
        ours, theirs = socket.socketpair()
        first, last = self._settings.media_ports(index)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                env={
                    **os.environ,
                    "RTP_PORT_START": str(first),
                    "RTP_PORT_END": str(last),
                    # The ports above are this process's alone: it must not share them out again.
                    "SIP_MEDIA_PROCESSES": "1",
                },
                # Ctrl-C is for the signalling process, which drains the others.
                start_new_session=True,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=ipc.MAX_LINE_BYTES)
        link = MediaLink(reader, writer, self._now)
        log.info("sip_media_started", index=index, pid=process.pid)
        self._owner.link_opened(link)
        late = asyncio.get_running_loop().call_later(READY_TIMEOUT_S, _end_unready, link, process)
        try:
            await race(
                link.run(lambda order: self._owner.order_arrived(link, order)), self._stopped()
            )
        finally:
            late.cancel()
            self._owner.link_lost(link)
            await self._reap(process)

    async def _stopped(self) -> None:
        await self._stop.wait()

    async def _reap(self, process: asyncio.subprocess.Process) -> None:
        """Wait for a process to end; one that was lost has nothing left to do."""
        try:
            async with asyncio.timeout(EXIT_TIMEOUT_S if self._stopping else LOST_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            _kill(process)
            await process.wait()


def _end_unready(link: MediaLink, process: asyncio.subprocess.Process) -> None:
    if not link.is_ready:
        _kill(process)


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
