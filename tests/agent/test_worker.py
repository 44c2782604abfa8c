"""The worker's main process: which jobs it takes, what it says of itself, what it sweeps up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest

from agent.settings import AgentSettings
from agent.worker import Worker
from contracts.ids import (
    AGENT_NAME,
    SIP_JOB_METADATA,
    agent_identity,
    agent_incarnation,
    job_metadata,
    room_agent_identity,
)
from tests.fakes.call_desk import CallDesk
from tests.fakes.virtual_time import virtual_time

LIVEKIT_TARGET_LOAD = 0.7
CALLS = [f"6f1c7d52-92a4-4c5e-9a39-0d3c1f0a7b1{n}" for n in range(4)]


class FakeServer:
    """The framework's server as a worker sees it: which jobs run, who is asked about new ones."""

    def __init__(self) -> None:
        self.active_jobs: list[Any] = []
        self.load_fnc: Any = None
        self.on_request: Any = None
        self.agent_name = ""
        self.on_registered: Any = None
        self.closed = asyncio.Event()

    async def run(self) -> None:
        await self.closed.wait()

    async def aclose(self) -> None:
        self.closed.set()

    def rtc_session(self, _: Any, *, agent_name: str, on_request: Any) -> None:
        self.agent_name, self.on_request = agent_name, on_request

    def on(self, _: str, handler: Any) -> None:
        self.on_registered = handler

    def run_job(self, call_id: str, incarnation: int = 1) -> None:
        metadata = job_metadata(call_id, incarnation)
        self.active_jobs.append(SimpleNamespace(job=SimpleNamespace(metadata=metadata)))


class Request:
    """A job that is offered, and the answer."""

    def __init__(self, metadata: str) -> None:
        self.id = metadata
        self.job = SimpleNamespace(metadata=metadata)
        self.room = SimpleNamespace(name="call-_+14155550123_abc")
        self.answer: Any = None

    async def accept(self, *, identity: str) -> None:
        self.answer = identity

    async def reject(self, *, terminate: bool) -> None:
        self.answer = terminate


class Site:
    """A worker of two calls, with its server and its sidecar."""

    def __init__(self, folder: Path) -> None:
        self.server = FakeServer()
        self.desk = CallDesk()
        self.folder = folder
        anything: Any = self.server
        settings = AgentSettings(agent_max_calls=2, agent_recordings_dir=folder)
        self.worker = Worker(settings, self.desk.client(), anything)

    async def offer(self, metadata: str) -> Any:
        request = Request(metadata)
        await self.server.on_request(request)
        return request.answer


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_job_is_taken_under_its_incarnation(site: Site) -> None:
    assert site.server.agent_name == AGENT_NAME
    assert await site.offer(job_metadata(CALLS[0], 3)) == agent_identity(CALLS[0], 3)


async def test_job_of_a_rule_is_taken_under_its_rooms_name(site: Site) -> None:
    name = "call-_+14155550123_abc"
    assert await site.offer(SIP_JOB_METADATA) == room_agent_identity(name)
    assert "4155550123" not in room_agent_identity(name)
    assert room_agent_identity(name) != room_agent_identity("call-_+14155550123_abd")
    assert agent_incarnation(room_agent_identity(name), CALLS[0]) is None


async def test_job_of_a_rule_counts_before_its_call_is_known(site: Site) -> None:
    running = SimpleNamespace(job=SimpleNamespace(metadata=SIP_JOB_METADATA))
    site.server.active_jobs += [running, running]
    assert await site.offer(SIP_JOB_METADATA) is False
    assert site.worker.heartbeat().calls == []


async def test_job_above_the_limit_is_left_to_another_worker(site: Site) -> None:
    site.server.run_job(CALLS[0])
    assert site.worker.heartbeat().calls == [CALLS[0]]
    site.server.run_job(CALLS[1])
    assert await site.offer(job_metadata(CALLS[2], 1)) is False


async def test_jobs_that_are_just_being_taken_count(site: Site) -> None:
    site.server.run_job(CALLS[0])
    second, third = Request(job_metadata(CALLS[1], 1)), Request(job_metadata(CALLS[2], 1))
    accept = second.accept

    async def while_third_comes(*, identity: str) -> None:
        await site.server.on_request(third)
        await accept(identity=identity)

    second.accept = while_third_comes  # type: ignore[method-assign]
    await site.server.on_request(second)
    assert second.answer == agent_identity(CALLS[1], 1)
    assert third.answer is False


async def test_dispatch_that_is_not_ours_is_refused_for_good(site: Site) -> None:
    assert await site.offer("something else") is True


async def test_stopping_worker_takes_no_job_and_is_not_ready(site: Site) -> None:
    site.server.on_registered("id")
    assert site.worker.heartbeat().ready
    site.worker.stop()
    assert not site.worker.heartbeat().ready
    assert await site.offer(job_metadata(CALLS[0], 1)) is False


@virtual_time
async def test_stopping_worker_waits_for_its_calls() -> None:
    with TemporaryDirectory() as folder:
        site = Site(Path(folder))
        site.server.run_job(CALLS[0])
        running = asyncio.create_task(site.worker.run())
        site.worker.stop()
        await asyncio.sleep(AgentSettings().agent_drain_s / 2)
        assert not site.server.closed.is_set()
        site.server.active_jobs.clear()
        await running


@virtual_time
async def test_stopping_worker_waits_no_longer_than_it_may() -> None:
    with TemporaryDirectory() as folder:
        site = Site(Path(folder))
        site.server.run_job(CALLS[0])
        site.worker.stop()
        async with asyncio.timeout(AgentSettings().agent_drain_s + 1):
            await site.worker.run()


async def test_heartbeat_tells_limit_and_calls_and_is_not_ready_before_registration(
    site: Site,
) -> None:
    site.server.run_job(CALLS[0])
    beat = site.worker.heartbeat()
    assert (beat.kind, beat.max_calls, beat.calls, beat.ready) == ("agent", 2, [CALLS[0]], False)


async def test_load_is_the_share_of_calls_and_below_what_livekit_gives_calls_to(
    site: Site,
) -> None:
    assert site.server.load_fnc(site.server) == 0.0
    site.server.run_job(CALLS[0])
    half = site.server.load_fnc(site.server)
    site.server.run_job(CALLS[1])
    # A full one refuses by itself; what LiveKit knows of its load is seconds old.
    assert 0.3 < half < site.server.load_fnc(site.server) < LIVEKIT_TARGET_LOAD
    site.worker.stop()
    assert site.server.load_fnc(site.server) == 1.0


async def test_call_counts_from_the_moment_it_is_taken(site: Site) -> None:
    """A host that has no warm process left takes seconds; the sidecar is to know of it."""
    request = Request(job_metadata(CALLS[0], 1))
    told: list[list[str]] = []

    async def look(*, identity: str) -> None:
        told.append(site.worker.heartbeat().calls)

    request.accept = look  # type: ignore[method-assign]
    await site.server.on_request(request)
    assert told == [[CALLS[0]]]
    assert site.worker.heartbeat().calls == []
