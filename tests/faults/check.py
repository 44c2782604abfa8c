"""What must hold once everything is quiet again, read from the ledger itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import text

from tests.faults.world import World

ROOMS_TIMEOUT_S = 25
"""LiveKit closes an empty room after twenty seconds (`livekit.yaml`)."""
IDLE_JOBS = 4
"""Of each worker: who they are forked from, two warm ones, and one that waits for a call."""
JOBS_TIMEOUT_S = 15
"""One that is just leaving is gone, or one too many that was being made."""


@dataclass(slots=True)
class Verdict:
    """What was found, in numbers, and everything that is wrong."""

    calls: int = 0
    resumed: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


async def judge(world: World) -> Verdict:
    """Look at every call there ever was."""
    verdict = Verdict()
    wrong = verdict.wrong
    async with world.database.read() as connection:
        calls = (
            await connection.execute(
                text(
                    "select call_id, stream_id, state, end_reason, agents_lost, room_due_at"
                    " from calls"
                )
            )
        ).all()
        results = Counter(
            (await connection.execute(text("select call_id from results where revision = 0")))
            .scalars()
            .all()
        )
        deliveries = (
            await connection.execute(
                text("select delivery_id, call_id, state, body from deliveries")
            )
        ).all()
    verdict.calls = len(calls)
    known = {call.stream_id for call in calls}
    wrong += [f"{name} was answered and is not known" for name in world.answered - known]
    delivered = {row.call_id for row in deliveries if row.state == "delivered"}
    for call in calls:
        verdict.endings[call.end_reason or "none"] += 1
        verdict.resumed += call.agents_lost == 1
        if call.state != "ended":
            wrong.append(f"{call.call_id} is still {call.state}")
        if results[call.call_id] != 1:
            wrong.append(f"{call.call_id} has {results[call.call_id]} final results")
        if call.room_due_at is not None:
            wrong.append(f"the room of {call.call_id} is still to be deleted")
        # A call that was refused before its bot was known has nobody to be told.
        if call.call_id not in delivered and any(d.call_id == call.call_id for d in deliveries):
            wrong.append(f"the result of {call.call_id} was not delivered")
    for row in deliveries:
        bodies = world.receiver.bodies.get(row.delivery_id, set())
        if bodies - {row.body.encode()}:
            wrong.append(f"{row.delivery_id} was sent with {len(bodies)} bodies")
        if row.state == "delivered" and row.delivery_id not in world.receiver.taken:
            wrong.append(f"{row.delivery_id} counts as delivered, but was not taken")
    if world.receiver.unsigned:
        wrong.append(f"{world.receiver.unsigned} deliveries were not signed")
    wrong += [f"room {name} is left" for name in await _rooms_left(world)]
    if jobs := await _jobs_left(world):
        wrong.append(f"{jobs} agent processes are left")
    return verdict


async def _jobs_left(world: World) -> int:
    """Return how many agent processes stay, where they are more than a worker keeps ready."""
    for _ in range(JOBS_TIMEOUT_S):
        jobs = len(world.jobs())
        if jobs <= IDLE_JOBS * len(world.processes("agent")):
            return 0
        await asyncio.sleep(1)
    return jobs


async def _rooms_left(world: World) -> list[str]:
    """Return the rooms of calls that stay, once LiveKit has had its time to close them."""
    left: list[str] = []
    for _ in range(ROOMS_TIMEOUT_S):
        left = [name for name in await world.rooms() if not name.startswith("standby-")]
        if not left:
            break
        await asyncio.sleep(1)
    return left
