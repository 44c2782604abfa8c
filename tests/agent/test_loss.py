"""Jobs that die or stand still: who is missed, who is not, what is told and when."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.loss import (
    BEAT_S,
    KILL_AFTER_S,
    LOOK_S,
    MAX_STEP_S,
    SILENT_S,
    Losses,
    Pulses,
    beat,
)
from contracts.outcome import Reason
from contracts.report import AgentEnded, Fact, Noticed, Report, ReportReceipt, Source
from sidecar.client import Adopter, Journal, Refused, SidecarError, Spool, Unavailable
from tests.fakes.virtual_time import virtual_time

CALL = "6f1c7d52-92a4-4c5e-9a39-0d3c1f0a7b10"
AT = datetime(2026, 6, 5, 10, 0, tzinfo=UTC)
SAID = Noticed(at=AT, name="said")
ENDED = AgentEnded(at=AT, reason=Reason.CALLER_HUNG_UP)
JOB = Path("job")


class Site:
    """A worker's losses, with a clock that is set by hand and nobody really killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_s = 100.0
        self.killed: list[tuple[int, int]] = []
        self.news = 0
        self.reports: list[Report] = []
        self.answers: list[SidecarError] = []
        self.spool = Spool(folder, "worker-1", max_bytes=2**20)
        self.losses = Losses(
            self.spool,
            self,
            self._tell,
            clock=lambda: self.now_s,
            kill=lambda pid, number: self.killed.append((pid, number)),
        )
        self.adopter = Adopter(self.spool, self, on_done=self.losses.on_done)

    async def report(self, call_id: str, report: Report) -> ReportReceipt:
        if self.answers:
            raise self.answers.pop(0)
        self.reports.append(report)
        return ReportReceipt(applied_seq=report.seq + len(report.facts) - 1)

    def _tell(self) -> None:
        self.news += 1

    def job(self, *facts: Fact, owner: str = "worker-1", number: int = 1) -> Journal:
        """Return the journal of a job that runs."""
        journal = Spool(self.folder, owner, max_bytes=2**20).open(CALL, Source.AGENT, number)
        for fact in facts:
            journal.append(fact.model_dump_json().encode())
        return journal

    async def pass_time(self, seconds: float, *beating: Journal) -> None:
        for _ in range(round(seconds / LOOK_S)):
            self.now_s += LOOK_S
            for journal in beating:
                journal.beat()
            await self.losses.look()

    def untold(self) -> list[tuple[str, int, str]]:
        return [(each.call_id, each.incarnation, each.detail) for each in self.losses.untold()]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


DIED = (CALL, 1, "its process died")
STILL = (CALL, 1, "its process stands still")


async def test_job_that_dies_without_a_word_is_told_after_its_last_facts(site: Site) -> None:
    site.job(SAID).close()
    site.answers = [Unavailable("away")]
    await site.adopter.turn()
    assert site.untold() == []
    await site.adopter.turn()
    assert [len(report.facts) for report in site.reports] == [1]
    assert (site.untold(), site.news) == ([DIED], 1)


async def test_job_that_had_told_everything_is_missed_all_the_same(site: Site) -> None:
    site.job().close()
    await site.adopter.turn()
    assert site.untold() == [DIED]


async def test_job_that_has_ended_is_never_lost(site: Site) -> None:
    site.job(SAID, ENDED).close()
    await site.adopter.turn()
    assert len(site.reports) == 1
    site.job(SAID).discard()
    await site.adopter.turn()
    assert site.untold() == []


async def test_bridge_is_no_job(site: Site) -> None:
    journal = site.spool.open(CALL, Source.BRIDGE, 1)
    journal.append(SAID.model_dump_json().encode())
    journal.close()
    await site.adopter.turn()
    assert site.untold() == []


async def test_job_that_was_replaced_already_is_not_lost(site: Site) -> None:
    site.job(SAID).close()
    site.answers = [Refused(409, "stale_incarnation", "another one serves the call")]
    await site.adopter.turn()
    assert site.untold() == []


async def test_loss_is_told_until_it_was_heard(site: Site) -> None:
    site.job().close()
    await site.adopter.turn()
    heard = site.losses.untold()
    site.job(number=2).close()
    await site.adopter.turn()
    site.losses.told(heard)
    assert [incarnation for _, incarnation, _ in site.untold()] == [2]


