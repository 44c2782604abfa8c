"""`voicefleet.runner` with real, tiny child processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from voicefleet.runner import Part, PartFailed, Runner

FOREVER = "import time; print('up', flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FOREVER}"


class Log:
    """Collects lines and tells whoever waits for one."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._changed = asyncio.Event()

    def __call__(self, part: str, line: str) -> None:
        self.lines.append((part, line))
        self._changed.set()

    def has(self, part: str, text: str) -> bool:
        return any(name == part and text in line for name, line in self.lines)

    async def wait_for(self, part: str, text: str) -> None:
        async with asyncio.timeout(10):
            while not self.has(part, text):
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def runner(log: Log) -> AsyncIterator[Runner]:
    runner = Runner(log, restart=False)
    yield runner
    runner.hurry()
    await runner.stop()


def part(name: str, code: str, is_ready: Callable[[], bool], **limits: float) -> Part:
    async def ready() -> bool:
        return is_ready()

    return Part(name, [sys.executable, "-c", code], dict(os.environ), ready, **limits)


def printed(log: Log, name: str, text: str = "up") -> Callable[[], bool]:
    return lambda: log.has(name, text)


def pid_in(log: Log, name: str) -> int:
    return next(int(line.split()[1]) for part, line in log.lines if part == name)


async def gone(process: psutil.Process) -> None:
    """Wait for the end of a process that somebody else has to reap."""
    async with asyncio.timeout(10):
        while True:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return
            await asyncio.sleep(0.02)


async def test_start_returns_when_all_parts_are_ready(runner: Runner, log: Log) -> None:
    await runner.start(
        part("one", FOREVER, printed(log, "one")), part("two", FOREVER, printed(log, "two"))
    )
    assert sorted(log.lines) == [("one", "up"), ("two", "up")]


async def test_each_part_is_announced_when_it_is_ready(log: Log) -> None:
    ready: list[str] = []
    runner = Runner(log, restart=False, on_ready=ready.append)
    await runner.start(part("one", FOREVER, printed(log, "one")))
    assert ready == ["one"]
    runner.hurry()
    await runner.stop()


async def test_part_that_ends_before_it_is_ready_fails_the_start(runner: Runner) -> None:
    dying = part("one", "print('no luck'); raise SystemExit(3)", lambda: False)
    with pytest.raises(PartFailed) as caught:
        await runner.start(dying)
    assert (caught.value.part, caught.value.cause) == ("one", "ended with code 3")
    assert caught.value.tail == ["no luck"]


async def test_part_that_is_never_ready_fails_the_start(runner: Runner) -> None:
    with pytest.raises(PartFailed, match=r"one was not ready after 0\.2 s"):
        await runner.start(part("one", FOREVER, lambda: False, ready_timeout_s=0.2))


async def test_program_that_does_not_exist_fails_the_start(runner: Runner) -> None:
    async def ready() -> bool:
        return False

    with pytest.raises(PartFailed, match=r"one could not be started: .*nowhere"):
        await runner.start(Part("one", ["/nowhere/program"], {}, ready))


async def test_death_of_a_ready_part_is_the_failure(runner: Runner, log: Log) -> None:
    await runner.start(
        part("one", f"import os; print('pid', os.getpid()); {FOREVER}", printed(log, "one"))
    )
    os.kill(pid_in(log, "one"), signal.SIGKILL)
    failure = await asyncio.wait_for(runner.failure, 10)
    assert (failure.part, failure.cause) == ("one", "was killed by SIGKILL")
    assert failure.tail[-1] == "up"


async def test_stop_ends_parts_in_reverse_order(log: Log) -> None:
    runner = Runner(log, restart=False)
    polite = (
        "import signal, sys\n"
        "def bye(*_): print('bye', flush=True); sys.exit()\n"
        "signal.signal(signal.SIGTERM, bye); print('up', flush=True); signal.pause()"
    )
    for name in ("one", "two", "three"):
        await runner.start(part(name, polite, printed(log, name)))
    await runner.stop()
    assert [name for name, line in log.lines if line == "bye"] == ["three", "two", "one"]
    assert not runner.failure.done()


async def test_stop_kills_a_part_that_does_not_listen(log: Log) -> None:
    runner = Runner(log, restart=False)
    await runner.start(part("one", DEAF, printed(log, "one"), stop_timeout_s=0.2))
    await asyncio.wait_for(runner.stop(), 10)


async def test_hurry_cuts_the_waiting_short(log: Log) -> None:
    runner = Runner(log, restart=False)
    await runner.start(part("one", DEAF, printed(log, "one"), stop_timeout_s=60))
    runner.hurry()
    await asyncio.wait_for(runner.stop(), 10)


async def test_part_is_started_again_when_it_dies(log: Log, tmp_path: Path) -> None:
    runner = Runner(log, restart=True)
    code = (
        "import pathlib, sys, time\n"
        f"mark = pathlib.Path({str(tmp_path / 'mark')!r})\n"
        "second = mark.exists(); mark.touch()\n"
        "print('second' if second else 'up', flush=True)\n"
        "time.sleep(60 if second else 0.3)"
    )
    await runner.start(part("one", code, printed(log, "one")))
    await log.wait_for("one", "second")
    assert log.has("one", "ended with code 0; starting again in 0.5 s")
    assert not runner.failure.done()
    await runner.stop()


async def test_descendants_die_with_their_part(runner: Runner, log: Log) -> None:
    code = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {DEAF!r}])\n"
        "print('pid', child.pid, flush=True); child.wait()"
    )
    await runner.start(part("one", code, printed(log, "one", "pid")))
    descendant = psutil.Process(pid_in(log, "one"))
    await runner.stop()
    await gone(descendant)


async def test_line_longer_than_any_buffer_is_handed_on_whole(runner: Runner, log: Log) -> None:
    code = f"print('x' * 3_000_000, flush=True); {FOREVER}"
    await runner.start(part("one", code, printed(log, "one")))
    assert len(log.lines[0][1]) == 3_000_000


@pytest.mark.skipif(
    sys.platform != "linux",
    reason="needs prctl(PR_SET_PDEATHSIG), which Linux alone has; CI runs on Linux",
)
async def test_parts_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    parent_code = (
        "import asyncio, os, sys\n"
        "from voicefleet.runner import Part, Runner\n"
        "async def ready(): return True\n"
        "async def main():\n"
        "    runner = Runner(lambda part, line: print(line, flush=True), restart=False)\n"
        "    code = 'import os, time; print(os.getpid(), flush=True); time.sleep(60)'\n"
        "    part = Part('one', [sys.executable, '-c', code], dict(os.environ), ready)\n"
        "    await runner.start(part)\n"
        "    await runner.failure\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent_code, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    child = psutil.Process(int(await asyncio.wait_for(parent.stdout.readline(), 20)))
    parent.kill()
    await parent.wait()
    await gone(child)
