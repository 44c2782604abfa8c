"""What the sidecar is told about one call, whenever the plan comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bridges import report as report_module
from bridges.leg import Offered
from bridges.report import CallReport
from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.plan import PlanRequest
from contracts.report import LegAnswered, LegEnded, LegStarted
from sidecar.client import Refused, SidecarClient
from tests.fakes.leg import AT
from tests.fakes.sidecar import FakeSidecar

OFFER = Offered("1", "2", "incoming", "s", {})
ENDED = LegEnded(at=AT, reason=Reason.CALLER_HUNG_UP)


def plan_request(offered: Offered) -> PlanRequest:
    return PlanRequest(
        channel=Channel.WEBSOCKET,
        bot_id="desk",
        caller_id=offered.caller_id,
        stream_id=offered.stream_id,
        idempotency_key="k",
    )


@pytest.fixture
async def sidecar() -> FakeSidecar:
    return FakeSidecar()


@pytest.fixture
async def client(sidecar: FakeSidecar) -> AsyncIterator[SidecarClient]:
    async with sidecar.client() as client:
        yield client


async def test_facts_before_the_plan_are_kept_in_order(
    sidecar: FakeSidecar, client: SidecarClient
) -> None:
    report = CallReport(client, plan_request)
    report.add(LegStarted(at=AT, stream_id="s"))

    plan = await report.plan(OFFER)
    report.add(LegAnswered(at=AT))
    await report.close(ENDED)

    assert report.call_id == plan.call_id
    assert sidecar.names(plan.call_id) == ["leg_started", "leg_answered", "leg_ended"]
    assert sidecar.requests[0].caller_id == "1"


async def test_asking_twice_plans_once(sidecar: FakeSidecar, client: SidecarClient) -> None:
    report = CallReport(client, plan_request)

    first, second = await asyncio.gather(report.plan(OFFER), report.plan(OFFER))

    assert first == second
    assert len(sidecar.requests) == 1
    await report.close(ENDED)


async def test_caller_who_leaves_while_planning_is_reported_once_the_plan_is_there(
    sidecar: FakeSidecar, client: SidecarClient
) -> None:
    sidecar.gate.clear()
    report = CallReport(client, plan_request)
    asking = asyncio.create_task(report.plan(OFFER))
    await asyncio.sleep(0)
    asking.cancel()
    closing = asyncio.create_task(report.close(ENDED))
    await asyncio.sleep(0)

    sidecar.gate.set()
    await closing

    assert (await sidecar.ended()).reason is Reason.CALLER_HUNG_UP


async def test_refused_call_has_no_report(sidecar: FakeSidecar, client: SidecarClient) -> None:
    sidecar.refusal = (404, "bot_unknown", "no such bot")
    report = CallReport(client, plan_request)
    report.add(LegStarted(at=AT, stream_id="s"))

    with pytest.raises(Refused, match="bot_unknown"):
        await report.plan(OFFER)
    await report.close(ENDED)

    assert sidecar.facts == {}
    assert report.ended is ENDED


async def test_sidecar_that_stays_away_is_given_up(
    sidecar: FakeSidecar, client: SidecarClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_module, "FLUSH_TIMEOUT_S", 0.05)
    report = CallReport(client, plan_request)
    await report.plan(OFFER)
    sidecar.away = True

    await report.close(ENDED)

    assert sidecar.facts == {}
