"""What can happen to a fleet: each fault strikes, and is over when it returns."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from bridges.phone import Phone
from tests.faults.receiver import Mood
from tests.faults.world import World

RESUME_TIMEOUT_S = 12.0
QUIET_BEFORE_S = 0.5
POLL_S = 0.02
BAD_MOOD_S = 5.0
LOCKED_S = 10.0
FULL_S = 6.0


@dataclass(frozen=True, slots=True)
class Struck:
    """What came of a fault.

    Attributes:
        resumed_s: how long its caller heard nothing, where somebody waited for that.
    """

    detail: str
    resumed_s: float | None = None


Fault = Callable[[World], Awaitable[Struck]]


async def kill_job(world: World) -> Struck:
    """Kill the process that serves a call, and wait until the caller is spoken to again."""
    return await _hit_job(world, signal.SIGKILL)


async def stop_job(world: World) -> Struck:
    """Let the process that serves a call stand still for longer than it takes to replace it."""
    return await _hit_job(world, signal.SIGSTOP)


async def kill_worker(world: World) -> Struck:
    """Kill the worker, jobs and all, that serves a call, as the loss of its host would."""
    found = await _listening_caller(world)
    workers = world.processes("agent")
    if found is None or not workers:
        return Struck("no caller was listening")
    phone, job = found
    with contextlib.suppress(psutil.NoSuchProcess):
        above = {process.pid for process in job.parents()}
        at_s = phone.now_s
        next(worker for worker in workers if worker.pid in above).kill()
        return Struck(f"of job {job.pid}", await _silence_s(phone, at_s))
    return Struck("the job had just ended")


def kill(part: str) -> Fault:
    """Return the death of a part's process."""

    async def strike(world: World) -> Struck:
        process = world.process(part)
        if process is None:
            return Struck("was not running")
        process.kill()
        return Struck(f"pid {process.pid}")

    return strike


def stop(part: str, least_s: float, most_s: float) -> Fault:
    """Return a part that stands still for a while."""

    async def strike(world: World) -> Struck:
        process = world.process(part)
        if process is None:
            return Struck("was not running")
        for_s = world.random.uniform(least_s, most_s)
        await _stand_still(process, for_s)
        return Struck(f"for {for_s:.1f} s")

    return strike


def receive(mood: Mood) -> Fault:
    """Return a receiver that misbehaves for a while."""

    async def strike(world: World) -> Struck:
        world.receiver.mood = mood
        await asyncio.sleep(BAD_MOOD_S)
        world.receiver.mood = Mood.GOOD
        return Struck(f"for {BAD_MOOD_S:.0f} s")

    return strike


async def lock_database(world: World) -> Struck:
    """Hold the database's only write lock for longer than anybody waits for it."""
    path = world.database.url.database
    if not world.database.is_sqlite or path is None:
        return Struck("not SQLite")
    await asyncio.to_thread(_hold_lock, Path(path))
    return Struck(f"for {LOCKED_S:.0f} s")


async def fill_disk(world: World) -> Struck:
    """Leave not one byte on the disk of the sidecar, which must be a small one for that."""
    if not world.disk.is_small:
        return Struck("this machine lets us make no small disk")
    await asyncio.to_thread(world.disk.fill)
    try:
        await asyncio.sleep(FULL_S)
    finally:
        await asyncio.to_thread(world.disk.clear)
    return Struck(f"for {FULL_S:.0f} s")


FAULTS: dict[str, Fault] = {
    "kill agent job": kill_job,
    "stop agent job": stop_job,
    "kill agent worker": kill_worker,
    "kill bridge": kill("bridge"),
    "kill sidecar": kill("sidecar"),
    "kill livekit": kill("livekit"),
    "stop agent worker": stop("agent", 2, 7),
    "stop bridge": stop("bridge", 1, 7),
    "stop sidecar": stop("sidecar", 1, 7),
    "stop livekit": stop("livekit", 1, 4),
    "lock database": lock_database,
    "fill disk": fill_disk,
    **{f"receiver {mood.value}": receive(mood) for mood in Mood if mood is not Mood.GOOD},
}
"""Everything that can strike, by name."""


async def _hit_job(world: World, number: signal.Signals) -> Struck:
    found = await _listening_caller(world)
    if found is None:
        return Struck("no caller was listening")
    phone, job = found
    at_s = phone.now_s
    try:
        job.send_signal(number)
    except psutil.NoSuchProcess:
        return Struck("the job had just ended")
    resumed_s = await _silence_s(phone, at_s)
    if number is signal.SIGSTOP:
        with contextlib.suppress(psutil.NoSuchProcess):
            job.send_signal(signal.SIGCONT)
    if resumed_s is None and not phone.is_open:
        return Struck("the caller hung up first")
    return Struck(f"pid {job.pid}", resumed_s)


async def _listening_caller(world: World) -> tuple[Phone, psutil.Process] | None:
    """Return a caller to whom the bot has just spoken, and the process that serves them."""
    for call in await world.live_calls():
        phone = world.phones.get(call["stream_id"])
        if phone is None or phone.loud_until_s > phone.now_s - QUIET_BEFORE_S:
            continue
        job = world.job_of(call["call_id"])
        if job is not None and phone.is_open:
            return phone, job
    return None


async def _silence_s(phone: Phone, since_s: float) -> float | None:
    while phone.is_open and phone.now_s < since_s + RESUME_TIMEOUT_S:
        spans = [span for span in phone.bot_audio_segments() if span.start_s > since_s]
        if spans:
            return spans[0].start_s - since_s
        await asyncio.sleep(POLL_S)
    return None


async def _stand_still(process: psutil.Process, for_s: float) -> None:
    process.suspend()
    try:
        await asyncio.sleep(for_s)
    finally:
        if process.is_running():
            process.resume()


def _hold_lock(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        connection.execute("begin immediate")
        time.sleep(LOCKED_S)
        connection.execute("rollback")
    finally:
        connection.close()
