"""A real SIP peer that follows a script: one `sipp` process (see `sipp_script`)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.missing import Required, missing
from tests.fakes.ports import free_port

BINARY = shutil.which("sipp")


@dataclass(slots=True)
class Sipp:
    """One run of a scenario.

    Attributes:
        port: where it listens.
        folder: where it leaves its traces.
    """

    port: int
    folder: Path
    _process: asyncio.subprocess.Process

    async def succeeds(self, timeout_s: float = 15.0) -> None:
        """Wait for the end of the scenario; fail with its trace if it took another course."""
        try:
            async with asyncio.timeout(timeout_s):
                code = await self._process.wait()
        except TimeoutError:
            raise AssertionError(f"sipp still runs\n{self.trace()}") from None
        assert code == 0, f"sipp ended with {code}\n{self.trace()}"

    async def ended(self) -> int:
        """Wait for its end, whatever course the scenario took; return its exit status."""
        return await self._process.wait()

    def trace(self) -> str:
        """Return what it sent, received and complained of."""
        paths = [path for path in sorted(self.folder.iterdir()) if path.suffix != ".xml"]
        return "\n".join(path.read_text(errors="replace") for path in paths)


_UNCONNECTED, _LISTENING = "07", "0A"
"""Of `/proc/net`'s states."""


@asynccontextmanager
async def running(
    scenario: str,
    folder: Path,
    *arguments: str,
    to: int | None = None,
    transport: str = "u1",
    calls: int = 1,
    port: int = 0,
) -> AsyncIterator[Sipp]:
    """Run a scenario.

    Args:
        scenario: its text.
        arguments: further options of sipp.
        to: the port it calls; None: it waits for calls.
        transport: sipp's `-t`: `u1` or `t1`; `tn` opens a connection a call.
        calls: after so many it ends.
        port: where it listens; 0: anywhere.
    """
    if BINARY is None:
        missing(Required.SIP_PEERS, "sipp: install Debian's package `sip-tester`")
    port = port or free_port()
    work = folder / f"sipp-{port}"
    work.mkdir()
    script = work / "scenario.xml"
    script.write_text(scenario)
    process = await asyncio.create_subprocess_exec(
        BINARY,
        *("-sf", str(script)),
        *("-i", "127.0.0.1", "-p", str(port), "-t", transport, "-m", str(calls)),
        *("-nostdin", "-trace_msg", "-trace_err", "-message_file", str(work / "messages")),
        *("-error_file", str(work / "errors"), "-timeout", "20", "-timeout_error"),
        *("-mp", str(10_000 + port % 10_000)),
        *arguments,
        *(() if to is None else (f"127.0.0.1:{to}",)),
        cwd=work,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        if to is None:
            await _listening(port, transport, process)
        yield Sipp(port, work, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _listening(port: int, transport: str, process: asyncio.subprocess.Process) -> None:
    """Wait until sipp takes what comes to the port."""
    kind, state = ("udp", _UNCONNECTED) if transport.startswith("u") else ("tcp", _LISTENING)
    async with asyncio.timeout(5):
        while process.returncode is None and not _is_open(port, kind, state):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _is_open(port: int, kind: str, state: str) -> bool:
    # Somebody else's connection may have the same number at either of its ends.
    rows = (line.split() for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:])
    return any((row[1], row[3]) == (f"0100007F:{port:04X}", state) for row in rows)