async def test_job_that_stands_still_is_told_after_its_last_facts(site: Site) -> None:
    journal = site.job(SAID)
    await site.pass_time(10, journal)
    assert site.untold() == []
    await site.pass_time(SILENT_S)
    assert site.untold() == []
    await site.pass_time(LOOK_S)
    assert site.untold() == [STILL]
    assert [len(report.facts) for report in site.reports] == [1]
    await site.pass_time(10)
    assert (site.news, site.killed) == (1, [])
    journal.discard()


async def test_job_that_stands_still_for_long_is_killed(site: Site) -> None:
    journal = site.job(SAID)
    await site.pass_time(KILL_AFTER_S)
    assert site.killed == []
    await site.pass_time(10)
    assert site.killed == [(os.getpid(), signal.SIGKILL)]
    journal.discard()


async def test_job_that_wakes_up_is_not_killed(site: Site) -> None:
    journal = site.job()
    await site.pass_time(KILL_AFTER_S - 5)
    await site.pass_time(10, journal)
    await site.pass_time(KILL_AFTER_S - 5)
    assert site.killed == []
    journal.discard()


async def test_others_jobs_are_their_workers_affair(site: Site) -> None:
    journal = site.job(SAID, owner="worker-2")
    await site.pass_time(KILL_AFTER_S + 5)
    assert (site.untold(), site.reports, site.killed) == ([], [], [])
    journal.discard()


async def test_dead_job_is_not_taken_for_one_that_stands_still(site: Site) -> None:
    site.job(SAID).close()
    await site.pass_time(KILL_AFTER_S + 5)
    assert (site.untold(), site.killed) == ([], [])


async def test_loss_waits_for_a_sidecar_that_is_away(site: Site) -> None:
    journal = site.job(SAID)
    site.answers = [Unavailable("away") for _ in range(8)]
    await site.pass_time(SILENT_S + 9 * LOOK_S)
    assert site.untold() == []
    await site.pass_time(LOOK_S)
    assert (site.untold(), len(site.reports)) == ([STILL], 1)
    journal.discard()


async def test_job_replaced_before_it_was_missed_is_not_told(site: Site) -> None:
    journal = site.job(SAID)
    site.answers = [Refused(409, "stale_incarnation", "another one serves the call")]
    await site.pass_time(SILENT_S + 5)
    assert (site.untold(), site.answers) == ([], [])
    journal.discard()


@pytest.mark.parametrize("stall_s", [5.0, 600.0])
async def test_stall_of_the_worker_itself_makes_no_job_look_dead(
    stall_s: float, site: Site
) -> None:
    journal = site.job()
    await site.pass_time(2, journal)
    site.now_s += stall_s
    await site.losses.look()
    await site.pass_time(SILENT_S - MAX_STEP_S)
    assert site.untold() == []
    journal.discard()


@given(steps=st.lists(st.floats(0, 100), max_size=30))
def test_silence_is_only_what_was_watched(steps: list[float]) -> None:
    pulses = Pulses()
    now_s = 0.0
    pulses.look({JOB: 1}, now_s)
    for step in steps:
        now_s += step
        silent_s = pulses.look({JOB: 1}, now_s)[JOB]
    if steps:
        assert silent_s <= min(now_s, len(steps) * MAX_STEP_S) + 1e-6
    assert pulses.look({JOB: 0}, now_s + 5) == {JOB: 0.0}
    assert pulses.look({}, now_s + 6) == {}


@virtual_time
async def test_beat_goes_on_until_it_is_stopped(tmp_path: Path) -> None:
    class Counted(Journal):
        beats = 0

        def beat(self) -> None:
            self.beats += 1

    journal = Counted(None, None, None)
    beating = asyncio.create_task(beat(journal))
    await asyncio.sleep(10 * BEAT_S + 0.01)
    beating.cancel()
    assert journal.beats == 11


@virtual_time
async def test_look_that_fails_is_not_the_last(tmp_path: Path) -> None:
    site = Site(tmp_path)
    looks: list[float] = []

    def clock() -> float:
        looks.append(asyncio.get_running_loop().time())
        raise ZeroDivisionError

    losses = Losses(site.spool, site, lambda: None, clock=clock)
    running = asyncio.create_task(losses.run())
    await asyncio.sleep(3 * LOOK_S + 0.01)
    running.cancel()
    assert len(looks) == 3
