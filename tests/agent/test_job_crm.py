"""A job whose call's words wait for the bot's CRM: claimed at once, alive all the while."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.loss import SILENT_S
from contracts.bot import BotConfig
from contracts.report import TranscriptLine
from tests.agent.test_job import CALL_ID, Job, Waiting
from tests.fakes.virtual_time import virtual_time

CRM_S = 3.0


def asks_the_crm(job: Job) -> None:
    """Let the call's words be known only once the CRM has answered."""
    assert job.desk.plan is not None
    plan = job.desk.plan
    words = BotConfig(opening_message="Hello Asha.")
    job.desk.final = plan.model_copy(update={"config": words, "is_seated": False})
    job.desk.plan = plan.model_copy(update={"is_provisional": True})
    job.desk.crm_answered.clear()


async def first_line(job: Job) -> str:
    await job.until(lambda: "transcript_line" in job.desk.types())
    return next(fact.text for fact in job.desk.facts if isinstance(fact, TranscriptLine))


@virtual_time
async def test_agent_that_waited_says_what_the_crm_knows(tmp_path: Path) -> None:
    job = Waiting(tmp_path)
    asks_the_crm(job)
    serving = asyncio.create_task(job.serve())
    await job.until_ready()
    job.room.answer()
    job.desk.held.set()
    await asyncio.sleep(CRM_S)
    assert [claim.incarnation for claim in job.desk.claims] == [1]
    assert (job.room.packets, job.desk.facts) == ([], [])
    job.desk.crm_answered.set()
    # It still knows that the caller sits there: nobody has to tell it that they answered.
    assert await first_line(job) == "Hello Asha."
    await job.room.leave()
    await serving


@virtual_time
async def test_job_that_waits_for_the_crm_is_not_taken_for_dead(tmp_path: Path) -> None:
    job = Job(tmp_path)
    asks_the_crm(job)
    serving = asyncio.create_task(job.serve())
    await job.until(lambda: bool(job.desk.claims))
    (journal,) = (tmp_path / "spool").rglob(f"*{CALL_ID}*")
    marks = set()
    for _ in range(round(CRM_S)):
        marks.add(journal.stat().st_mtime_ns)
        await asyncio.sleep(1.0)
    assert len(marks) == round(CRM_S) > SILENT_S - 1
    job.desk.crm_answered.set()
    await job.until(lambda: "agent_joined" in job.desk.types())
    job.answer()
    assert await first_line(job) == "Hello Asha."
    await job.room.leave()
    await serving
