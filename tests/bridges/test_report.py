"""What the sidecar is told about one call, whenever the plan comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridges import report as report_module
from bridges.leg import Offered
from bridges.report import CallReport
from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.plan import PlanRequest
from contracts.report import LegAnswered, LegDialled, LegEnded, LegStarted
from sidecar.client import Adopter, Refused, SidecarClient, Spool
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


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path, "bridge", max_bytes=2**20)


async def test_facts_before_the_plan_are_kept_in_order(
    sidecar: FakeSidecar, client: SidecarClient, spool: Spool
) -> None:
    report = CallReport(client, plan_request, spool)
    report.add(LegStarted(at=AT, stream_id="s"))

    plan = await report.plan(OFFER)
    report.add(LegAnswered(at=AT))
    await report.close(ENDED)

    assert report.call_id == plan.call_id
    assert sidecar.names(plan.call_id) == ["leg_started", "leg_answered", "leg_ended"]
    assert sidecar.requests[0].caller_id == "1"


async def test_asking_twice_plans_once(
    sidecar: FakeSidecar, client: SidecarClient, spool: Spool
) -> None:
    report = CallReport(client, plan_request, spool)

    first, second = await asyncio.gather(report.plan(OFFER), report.plan(OFFER))

    assert first == second
    assert len(sidecar.requests) == 1
    await report.close(ENDED)


async def test_caller_who_leaves_while_planning_is_reported_once_the_plan_is_there(
    sidecar: FakeSidecar, client: SidecarClient, spool: Spool
) -> None:
    sidecar.gate.clear()
    report = CallReport(client, plan_request, spool)
    asking = asyncio.create_task(report.plan(OFFER))
    await asyncio.sleep(0)
    asking.cancel()
    closing = asyncio.create_task(report.close(ENDED))
    await asyncio.sleep(0)

    sidecar.gate.set()
    await closing

    assert (await sidecar.ended()).reason is Reason.CALLER_HUNG_UP


async def test_call_that_is_planned_already_asks_for_nothing(
    sidecar: FakeSidecar, client: SidecarClient, spool: Spool
) -> None:
    given = await client.plan(plan_request(OFFER))
    report = CallReport(client, given, spool)
    report.add(LegDialled(at=AT))
    assert await report.plan(OFFER) is given
    report.add(LegAnswered(at=AT))
    await report.close(ENDED)

    assert report.call_id == given.call_id
    assert sidecar.names(given.call_id) == ["leg_dialled", "leg_answered", "leg_ended"]
    assert len(sidecar.requests) == 1


async def test_call_that_is_planned_already_is_reported_though_nobody_offered_it(
    sidecar: FakeSidecar, client: SidecarClient, spool: Spool
) -> None:
    given = await client.plan(plan_request(OFFER))
    await CallReport(client, given, spool).close(ENDED)

    assert sidecar.names(given.call_id) == ["leg_ended"]


async def test_refused_call_has_no_report(
    sidecar: FakeSidecar, client: SidecarClient, spool: Spool
) -> None:
    sidecar.refusal = (404, "bot_unknown", "no such bot")
    report = CallReport(client, plan_request, spool)
    report.add(LegStarted(at=AT, stream_id="s"))

    with pytest.raises(Refused, match="bot_unknown"):
        await report.plan(OFFER)
    await report.close(ENDED)

    assert sidecar.facts == {}
    assert report.ended is ENDED


async def test_call_that_ends_while_the_sidecar_is_away_is_handed_in_later(
    sidecar: FakeSidecar, client: SidecarClient, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_module, "HAND_OVER_S", 0.05)
    report = CallReport(client, plan_request, spool)
    await report.plan(OFFER)
    sidecar.away = True
    report.add(LegAnswered(at=AT))
    await report.close(ENDED)
    assert sidecar.facts == {}

    # Another process of the same host, once the sidecar is back.
    sidecar.away = False
    heir = Adopter(Spool(spool.folder, "heir", max_bytes=2**20), client)
    assert heir.waiting() == 1
    assert await heir.turn()
    assert sidecar.names(report.call_id) == ["leg_answered", "leg_ended"]
    assert heir.waiting() == 0


async def test_call_whose_facts_are_nowhere_on_disk_is_waited_for_longer(
    sidecar: FakeSidecar, client: SidecarClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_module, "HAND_OVER_S", 0.0)
    monkeypatch.setattr(report_module, "FLUSH_TIMEOUT_S", 5.0)
    in_the_way = tmp_path / "spool"
    in_the_way.write_text("no folder can be made here")
    report = CallReport(client, plan_request, Spool(in_the_way, "bridge", max_bytes=2**20))
    await report.plan(OFFER)
    sidecar.away = True
    closing = asyncio.create_task(report.close(ENDED))
    await asyncio.sleep(0.05)

    sidecar.away = False
    await closing

    assert sidecar.names(report.call_id) == ["leg_ended"]
