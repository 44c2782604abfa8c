"""From the plan to the claim with a CRM in between: slow, failing, dying; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.outcome import Reason
from contracts.plan import AgentPlan, Plan
from contracts.report import LegAnswered, LegEnded, Source
from sidecar.denial import Code, Denied
from sidecar.prefetch import RINGING
from sidecar.progress import LISTENING
from sidecar.rooms import RoomUnavailable
from sidecar.store.database import Database
from sidecar.store.tables import DEFAULT_TENANT
from tests.fakes.control_plane import ControlPlane
from tests.fakes.crm import FakeCrm, running_crm

WORDS = {
    "system_prompt": "You talk to {{crm.customer_name}}, who owes {{crm.loan.due}}.",
    "opening_message": "Hello {{crm.customer_name}}.",
}
Replica = Callable[..., ControlPlane]


@pytest.fixture
async def crm() -> AsyncIterator[FakeCrm]:
    async with running_crm(answer={"customer_name": "Asha", "loan": {"due": 5}}) as crm:
        yield crm


@pytest.fixture
async def replica(database: Database, tmp_path: Path) -> AsyncIterator[Replica]:
    """Makes sidecars over one database, as replicas are; ids never meet."""
    planes: list[ControlPlane] = []
    async with httpx.AsyncClient(trust_env=False) as http:

        def make(**settings: Any) -> ControlPlane:
            planes.append(ControlPlane(database, tmp_path / "recordings", http=http, **settings))
            return planes[-1]

        yield make
        for plane in planes:
            await plane.prefetch.aclose()


@pytest.fixture
async def plane(replica: Replica, crm: FakeCrm) -> ControlPlane:
    """One sidecar, with a bot that asks the CRM."""
    plane = replica()
    await plane.ready(**WORDS, crm_prefetch=asking(crm))
    return plane


def asking(crm: FakeCrm, **changes: Any) -> dict[str, Any]:
    return {"url": f"{crm.url}/customers?phone={{{{call.caller_id}}}}", **changes}


async def told(plane: ControlPlane, call_id: str) -> list[dict[str, Any]]:
    """Return what the result says of the CRM, once the call has ended."""
    now = plane.clock()
    hung_up = LegEnded(at=now, reason=Reason.CALLER_HUNG_UP)
    await plane.report(call_id, Source.BRIDGE, 1, LegAnswered(at=now), hung_up)
    await plane.calls.finish(await plane.row(call_id), None)
    result = await plane.result(call_id)
    assert result is not None
    return [entry for entry in result["events"] if entry["event"].startswith("crm_")]


async def still_waits(claim: asyncio.Task[AgentPlan]) -> bool:
    done, _ = await asyncio.wait({claim}, timeout=0.05)
    return not done


async def claimed_while_the_crm_thinks(
    planning: ControlPlane, serving: ControlPlane, crm: FakeCrm
) -> tuple[Plan, asyncio.Task[AgentPlan]]:
    """Plan a call on one replica and claim it on another, the CRM's answer still to come."""
    crm.held.clear()
    plan = await planning.plan(connected_event={})
    await crm.came.wait()
    claim = asyncio.create_task(serving.claim(plan.call_id))
    assert await still_waits(claim)
    return plan, claim


async def test_claim_waits_for_the_crm_and_gets_its_words(
    plane: ControlPlane, crm: FakeCrm
) -> None:
    plan, claim = await claimed_while_the_crm_thinks(plane, plane, crm)
    assert plane.rooms.dispatches == [(plan.room_name, plan.call_id, 1)]
    assert (await plane.row(plan.call_id)).worker_id == "w1"
    crm.held.set()
    agent = await claim
    assert agent.config.opening_message == "Hello Asha."
    assert agent.config.system_prompt == "You talk to Asha, who owes {{crm.loan.due}}."
    assert agent.variables["crm.loan"] == '{"due": 5}'
    assert not agent.is_provisional
    assert not agent.opening_is_fixed
    (asked,) = crm.asked
    assert asked.query == {"phone": "+15550100"}
    (event,) = await told(plane, plan.call_id)
    assert event["event"] == "crm_prefetched"
    assert event["duration_ms"] > 0


