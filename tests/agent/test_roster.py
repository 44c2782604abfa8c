"""What a worker counts as a call, and what it lets in."""

from __future__ import annotations

import pytest

from agent.roster import Roster
from contracts.ids import SIP_JOB_METADATA, job_metadata, standby_metadata

CALL = "6f1c7d52-92a4-4c5e-9a39-0d3c1f0a7b11"
OTHER = "6f1c7d52-92a4-4c5e-9a39-0d3c1f0a7b12"
WAITING = "11111111-92a4-4c5e-9a39-0d3c1f0a7b11"
ALSO_WAITING = "22222222-92a4-4c5e-9a39-0d3c1f0a7b11"


def test_one_that_waits_is_no_call_until_it_has_one() -> None:
    roster = Roster(lambda: [job_metadata(CALL, 2), standby_metadata(WAITING)])
    assert roster.calls() == {CALL: 2}
    assert roster.standbys() == [WAITING]
    roster.note({WAITING: OTHER, ALSO_WAITING: "gone"})
    assert roster.calls() == {CALL: 2, OTHER: 1}
    assert roster.standbys() == [WAITING]
    roster.note({})
    assert roster.calls() == {CALL: 2, OTHER: 1}


def test_those_that_wait_keep_no_call_out() -> None:
    roster = Roster(lambda: [standby_metadata(WAITING), standby_metadata(ALSO_WAITING)])
    assert roster.has_room(job_metadata(CALL, 1), 2)
    assert not roster.has_room(standby_metadata(CALL), 2)
    roster.note({WAITING: CALL, ALSO_WAITING: OTHER})
    assert not roster.has_room(job_metadata(CALL, 1), 2)


def test_nobody_waits_where_calls_take_every_place() -> None:
    roster = Roster(lambda: [job_metadata(CALL, 1)])
    assert roster.has_room(standby_metadata(WAITING), 2)
    assert not roster.has_room(standby_metadata(WAITING), 1)


def test_jobs_just_being_taken_count() -> None:
    roster = Roster(list)
    roster.begin(standby_metadata(WAITING))
    assert roster.has_room(job_metadata(CALL, 1), 1)
    assert not roster.has_room(standby_metadata(ALSO_WAITING), 1)
    roster.begin(job_metadata(CALL, 1))
    assert not roster.has_room(job_metadata(OTHER, 1), 1)
    roster.took(job_metadata(CALL, 1))
    roster.took(standby_metadata(WAITING))
    assert roster.has_room(standby_metadata(ALSO_WAITING), 1)


@pytest.mark.parametrize("running", [(1, 2), (2, 1)])
def test_agent_that_replaces_one_standing_still_counts_and_takes_its_place(
    running: tuple[int, ...],
) -> None:
    roster = Roster(lambda: [job_metadata(CALL, each) for each in running])
    assert roster.calls() == {CALL: 2}
    assert roster.has_room(job_metadata(OTHER, 1), 2)


def test_job_of_a_rule_is_a_call_from_the_first_moment() -> None:
    held: dict[str, int] = {}
    jobs = [SIP_JOB_METADATA, SIP_JOB_METADATA, job_metadata(CALL, 1)]
    roster = Roster(lambda: jobs, lambda: held)
    assert (roster.calls(), roster.busy()) == ({CALL: 1}, 3)
    assert not roster.has_room(SIP_JOB_METADATA, 3)
    held |= {OTHER: 1, CALL: 1}
    assert (roster.calls(), roster.busy()) == ({CALL: 1, OTHER: 1}, 3)


def test_journals_tell_nothing_where_no_rule_called() -> None:
    roster = Roster(lambda: [job_metadata(CALL, 2)], lambda: {OTHER: 1})
    assert roster.calls() == {CALL: 2}


def test_job_of_a_rule_that_is_being_taken_has_its_place() -> None:
    roster = Roster(list)
    roster.begin(SIP_JOB_METADATA)
    assert not roster.has_room(job_metadata(CALL, 1), 1)
    roster.took(SIP_JOB_METADATA)
    assert roster.has_room(SIP_JOB_METADATA, 1)
