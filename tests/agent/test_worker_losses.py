"""What the worker's main process tells of its jobs that died, and of what they left on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from agent.settings import AgentSettings
from agent.worker import new_worker_id
from contracts.outcome import Reason
from contracts.report import AgentEnded, Fact, Noticed, Source
from sidecar.client import Journal, Spool
from tests.agent.test_worker import CALLS, Site
from tests.fakes.virtual_time import virtual_time

AT = datetime(2026, 6, 5, 10, 0, tzinfo=UTC)
SAID = Noticed(at=AT, name="said")
ENDED = AgentEnded(at=AT, reason=Reason.CALLER_HUNG_UP)


def journal(*facts: Fact, incarnation: int = 1) -> Journal:
    """Return the journal of a job of this host, where workers look for them."""
    spool = Spool(AgentSettings().agent_spool_dir, "w", max_bytes=2**20)
    made = spool.open(CALLS[0], Source.AGENT, incarnation)
    for fact in facts:
        made.append(fact.model_dump_json().encode())
    return made


@asynccontextmanager
async def running(site: Site) -> AsyncIterator[None]:
    serving = asyncio.create_task(site.worker.run())
    yield
    await site.server.aclose()
    await serving


@virtual_time
async def test_job_that_dies_is_told_at_once_after_its_last_facts(tmp_path: Path) -> None:
    site = Site(tmp_path)
    job = journal(SAID)
    async with running(site):
        await asyncio.sleep(5)
        assert all(not beat.lost and not beat.spooled for beat in site.desk.heartbeats)
        before = len(site.desk.heartbeats)
        job.close()
        await asyncio.sleep(0.3)
        assert site.desk.types() == ["noticed"]
        told = [lost for beat in site.desk.heartbeats[before:] for lost in beat.lost]
        assert [(lost.call_id, lost.incarnation) for lost in told] == [(CALLS[0], 1)]
        await asyncio.sleep(5)
        assert not site.desk.heartbeats[-1].lost


@virtual_time
async def test_loss_is_told_again_until_a_heartbeat_was_answered(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.desk.refusals["heartbeats"] = (503, "database_locked")
    journal().close()
    async with running(site):
        await asyncio.sleep(3)
        assert site.desk.heartbeats == []
        site.desk.refusals.clear()
        await asyncio.sleep(3)
    assert [len(beat.lost) for beat in site.desk.heartbeats][:3] == [1, 0, 0]


@virtual_time
async def test_first_heartbeat_after_a_start_tells_of_what_waits_on_disk(tmp_path: Path) -> None:
    site = Site(tmp_path)
    journal(SAID, ENDED).close()
    site.desk.refusals["reports"] = (503, "starting")
    async with running(site):
        await asyncio.sleep(1)
        assert [beat.spooled for beat in site.desk.heartbeats] == [1] * len(site.desk.heartbeats)
        site.desk.refusals.clear()
        await asyncio.sleep(4)
        assert site.desk.heartbeats[-1].spooled == 0
    assert site.desk.types() == ["noticed", "agent_ended"]
    assert not any(beat.lost for beat in site.desk.heartbeats)


@virtual_time
async def test_what_jobs_leave_while_their_worker_ends_is_handed_in(tmp_path: Path) -> None:
    site = Site(tmp_path)
    job = journal(SAID, ENDED)
    serving = asyncio.create_task(site.worker.run())
    await asyncio.sleep(1)
    close = site.server.aclose

    async def end_jobs() -> None:
        await close()
        job.close()

    site.server.aclose = end_jobs  # type: ignore[method-assign]
    site.worker.stop()
    await serving
    assert site.desk.types() == ["noticed", "agent_ended"]


def test_no_two_workers_have_one_name() -> None:
    names = {new_worker_id() for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith("agent-") and len(name) <= 200 for name in names)
