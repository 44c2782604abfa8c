"""Calls worth analysing, and workers that answer, over a `ControlPlane`."""

from __future__ import annotations

from typing import Any

from contracts.outcome import Reason
from contracts.report import AgentEnded, Fact, LegEnded, Source, TranscriptLine
from contracts.task import Task, TaskAnswer, TaskClaim
from sidecar.store import deliveries, tasks
from sidecar.store.deliveries import Delivery
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.store.tasks import TaskRow
from tests.fakes.control_plane import ControlPlane

MODEL = {"provider": "openai", "api_key": "sk-model", "model": "gpt-4.1-mini"}
ASKING: dict[str, Any] = {
    "llm": MODEL,
    "post_call_analysis_prompt": "What did {{call.customer_name}} want?",
    "qc_prompt": "How well did the bot do?",
}
"""A bot that wants an analysis and QC of its calls."""


async def spoken(
    plane: ControlPlane,
    key: str = "k1",
    *,
    reason: Reason = Reason.CALLER_HUNG_UP,
    lasting_s: float = 20.0,
    said: str = "I will pay on Friday.",
    config_url: str = "",
) -> str:
    """Hold a call in which the customer says something, and end it; return its id."""
    await plane.beat()
    call_id = await plane.talking(key, config_url=config_url)
    facts: list[Fact] = []
    if said:
        facts.append(TranscriptLine(at=plane.clock(), speaker="customer", text=said))
    plane.clock.advance(lasting_s)
    now = plane.clock()
    facts.append(AgentEnded(at=now, reason=reason))
    await plane.report(call_id, Source.AGENT, 3, *facts)
    await plane.report(call_id, Source.BRIDGE, 2, LegEnded(at=now, reason=reason))
    return call_id


async def claim(plane: ControlPlane, worker_id: str = "w1") -> Task | None:
    return await plane.aftercall.claim(DEFAULT_TENANT, TaskClaim(worker_id=worker_id))


async def claimed(plane: ControlPlane, worker_id: str = "w1") -> Task:
    """Claim a task that must be there."""
    task = await claim(plane, worker_id)
    assert task is not None
    return task


async def answer(plane: ControlPlane, task: Task, **said: Any) -> None:
    given = TaskAnswer(worker_id="w1", attempt=task.attempt, **said)
    await plane.aftercall.answer(DEFAULT_TENANT, task.task_id, given)


async def answer_all(plane: ControlPlane) -> None:
    """Let a worker answer every question there is with its kind."""
    while (task := await claim(plane)) is not None:
        await answer(plane, task, result={"kind": task.kind})


async def announced(plane: ControlPlane) -> list[Delivery]:
    """Return what was announced so far, oldest first."""
    async with plane.database.read() as connection:
        found = await deliveries.page(connection, DEFAULT_TENANT)
    return sorted(found, key=lambda delivery: (delivery.created_at, delivery.delivery_id))


async def tasks_of(plane: ControlPlane, call_id: str) -> list[TaskRow]:
    async with plane.database.read() as connection:
        return await tasks.of_call(connection, DEFAULT_TENANT, call_id)
