"""Keeps child processes running: starts them in order, watches them, ends them in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TAIL_LINES = 20
_POLL_S = 0.05
_CHUNK_BYTES = 65_536
_LAST_WORDS_S = 1.0
_HEALTHY_AFTER_S = 60.0
_MOST_DEATHS = 5
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.5, 8.0
_PR_SET_PDEATHSIG = 1
# Loaded here: between fork and exec as little as possible may happen.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

Sink = Callable[[str, str], object]
"""Gets each line a part prints: the part's name and the line."""


@dataclass(frozen=True, slots=True)
class Part:
    """One program of the fleet.

    Attributes:
        is_ready: asked again and again after the start, until it says yes.
        stop_timeout_s: how long it may take from SIGTERM to its end before it is killed.
    """

    name: str
    command: Sequence[str | Path]
    environ: Mapping[str, str]
    is_ready: Callable[[], Awaitable[bool]]
    ready_timeout_s: float = 30.0
    stop_timeout_s: float = 10.0


class PartFailed(Exception):
    """A part ended by itself or never became ready.

    Attributes:
        part: its name.
        cause: what happened.
        tail: the last lines it printed.
    """

    def __init__(self, part: str, cause: str, tail: Sequence[str]) -> None:
        super().__init__(f"{part} {cause}")
        self.part = part
        self.cause = cause
        self.tail = list(tail)


@dataclass(slots=True)
class _Child:
    part: Part
    ready: asyncio.Future[None]
    process: asyncio.subprocess.Process | None = None
    stopping: bool = False
    deaths: int = 0
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))


class Runner:
    """Runs parts as child processes, each in its own process group.

    With `restart`, a part that dies is started again after a growing pause; the `patience`-th death
    without a healthy minute between is final. Without it, the first is. A final failure is
    `failure`'s result; ending the others is the caller's part.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        restart: bool,
        on_ready: Callable[[str], object] = lambda _: None,
        patience: int = _MOST_DEATHS,
    ) -> None:
        self._sink = sink
        self._on_ready = on_ready
        self._restart = restart
        self._patience = patience
        self._children: list[_Child] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._hurried = asyncio.Event()
        self.failure: asyncio.Future[PartFailed] = asyncio.get_running_loop().create_future()

    async def start(self, *parts: Part) -> None:
        """Start `parts` together and return when all are ready.

        Raises:
            PartFailed: one of them ended, or was not ready in time.
        """
        loop = asyncio.get_running_loop()
        children = [_Child(part, loop.create_future()) for part in parts]
        self._children += children
        self._tasks += [asyncio.create_task(self._keep(child)) for child in children]
        await asyncio.gather(*(child.ready for child in children))

    def hurry(self) -> None:
        """Stop waiting for parts that are ending: kill them."""
        self._hurried.set()

    async def stop(self) -> None:
        """End every part, the last started first, each given its time to finish."""
        while self._children:
            child, task = self._children.pop(), self._tasks.pop()
            child.stopping = True
            if child.process is not None:
                await self._end(child.part, child.process)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            # Nobody may be waiting any more.
            child.ready.cancel()

    async def _keep(self, child: _Child) -> None:
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            cause = await self._run_once(child)
            if child.stopping:
                return
            child.deaths = 1 if loop.time() - started > _HEALTHY_AFTER_S else child.deaths + 1
            if not child.ready.done() or not self._restart or child.deaths >= self._patience:
                self._fail(child, PartFailed(child.part.name, cause, child.tail))
                return
            delay_s = min(_FIRST_DELAY_S * 2 ** (child.deaths - 1), _LONGEST_DELAY_S)
            self._sink(child.part.name, f"{cause}; starting again in {delay_s:g} s")
            await asyncio.sleep(delay_s)

    def _fail(self, child: _Child, failure: PartFailed) -> None:
        if not child.ready.done():
            child.ready.set_exception(failure)
        elif not self.failure.done():
            self.failure.set_result(failure)

    async def _run_once(self, child: _Child) -> str:
        """Run the part until it ends, and return how it ended."""
        part = child.part
        # A pipe of our own: asyncio's would delay `wait` until descendants have let go of it too.
        read_end, write_end = os.pipe()
        reading = asyncio.create_task(self._read(child, read_end))
        try:
            process = await asyncio.create_subprocess_exec(
                *map(str, part.command),
                env=part.environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        except OSError as error:
            return f"could not be started: {error}"
        finally:
            os.close(write_end)
        child.process = process
        readiness = asyncio.create_task(self._become_ready(child))
        code = await process.wait()
        # Descendants that outlive the part would keep its ports and its pipe.
        _signal_group(process.pid, signal.SIGKILL)
        late = readiness.done() and not child.ready.done()
        readiness.cancel()
        await asyncio.wait([reading, readiness], timeout=_LAST_WORDS_S)
        reading.cancel()
        if late:
            return f"was not ready after {part.ready_timeout_s:g} s"
        return f"ended with code {code}" if code >= 0 else f"was killed by {_signal_name(-code)}"

    async def _become_ready(self, child: _Child) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(child.part.ready_timeout_s):
                while True:
                    if await child.part.is_ready():
                        break
                    await asyncio.sleep(_POLL_S)
            if not child.ready.done():
                child.ready.set_result(None)
                self._on_ready(child.part.name)
            return
        if child.process is not None and not child.ready.done():
            _signal_group(child.process.pid, signal.SIGKILL)

    async def _read(self, child: _Child, read_end: int) -> None:
        """Hand on every line; read in chunks, since no line's length may stop us."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb")
        )
        rest = b""
        try:
            while chunk := await reader.read(_CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._hand_on(child, line)
            if rest:
                self._hand_on(child, rest)
        finally:
            transport.close()

    def _hand_on(self, child: _Child, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        child.tail.append(text)
        self._sink(child.part.name, text)

    async def _end(self, part: Part, process: asyncio.subprocess.Process) -> None:
        _signal_group(process.pid, signal.SIGTERM, leader_only=True)
        waiting = {
            asyncio.create_task(process.wait()),
            asyncio.create_task(self._hurried.wait()),
        }
        _, pending = await asyncio.wait(
            waiting, timeout=part.stop_timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        for task in pending:
            task.cancel()
        _signal_group(process.pid, signal.SIGKILL)
        await process.wait()


def _die_with_parent() -> None:
    """In the child, before its program: if we are killed outright, it is told to end."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal_group(pid: int, number: signal.Signals, *, leader_only: bool = False) -> None:
    with contextlib.suppress(ProcessLookupError):
        if leader_only:
            os.kill(pid, number)
        else:
            os.killpg(pid, number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
