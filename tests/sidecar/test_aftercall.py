"""From the end of a call to its final result: once, in time, amended; on both databases."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import text

from contracts.event import EventType
from contracts.outcome import Reason
from contracts.task import TaskAnswer, TaskKind
from sidecar.aftercall import LAST_CALL, LEASE_S, MAX_ATTEMPTS, RETRY_S
from sidecar.denial import Code, Denied
from sidecar.store import bots, events
from sidecar.store.schema import metadata
from sidecar.store.tasks import TaskState
from tests.fakes.aftercall import (
    ASKING,
    MODEL,
    announced,
    answer,
    answer_all,
    claim,
    claimed,
    spoken,
    tasks_of,
)
from tests.fakes.control_plane import ControlPlane

DEADLINE_S = 60.0
ONE_QUESTION = {**ASKING, "qc_prompt": None}


async def refused(plane: ControlPlane, task: Any, **said: Any) -> Code:
    with pytest.raises(Denied) as caught:
        await answer(plane, task, **said)
    return caught.value.code


async def result_of(plane: ControlPlane, call_id: str) -> dict[str, Any]:
    result = await plane.result(call_id)
    assert result is not None
    return result


async def test_result_waits_for_every_answer_and_holds_them(plane: ControlPlane) -> None:
    await plane.ready(**ASKING)
    call_id = await spoken(plane)
    assert await plane.result(call_id) is None
    assert await announced(plane) == []
    analysis = await claimed(plane)
    assert (analysis.kind, analysis.prompt) == (TaskKind.ANALYSIS, "What did Sam want?")
    assert [line.text for line in analysis.transcript] == ["I will pay on Friday."]
    await answer(plane, analysis, result={"DISPOSITION": "PTP"})
    assert await plane.result(call_id) is None
    qc = await claimed(plane)
    assert (qc.kind, qc.prompt) == (TaskKind.QC, "How well did the bot do?")
    await answer(plane, qc, result={"empathy_score": 7})
    result = await result_of(plane, call_id)
    assert result["post_call_analysis"] == {"DISPOSITION": "PTP"}
    assert result["qc_analysis"] == {"empathy_score": 7}
    assert (result["revision"], result["supersedes"]) == (0, None)
    (delivery,) = await announced(plane)
    assert json.loads(delivery.body) == result
    row = await plane.row(call_id)
    assert row.result_due_at is None
    assert await claim(plane) is None


async def test_call_is_told_ended_at_once_and_its_result_when_it_is_made(
    plane: ControlPlane,
) -> None:
    await plane.ready(**ASKING)
    call_id = await spoken(plane)
    kinds = [EventType.CALL_ENDED, EventType.CALL_RESULT]
    async with plane.database.read() as connection:
        (ended,) = await events.after(connection, "default", 0, types=kinds)
    assert ended.type is EventType.CALL_ENDED
    assert (ended.data["disconnected_by"], ended.data["call_duration_seconds"]) == ("customer", 20)
    assert await plane.live() == 0
    await answer_all(plane)
    async with plane.database.read() as connection:
        _, result = await events.after(connection, "default", 0, types=kinds)
    assert result.data == await plane.result(call_id)


@pytest.mark.parametrize(
    ("reason", "lasting_s", "said", "expected"),
    [
        (Reason.PIPELINE_FAILED, 20, "Hello?", "Failed"),
        (Reason.VOICEMAIL, 20, "Leave a message.", "IVR"),
        (Reason.MAX_DURATION, 20, "", "Not Connected"),
        (Reason.CALLER_HUNG_UP, 20, "", "RNR"),
        (Reason.CALLER_HUNG_UP, 4, "Wrong number.", None),
    ],
)
async def test_call_that_is_not_analysed_has_its_result_at_once(
    plane: ControlPlane, reason: Reason, lasting_s: float, said: str, expected: str | None
) -> None:
    await plane.ready(**ASKING)
    call_id = await spoken(plane, reason=reason, lasting_s=lasting_s, said=said)
    result = await result_of(plane, call_id)
    found = result["post_call_analysis"]
    assert (found and found["DISPOSITION"]) == expected
    assert result["qc_analysis"] is None
    assert await tasks_of(plane, call_id) == []
    row = await plane.row(call_id)
    assert row.result_due_at is None
    assert "sk-model" not in json.dumps(row.config)


async def test_bot_without_prompts_waits_for_nothing(plane: ControlPlane) -> None:
    await plane.ready(llm=MODEL)
    result = await result_of(plane, await spoken(plane))
    assert (result["post_call_analysis"], result["qc_analysis"]) == (None, None)


async def test_brain_of_rules_tells_what_it_knows_at_once(plane: ControlPlane) -> None:
    await plane.ready(post_call_analysis_prompt="What was it?", qc_prompt="How well?")
    result = await result_of(plane, await spoken(plane))
    assert result["post_call_analysis"]["CALLING_REMARKS"] == "I will pay on Friday."
    assert result["post_call_analysis"]["source"] == "rules"
    assert result["qc_analysis"] is None


async def test_deadline_makes_the_result_and_answers_amend_it(plane: ControlPlane) -> None:
    await plane.ready(**ASKING)
    call_id = await spoken(plane)
    first, second = await claimed(plane), await claimed(plane)
    plane.clock.advance(DEADLINE_S - 1)
    await plane.watch.tick()
    assert await plane.result(call_id) is None
    plane.clock.advance(1)
    await plane.watch.tick()
    result = await result_of(plane, call_id)
    assert (result["revision"], result["post_call_analysis"]) == (0, None)
    plane.clock.advance(1)
    await answer(plane, first, result={"DISPOSITION": "PTP"})
    plane.clock.advance(1)
    await answer(plane, second, result={"overall_score": 9})
    async with plane.database.read() as connection:
        told = await events.after(connection, "default", 0, types=[EventType.CALL_RESULT])
    assert [event.data["revision"] for event in told] == [0, 1, 2]
    assert [event.data["supersedes"] for event in told] == [None, told[0].id, told[1].id]
    assert told[1].data["post_call_analysis"] == {"DISPOSITION": "PTP"}
    assert told[1].data["qc_analysis"] is None
    assert told[2].data["qc_analysis"] == {"overall_score": 9}
    assert told[2].data == await plane.result(call_id)
    deliveries = await announced(plane)
    assert [delivery.delivery_id for delivery in deliveries] == [f"{e.id}-webhook" for e in told]
    assert [json.loads(delivery.body)["revision"] for delivery in deliveries] == [0, 1, 2]


async def test_two_watches_make_one_result(plane: ControlPlane) -> None:
    await plane.ready(**ASKING)
    call_id = await spoken(plane)
    plane.clock.advance(DEADLINE_S)
    seen = await plane.row(call_id)
    acted = await asyncio.gather(*(plane.aftercall.conclude(seen) for _ in range(4)))
    assert sorted(acted) == [False, False, False, True]
    assert len(await announced(plane)) == 1


async def test_answer_and_deadline_at_once_make_one_revision_0(plane: ControlPlane) -> None:
    await plane.ready(**ONE_QUESTION)
    for number in range(4):
        call_id = await spoken(plane, f"k{number}")
        task = await claimed(plane)
        seen = await plane.row(call_id)
        before = len(await announced(plane))
        plane.clock.advance(DEADLINE_S)
        await asyncio.gather(
            plane.aftercall.conclude(seen), answer(plane, task, result={"A": number})
        )
        result = await result_of(plane, call_id)
        assert result["post_call_analysis"] == {"A": number}
        # Whoever came first made revision 0; the answer amends it only if that was the deadline.
        assert len(await announced(plane)) - before == result["revision"] + 1


async def test_last_two_answers_at_once_make_the_result(plane: ControlPlane) -> None:
    await plane.ready(**ASKING)
    for number in range(4):
        call_id = await spoken(plane, f"k{number}")
        first, second = await claimed(plane), await claimed(plane)
        await asyncio.gather(
            answer(plane, first, result={"A": 1}), answer(plane, second, result={"B": 2})
        )
        result = await result_of(plane, call_id)
        assert (result["post_call_analysis"], result["qc_analysis"]) == ({"A": 1}, {"B": 2})
        assert result["revision"] == 0


async def test_one_of_many_claimants_gets_the_question(plane: ControlPlane) -> None:
    await plane.ready(**ONE_QUESTION)
    await spoken(plane)
    found = await asyncio.gather(*(claim(plane, f"w{number}") for number in range(5)))
    assert len([task for task in found if task is not None]) == 1


async def test_task_of_a_dead_worker_goes_to_another_and_its_late_answer_is_refused(
    plane: ControlPlane,
) -> None:
    await plane.ready(**ONE_QUESTION)
    call_id = await spoken(plane)
    lost = await claimed(plane, "w1")
    plane.clock.advance(LEASE_S - 1)
    assert await claim(plane, "w2") is None
    plane.clock.advance(1)
    again = await claimed(plane, "w2")
    assert (again.task_id, again.attempt) == (lost.task_id, 2)
    assert await refused(plane, lost, result={"A": "old"}) is Code.STALE_ATTEMPT
    await answer(plane, again, result={"A": "new"})
    assert (await result_of(plane, call_id))["post_call_analysis"] == {"A": "new"}
    assert await refused(plane, again, result={"A": "twice"}) is Code.STALE_ATTEMPT
    assert len(await announced(plane)) == 1


async def test_task_that_kills_its_workers_is_given_up(plane: ControlPlane) -> None:
    await plane.ready(**ONE_QUESTION)
    call_id = await spoken(plane)
    for _ in range(MAX_ATTEMPTS):
        await claimed(plane)
        plane.clock.advance(LEASE_S)
    assert await claim(plane) is None
    result = await result_of(plane, call_id)
    assert (result["revision"], result["post_call_analysis"]) == (0, None)
    assert result["events"][-1]["event"] == "analysis_failed"
    (task,) = await tasks_of(plane, call_id)
    assert (task.state, task.error) == (TaskState.FAILED, "the workers that took it vanished")


async def test_failed_attempt_is_made_again_later_and_not_for_ever(plane: ControlPlane) -> None:
    await plane.ready(**ONE_QUESTION)
    call_id = await spoken(plane)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        task = await claimed(plane)
        assert task.attempt == attempt
        assert await plane.result(call_id) is None
        await answer(plane, task, error="the model answered 500")
        assert await claim(plane) is None
        plane.clock.advance(RETRY_S * attempt)
    result = await result_of(plane, call_id)
    assert result["events"][-1] == {
        "event": "analysis_failed",
        "timestamp": 35.0,
        "error": "the model answered 500",
    }


async def test_heartbeat_tells_workers_that_work_waits(plane: ControlPlane) -> None:
    await plane.ready(**ONE_QUESTION)
    assert not (await plane.beat()).tasks
    await spoken(plane)
    assert (await plane.beat()).tasks
    assert not (await plane.beat(ready=False)).tasks
    await claimed(plane)
    assert not (await plane.beat()).tasks
    plane.clock.advance(LEASE_S)
    assert (await plane.beat()).tasks


async def everything(plane: ControlPlane) -> str:
    """Return all that the database holds but the bots themselves."""
    found = []
    async with plane.database.read() as connection:
        for name in metadata.tables:
            if name not in ("bots", "bot_versions"):
                rows = await connection.execute(text(f"select * from {name}"))
                # As tuples: a row's own text leaves out the middle of long values.
                found += [tuple(row) for row in rows]
    return str(found)


async def test_secrets_leave_the_database_with_the_last_answer(plane: ControlPlane) -> None:
    await plane.ready(**ASKING)
    call_id = await spoken(plane)
    assert "sk-model" in await everything(plane)
    await answer_all(plane)
    assert await plane.result(call_id) is not None
    assert "sk-model" not in await everything(plane)


async def test_secrets_leave_the_database_though_nobody_answers(plane: ControlPlane) -> None:
    await plane.ready(**ASKING)
    call_id = await spoken(plane)
    late = await claimed(plane)
    plane.clock.advance(DEADLINE_S)
    await plane.watch.tick()
    plane.clock.advance(LAST_CALL.total_seconds())
    await plane.watch.tick()
    assert "sk-model" not in await everything(plane)
    assert (await plane.row(call_id)).result_due_at is None
    assert {task.state for task in await tasks_of(plane, call_id)} == {TaskState.FAILED}
    assert await refused(plane, late, result={}) is Code.STALE_ATTEMPT
    assert (await result_of(plane, call_id))["revision"] == 0


async def test_key_is_the_one_the_bot_has_when_the_question_is_asked(plane: ControlPlane) -> None:
    await plane.ready(**ASKING)
    await spoken(plane)
    await plane.add_bot(**{**ASKING, "llm": {**MODEL, "api_key": "sk-new", "model": "newer"}})
    task = await claimed(plane)
    assert (task.llm.api_key, task.llm.model) == ("sk-new", "gpt-4.1-mini")


@pytest.mark.parametrize(
    "llm", [{**MODEL, "base_url": "https://elsewhere.example/v1"}, {"provider": "rules"}]
)
async def test_key_is_shown_to_no_model_it_was_not_given_for(
    plane: ControlPlane, llm: dict[str, Any]
) -> None:
    await plane.ready(**ONE_QUESTION)
    call_id = await spoken(plane)
    await plane.add_bot(**{**ONE_QUESTION, "llm": llm})
    assert await claim(plane) is None
    result = await result_of(plane, call_id)
    assert result["events"][-1]["error"] == "the bot has another language model now"


async def test_fallbacks_are_those_the_keys_are_given_for_now(plane: ControlPlane) -> None:
    old = {
        "provider": "openai",
        "model": "m",
        "api_key": "sk-old",
        "base_url": "https://old.example",
    }
    new = {**old, "api_key": "sk-next", "base_url": "https://new.example"}
    await plane.ready(**{**ONE_QUESTION, "llm": {**MODEL, "fallbacks": [old]}})
    await spoken(plane)
    await plane.add_bot(**{**ONE_QUESTION, "llm": {**MODEL, "fallbacks": [new]}})
    [other] = (await claimed(plane)).llm.fallbacks
    assert (other.base_url, other.api_key) == ("https://new.example", "sk-next")


async def test_question_of_a_bot_that_was_removed_is_given_up(plane: ControlPlane) -> None:
    await plane.ready(**ONE_QUESTION)
    call_id = await spoken(plane)
    async with plane.database.transaction() as connection:
        await bots.remove(connection, "default", "desk")
    assert await claim(plane) is None
    assert (await result_of(plane, call_id))["post_call_analysis"] is None


async def test_fetched_config_keeps_its_own_key_until_the_result_is_final(
    plane: ControlPlane,
) -> None:
    await plane.ready(**ONE_QUESTION)
    call_id = await spoken(plane, config_url="https://config.example")
    # Its bot is not one of ours.
    async with plane.database.transaction() as connection:
        await bots.remove(connection, "default", "desk")
    task = await claimed(plane)
    assert task.llm.api_key == "sk-model"
    await answer(plane, task, result={"A": 1})
    row = await plane.row(call_id)
    assert row.config is not None
    assert row.config["llm"]["api_key"] == "********"


async def test_callback_keys_are_given_their_types(plane: ControlPlane) -> None:
    await plane.ready(**ONE_QUESTION, callback_detection_enabled=True)
    call_id = await spoken(plane)
    task = await claimed(plane)
    assert "callback_requested" in task.prompt
    await answer(plane, task, result={"callback_requested": "yes", "callback_confidence": "90%"})
    found = (await result_of(plane, call_id))["post_call_analysis"]
    assert (found["callback_requested"], found["callback_confidence"]) == (True, 0.9)


async def test_answer_to_no_task_is_refused(plane: ControlPlane) -> None:
    await plane.ready(**ONE_QUESTION)
    await spoken(plane)
    task = await claimed(plane)
    given = TaskAnswer(worker_id="w1", attempt=1, result={})
    for tenant_id, task_id in (("default", "nothing"), ("other", task.task_id)):
        with pytest.raises(Denied) as caught:
            await plane.aftercall.answer(tenant_id, task_id, given)
        assert caught.value.code is Code.NOT_FOUND