async def test_claim_of_another_replica_waits_as_well(
    plane: ControlPlane, replica: Replica, crm: FakeCrm
) -> None:
    other = replica()
    _, claim = await claimed_while_the_crm_thinks(plane, other, crm)
    crm.held.set()
    assert (await claim).config.opening_message == "Hello Asha."


async def test_claim_goes_on_when_the_replica_that_asked_has_died(
    plane: ControlPlane, replica: Replica, crm: FakeCrm
) -> None:
    other = replica()
    plan, claim = await claimed_while_the_crm_thinks(plane, other, crm)
    await plane.prefetch.aclose()
    assert await still_waits(claim)
    other.clock.advance(RINGING.total_seconds())
    assert (await claim).config.opening_message == "Hello {{crm.customer_name}}."
    (event,) = await told(other, plan.call_id)
    assert (event["event"], event["reason"]) == ("crm_prefetch_failed", "timeout")
    assert event["duration_ms"] == 1000 * RINGING.total_seconds()


async def test_late_answer_changes_nothing_any_more(
    plane: ControlPlane, replica: Replica, crm: FakeCrm
) -> None:
    other = replica()
    plan, claim = await claimed_while_the_crm_thinks(plane, other, crm)
    other.clock.advance(RINGING.total_seconds())
    first = await claim
    crm.held.set()
    await plane.prefetch.aclose(drain_s=5)
    assert await other.claim(plan.call_id) == first
    assert [event["event"] for event in await told(other, plan.call_id)] == ["crm_prefetch_failed"]


@pytest.mark.parametrize(("answered", "patience"), [(True, LISTENING), (False, RINGING)])
async def test_who_listens_waits_less(
    plane: ControlPlane, crm: FakeCrm, answered: bool, patience: Any
) -> None:
    # Or it may have answered by the time one looks.
    crm.held.clear()
    plan = await plane.plan(answered=answered)
    assert (await plane.row(plan.call_id)).prefetch_due_at == plane.clock() + patience
    crm.held.set()


async def test_answered_phone_waits_no_longer_than_one_that_was(
    plane: ControlPlane, crm: FakeCrm
) -> None:
    crm.held.clear()
    plan = await plane.plan()
    at = plane.clock.advance(0.5)
    await plane.report(plan.call_id, Source.BRIDGE, 1, LegAnswered(at=at))
    assert (await plane.row(plan.call_id)).prefetch_due_at == at + LISTENING


@pytest.mark.parametrize(
    ("behaviour", "told_of"),
    [
        ({"status": 503}, {"reason": "status", "status": 503}),
        ({"answer": "<html>"}, {"reason": "not_json"}),
        ({"answer": []}, {"reason": "path_missing"}),
    ],
)
async def test_failure_leaves_the_call_with_what_it_has(
    plane: ControlPlane, crm: FakeCrm, behaviour: dict[str, Any], told_of: dict[str, Any]
) -> None:
    for name, value in behaviour.items():
        setattr(crm, name, value)
    plan = await plane.plan(connected_event={"customer_name": "Sam"})
    assert (await plane.claim(plan.call_id)).config.opening_message == "Hello Sam."
    (event,) = await told(plane, plan.call_id)
    assert event.items() >= {"event": "crm_prefetch_failed", **told_of}.items()
    assert event["duration_ms"] >= 0


async def test_bots_own_time_out_is_kept(plane: ControlPlane, crm: FakeCrm) -> None:
    await plane.add_bot(**WORDS, crm_prefetch=asking(crm, timeout_s=0.05))
    crm.held.clear()
    plan = await plane.plan(connected_event={})
    agent = await plane.claim(plan.call_id)
    assert agent.config.opening_message == "Hello {{crm.customer_name}}."


async def test_crm_stands_above_the_event_and_the_event_above_the_bot(
    plane: ControlPlane, crm: FakeCrm
) -> None:
    await plane.add_bot(
        opening_message="{{crm.customer_name}} {{crm.city}} {{crm.plan}} {{call.customer_name}}",
        variables={"customer_name": "nobody", "city": "nowhere", "plan": "gold"},
        crm_prefetch=asking(crm),
    )
    plan = await plane.plan(connected_event={"customer_name": "Sam", "city": "Pune"})
    opening = (await plane.claim(plan.call_id)).config.opening_message
    assert opening == "Asha Pune gold Sam"


