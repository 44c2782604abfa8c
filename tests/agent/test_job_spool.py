"""What a job leaves on disk: nothing where it was heard, everything where it was not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from agent import job as job_module
from agent import loss
from contracts.report import AgentEnded, Source
from sidecar.client import Left, Spool
from tests.agent.test_job import CALL_ID, STANDBY_ID, Job, Waiting, talking
from tests.fakes.virtual_time import virtual_time


def left(job: Job) -> Left | None:
    """Return what stands in the journal of the job's call, if there is one that nobody holds."""
    spool = Spool(job.settings.agent_spool_dir, "worker", max_bytes=2**20)
    for path in spool.journals():
        seen = spool.look_into(path)
        assert seen is not None
        contents, is_held = seen
        assert not is_held
        return contents
    return None


@virtual_time
async def test_call_that_was_told_whole_leaves_nothing(tmp_path: Path) -> None:
    job = Job(tmp_path)
    async with talking(job):
        (path,) = Spool(job.settings.agent_spool_dir, "", max_bytes=2**20).journals()
        before_ns = path.stat().st_mtime_ns
        await asyncio.sleep(2 * loss.BEAT_S)
        assert path.stat().st_mtime_ns > before_ns
        await job.room.leave()
    assert left(job) is None
    assert job.desk.claims[0].worker_id == job.settings.agent_worker_id


@virtual_time
async def test_call_that_ends_while_the_sidecar_is_away_is_left_to_the_worker(
    tmp_path: Path,
) -> None:
    job = Job(tmp_path)
    async with talking(job):
        job.desk.refusals["reports"] = (503, "away")
        told = len(job.desk.facts)
        await job.room.leave()
    contents = left(job)
    assert contents is not None
    assert (contents.key.call_id, contents.key.source) == (CALL_ID, Source.AGENT)
    assert contents.seq == told + 1
    assert isinstance(contents.facts[-1], AgentEnded)
    assert job.shutdowns == ["call ended"]


@virtual_time
async def test_replaced_agent_leaves_nothing(tmp_path: Path) -> None:
    job = Job(tmp_path, re_engagement={"messages": ["Are you there?"], "after_seconds": 4})
    async with talking(job):
        job.desk.refusals["reports"] = (409, "stale_incarnation")
        await job.until(lambda: job.room.disconnects > 0)
    assert left(job) is None


@pytest.mark.parametrize("kind", [Job, Waiting])
def test_call_somebody_else_serves_leaves_nothing(kind: type[Job], tmp_path: Path) -> None:
    @virtual_time
    async def scenario() -> None:
        job = kind(tmp_path)
        job.desk.refusals["claim"] = (409, "stale_incarnation")
        job.desk.held.set()
        await job.serve()
        assert left(job) is None

    scenario()


@virtual_time
async def test_claim_nobody_answered_is_left_for_the_worker_to_tell(tmp_path: Path) -> None:
    """It may be booked; then the call has no agent."""
    job = Job(tmp_path)
    job.desk.lost_answers = 99
    await job.serve()
    contents = left(job)
    assert contents is not None
    assert contents.facts == ()
    assert job.shutdowns == ["not taken"]


@virtual_time
async def test_job_stopped_while_it_claims_reports_the_end_once_the_call_is_its(
    tmp_path: Path,
) -> None:
    job = Waiting(tmp_path)
    answering = asyncio.Event()
    answer = job.desk._answer

    async def slow(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/claim"):
            answering.set()
            await asyncio.sleep(job_module._CLAIM_KNOWN_S / 2)
        return await answer(request)

    job.desk._answer = slow  # type: ignore[method-assign]
    job.desk.held.set()
    serving = asyncio.create_task(job.serve())
    await answering.wait()
    await asyncio.sleep(0.1)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert job.desk.types() == ["agent_ended"]
    assert left(job) is None


@virtual_time
async def test_agent_that_waits_does_so_under_its_workers_name(tmp_path: Path) -> None:
    job = Waiting(tmp_path)
    asked: list[bytes] = []
    answer = job.desk._answer

    async def noted(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(f"/{STANDBY_ID}/wait"):
            asked.append(await request.aread())
        return await answer(request)

    job.desk._answer = noted  # type: ignore[method-assign]
    job.desk.refusals["wait"] = (410, "standby_gone")
    await job.serve()
    assert asked == [b'{"worker_id":"worker"}']
