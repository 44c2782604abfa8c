"""A sidecar that dies in the middle of aftercall: nothing is lost, nothing is made twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.outcome import Reason
from contracts.report import AgentEnded, LegEnded, Source, TranscriptLine
from sidecar.aftercall import LEASE_S
from sidecar.denial import Code, Denied
from tests.fakes.aftercall import (
    ASKING,
    announced,
    answer,
    claim,
    claimed,
    spoken,
    tasks_of,
)
from tests.fakes.control_plane import ControlPlane
from tests.fakes.failing_database import FailingDatabase, StoreFailed, When

ONE_QUESTION = {**ASKING, "qc_prompt": None}


@pytest.fixture
async def plane(sqlite: FailingDatabase, tmp_path: Path) -> ControlPlane:
    plane = ControlPlane(sqlite, tmp_path / "recordings")
    await plane.ready(**ONE_QUESTION)
    return plane


async def final(plane: ControlPlane, call_id: str) -> dict[str, Any]:
    """Return the call's result, which must have been announced as often as it has revisions."""
    result = await plane.result(call_id)
    assert result is not None
    assert len(await announced(plane)) == result["revision"] + 1
    return result


@pytest.mark.parametrize("when", ["before", "after"])
async def test_claim_that_is_lost_comes_again_with_its_lease(
    plane: ControlPlane, sqlite: FailingDatabase, when: When
) -> None:
    call_id = await spoken(plane)
    sqlite.fail_at(1, when)
    with pytest.raises(StoreFailed):
        await claim(plane)
    plane.clock.advance(LEASE_S)
    await answer(plane, await claimed(plane), result={"A": 1})
    assert (await final(plane, call_id))["post_call_analysis"] == {"A": 1}


async def test_answer_that_was_not_stored_can_be_given_again(
    plane: ControlPlane, sqlite: FailingDatabase
) -> None:
    call_id = await spoken(plane)
    task = await claimed(plane)
    sqlite.fail_at(1, "before")
    with pytest.raises(StoreFailed):
        await answer(plane, task, result={"A": 1})
    assert await plane.result(call_id) is None
    await answer(plane, task, result={"A": 1})
    assert (await final(plane, call_id))["revision"] == 0


async def test_answer_that_was_stored_counts_though_nobody_heard(
    plane: ControlPlane, sqlite: FailingDatabase
) -> None:
    call_id = await spoken(plane)
    task = await claimed(plane)
    sqlite.fail_at(1, "after")
    with pytest.raises(StoreFailed):
        await answer(plane, task, result={"A": 1})
    with pytest.raises(Denied) as caught:
        await answer(plane, task, result={"A": 1})
    assert caught.value.code is Code.STALE_ATTEMPT
    assert (await final(plane, call_id))["revision"] == 0


@pytest.mark.parametrize("when", ["before", "after"])
async def test_deadline_is_kept_by_the_next_look(
    plane: ControlPlane, sqlite: FailingDatabase, when: When
) -> None:
    call_id = await spoken(plane)
    plane.clock.advance(plane.settings.aftercall_deadline_s)
    seen = await plane.row(call_id)
    sqlite.fail_at(1, when)
    with pytest.raises(StoreFailed):
        await plane.aftercall.conclude(seen)
    assert await plane.aftercall.conclude(seen) is (when == "before")
    assert (await final(plane, call_id))["revision"] == 0


@pytest.mark.parametrize("when", ["before", "after"])
async def test_end_and_its_questions_are_one(
    plane: ControlPlane, sqlite: FailingDatabase, when: When
) -> None:
    call_id = await plane.talking()
    line = TranscriptLine(at=plane.clock(), speaker="customer", text="I will pay.")
    await plane.report(call_id, Source.AGENT, 3, line)
    now = plane.clock.advance(20)
    await plane.report(call_id, Source.AGENT, 4, AgentEnded(at=now, reason=Reason.BOT_ENDED))
    last = LegEnded(at=now, reason=Reason.BOT_ENDED)
    sqlite.fail_at(1, when)
    with pytest.raises(StoreFailed):
        await plane.report(call_id, Source.BRIDGE, 2, last)
    is_stored = when == "after"
    assert (await plane.row(call_id)).is_ended is is_stored
    assert len(await tasks_of(plane, call_id)) == is_stored
    await plane.report(call_id, Source.BRIDGE, 2, last)
    assert len(await tasks_of(plane, call_id)) == 1
    await answer(plane, await claimed(plane), result={"A": 1})
    assert (await final(plane, call_id))["revision"] == 0