@pytest.mark.parametrize(
    ("event", "opening"),
    [
        ({"_skip_prefetch": "true", "customer_name": "Sam"}, "Hello Sam."),
        ({"_mock_crm": {"customer_name": "Test"}}, "Hello Test."),
    ],
)
async def test_event_may_say_that_nothing_is_asked(
    plane: ControlPlane, crm: FakeCrm, event: dict[str, Any], opening: str
) -> None:
    plan = await plane.plan(connected_event=event)
    assert (await plane.row(plan.call_id)).prefetch_due_at is None
    assert (await plane.claim(plan.call_id)).config.opening_message == opening
    assert crm.asked == []
    assert await told(plane, plan.call_id) == []


async def test_call_that_ends_meanwhile_is_nobodys(plane: ControlPlane, crm: FakeCrm) -> None:
    plan, claim = await claimed_while_the_crm_thinks(plane, plane, crm)
    await plane.calls.finish(await plane.row(plan.call_id), Reason.ABANDONED)
    crm.held.set()
    with pytest.raises(Denied) as caught:
        await claim
    assert caught.value.code is Code.CALL_ENDED
    await plane.prefetch.aclose(drain_s=5)
    assert (await plane.row(plan.call_id)).variables.get("crm.customer_name") != "Asha"


async def test_answer_to_a_call_that_never_came_about_is_dropped(
    plane: ControlPlane, crm: FakeCrm
) -> None:
    crm.held.clear()
    plane.rooms.failure = RoomUnavailable("down")
    with pytest.raises(Denied):
        await plane.plan()
    crm.held.set()
    await plane.prefetch.aclose(drain_s=5)
    assert await plane.live() == 0


async def test_agent_is_not_given_the_crms_keys(plane: ControlPlane, crm: FakeCrm) -> None:
    secret = "Bearer of-the-crm"
    await plane.add_bot(
        crm_prefetch=asking(crm, token=secret), post_call_push={"url": crm.url, "token": secret}
    )
    plan = await plane.plan()
    assert secret not in (await plane.claim(plan.call_id)).model_dump_json()
    assert crm.asked[0].headers["Authorization"] == secret


async def test_agent_that_waited_is_told_to_wait_for_the_claims_answer(
    replica: Replica, crm: FakeCrm
) -> None:
    plane = replica(standby_agents=1)
    await plane.ready(**WORDS, crm_prefetch=asking(crm))
    await plane.keeper.tick()
    (standby_id,) = plane.rooms.standbys
    armed = plane.bells.standbys.armed()
    waiting: Awaitable[AgentPlan | None] = asyncio.create_task(
        plane.standbys.wait(DEFAULT_TENANT, standby_id, "w1")
    )
    await armed.wait()
    await plane.beat(standbys=[standby_id])
    crm.held.clear()
    plan = await plane.plan(answered=True)
    handed = await waiting
    assert handed is not None
    assert (handed.call_id, handed.is_provisional) == (plan.call_id, True)
    claim = asyncio.create_task(plane.claim(plan.call_id))
    assert await still_waits(claim)
    crm.held.set()
    agent = await claim
    assert (agent.config.opening_message, agent.is_provisional) == ("Hello Asha.", False)


async def test_token_that_is_only_named_is_shown_to_the_crm(
    replica: Replica, crm: FakeCrm, tmp_path: Path
) -> None:
    (tmp_path / "crm").write_text("t0p")
    plane = replica(secrets_dir=tmp_path)
    await plane.ready(**WORDS, crm_prefetch=asking(crm, token="Bearer secret://crm"))
    plan = await plane.plan(connected_event={})
    assert (await plane.claim(plan.call_id)).config.opening_message == "Hello Asha."
    (asked,) = crm.asked
    assert asked.headers["Authorization"] == "Bearer t0p"


async def test_crm_whose_token_is_missing_is_not_asked(
    replica: Replica, crm: FakeCrm, tmp_path: Path
) -> None:
    plane = replica(secrets_dir=tmp_path)
    await plane.ready(**WORDS, crm_prefetch=asking(crm, token="Bearer secret://crm"))
    plan = await plane.plan(connected_event={})
    await plane.claim(plan.call_id)
    (failed,) = await told(plane, plan.call_id)
    assert (failed["event"], failed["reason"]) == ("crm_prefetch_failed", "secret_missing")
    assert crm.asked == []
