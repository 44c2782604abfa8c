"""Work after calls over HTTP, through the client that workers use; and results by revision."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.plan import Claim, PlanRequest
from contracts.report import (
    AgentEnded,
    AgentJoined,
    Fact,
    Heartbeat,
    LegAnswered,
    LegEnded,
    Report,
    Source,
    TranscriptLine,
)
from contracts.task import TaskAnswer, TaskClaim
from sidecar.client import Refused, SidecarClient
from sidecar.clock import utc_now
from tests.fakes.aftercall import ASKING
from tests.fakes.control_plane import BOT
from tests.fakes.sidecar_app import SidecarApp

CLAIM = TaskClaim(worker_id="w1")
BEAT = Heartbeat(
    kind="agent", id="w1", host="h", pid=1, ready=True, max_calls=2, started_at=utc_now()
)


async def held(sidecar: SidecarApp, client: SidecarClient) -> str:
    """Hold a call of twenty seconds, by the word of its bridge and agent; return its id."""
    bot = {**BOT, **ASKING, "webhook_url": "http://127.0.0.1:9/results"}
    async with sidecar.operator() as operator:
        await operator.post("/api/v1/bots", json=bot)
    await client.heartbeat(BEAT)
    plan = await client.plan(
        PlanRequest(channel=Channel.WEBSOCKET, bot_id="desk", idempotency_key="k1")
    )
    await client.claim(plan.call_id, Claim(incarnation=1, worker_id="w1"))
    ended = utc_now()
    began = ended - timedelta(seconds=20)
    agent: list[Fact] = [
        AgentJoined(at=began),
        TranscriptLine(at=began, speaker="customer", text="I will pay on Friday."),
        AgentEnded(at=ended, reason=Reason.CALLER_HUNG_UP),
    ]
    bridge: list[Fact] = [LegAnswered(at=began), LegEnded(at=ended, reason=Reason.CALLER_HUNG_UP)]
    for source, facts in ((Source.BRIDGE, bridge), (Source.AGENT, agent)):
        report = Report(source=source, incarnation=1, seq=1, facts=facts)
        await client.report(plan.call_id, report)
    return plan.call_id


async def result(sidecar: SidecarApp, call_id: str, **query: Any) -> tuple[int, dict[str, Any]]:
    async with sidecar.operator() as operator:
        answer = await operator.get(f"/api/v1/calls/{call_id}/result", params=query)
    return answer.status_code, answer.json()


async def test_worker_is_told_of_tasks_and_does_them(sidecar: SidecarApp) -> None:
    async with sidecar.service() as client:
        call_id = await held(sidecar, client)
        assert (await result(sidecar, call_id))[0] == 404
        assert (await client.heartbeat(BEAT)).tasks
        while (task := await client.claim_task(CLAIM)) is not None:
            answer = TaskAnswer(worker_id="w1", attempt=1, result={"about": task.kind})
            await client.answer_task(task.task_id, answer)
        assert not (await client.heartbeat(BEAT)).tasks
    status, body = await result(sidecar, call_id)
    assert (status, body["post_call_analysis"]) == (200, {"about": "analysis"})
    assert body["qc_analysis"] == {"about": "qc"}
    assert await result(sidecar, call_id, revision=0) == (200, body)
    assert (await result(sidecar, call_id, revision=1))[0] == 404
    assert (await result(sidecar, call_id, revision="newest"))[0] == 422
    assert await sidecar.sent_to("/results")


async def test_answer_of_an_old_attempt_is_refused(sidecar: SidecarApp) -> None:
    async with sidecar.service() as client:
        await held(sidecar, client)
        task = await client.claim_task(CLAIM)
        assert task is not None
        for task_id, attempt, code in (
            (task.task_id, 7, "stale_attempt"),
            ("nothing", 1, "not_found"),
        ):
            answer = TaskAnswer(worker_id="w1", attempt=attempt, result={})
            with pytest.raises(Refused) as caught:
                await client.answer_task(task_id, answer)
            assert caught.value.code == code


async def test_tasks_are_for_our_own_workers(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        for path in ("/internal/v1/tasks/claim", "/internal/v1/tasks/t/answer"):
            answer = await operator.post(path, json={"worker_id": "w1"})
            assert answer.status_code == 403
