"""A telephone's leg of a room on a real server: when the phone may be answered, and what the agent
is told of its line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from bridges.clock import Clock
from bridges.ending import Ending
from bridges.leg import AgentReady, AgentReplaced, LegEvent, Offered
from bridges.race import cancel
from bridges.room_leg import RoomLeg
from contracts.command import SendDigits
from contracts.ids import ANSWERED_ATTRIBUTE, HOLD_ATTRIBUTE, LEG_NEWS_TOPIC, Channel
from contracts.leg_news import (
    CallAnswered,
    CallHeld,
    CallResumed,
    DigitHeard,
    TransferAccepted,
    TransferDone,
    TransferRefused,
)
from contracts.outcome import Reason
from contracts.plan import Plan, PlanRequest
from contracts.report import (
    DigitPressed,
    LegAnswered,
    LegHeld,
    LegResumed,
    TransferFailed,
    TransferSent,
)
from tests.fakes.leg import AT
from tests.fakes.room_agent import RoomAgent
from tests.fakes.sidecar import FakeSidecar
from tests.integration.livekit_server import LiveKitServer

OFFER = Offered("1", "2", "incoming", "s", {}, answers_at_once=False)


@dataclass
class Seat:
    """A caller's place in a room, and what it is told there."""

    sidecar: FakeSidecar
    plan: Plan
    leg: RoomLeg
    told: list[LegEvent]
    changed: asyncio.Event

    async def agent(self, incarnation: int = 1) -> RoomAgent:
        return await RoomAgent.join(self.sidecar, self.plan, incarnation)

    async def hears(self, kind: type[LegEvent]) -> None:
        """Wait until the leg has told something of a kind."""
        async with asyncio.timeout(10):
            while not any(isinstance(event, kind) for event in self.told):
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def seat(server: LiveKitServer) -> AsyncIterator[Seat]:
    sidecar = FakeSidecar(server.url, server.key, server.secret)
    told: list[LegEvent] = []
    changed = asyncio.Event()

    def tell(event: LegEvent) -> None:
        told.append(event)
        changed.set()

    async with sidecar.client() as client:
        request = PlanRequest(channel=Channel.SIP, idempotency_key="k")
        leg = RoomLeg(lambda _: client.plan(request), Clock())
        run: asyncio.Task[Ending] = asyncio.create_task(leg.run(tell))
        leg.accept(OFFER)
        (plan,) = await sidecar.planned()
        try:
            yield Seat(sidecar, plan, leg, told, changed)
        finally:
            await cancel(run)
            await leg.close()


async def test_phone_may_be_answered_once_an_agent_is_there(
    livekit_server: LiveKitServer,
) -> None:
    async with seat(livekit_server) as there:
        assert AgentReady() not in there.told
        agent = await there.agent()
        await there.hears(AgentReady)
        assert not agent.answered.is_set()
        there.leg.accept(LegAnswered(at=AT))
        await asyncio.wait_for(agent.answered.wait(), 10)
        await agent.leave()


async def test_agent_is_told_what_becomes_of_the_line_in_order(
    livekit_server: LiveKitServer,
) -> None:
    async with seat(livekit_server) as there:
        agent = await there.agent()
        await there.hears(AgentReady)
        there.leg.accept(LegAnswered(at=AT))
        await asyncio.wait_for(agent.answered.wait(), 10)
        for fact in (
            LegHeld(at=AT),
            LegResumed(at=AT),
            DigitPressed(at=AT, digit="5", duration_ms=160),
            TransferSent(at=AT),
            TransferFailed(at=AT, failed_reason="SIP 486"),
        ):
            there.leg.accept(fact)
        await agent.until(lambda: len(agent.news) == 6)
        assert agent.news == [
            CallAnswered(),
            CallHeld(),
            CallResumed(),
            DigitHeard(digit="5", duration_ms=160),
            TransferAccepted(),
            TransferRefused(reason="SIP 486"),
        ]
        await agent.leave()


@pytest.mark.parametrize(
    ("reason", "told"),
    [(Reason.TRANSFERRED, [TransferDone()]), (Reason.CALLER_HUNG_UP, [])],
    ids=str,
)
async def test_agent_is_told_that_the_caller_is_in_other_hands_before_the_leg_goes(
    livekit_server: LiveKitServer, reason: Reason, told: list[TransferDone]
) -> None:
    async with seat(livekit_server) as there:
        agent = await there.agent()
        await there.hears(AgentReady)
        there.leg.accept(LegAnswered(at=AT))
        await agent.until(lambda: bool(agent.news))
        await there.leg.hang_up(Ending(reason, AT))
        await there.leg.close()
        await asyncio.wait_for(agent.caller_left.wait(), 10)
        assert agent.news == [CallAnswered(), *told]
        await agent.leave()


async def test_hold_is_an_attribute_too_for_an_agent_that_comes_later(
    livekit_server: LiveKitServer,
) -> None:
    async with seat(livekit_server) as there:
        first = await there.agent()
        await there.hears(AgentReady)
        there.leg.accept(LegAnswered(at=AT))
        there.leg.accept(LegHeld(at=AT))
        await first.until(lambda: any(seen.get(HOLD_ATTRIBUTE) == "1" for seen in first.attributes))
        await first.leave()
        second = await there.agent(incarnation=2)
        assert second.attributes[-1][HOLD_ATTRIBUTE] == "1"
        assert second.attributes[-1][ANSWERED_ATTRIBUTE] == "1"
        await there.hears(AgentReplaced)
        there.leg.accept(LegResumed(at=AT))
        await second.until(lambda: not second.attributes[-1].get(HOLD_ATTRIBUTE))
        await second.until(lambda: CallResumed() in second.news)
        await second.leave()


async def test_keys_the_bot_presses_reach_the_carriers_side(
    livekit_server: LiveKitServer,
) -> None:
    async with seat(livekit_server) as there:
        agent = await there.agent()
        await there.hears(AgentReady)
        await agent.command(SendDigits(digits="1,2"))
        await there.hears(SendDigits)
        assert SendDigits(digits="1,2") in there.told
        await agent.leave()


async def test_news_from_others_is_none(livekit_server: LiveKitServer) -> None:
    async with seat(livekit_server) as there:
        agent = await there.agent()
        await there.hears(AgentReady)
        told = len(there.told)
        await agent.send_bytes(b"{}", LEG_NEWS_TOPIC)
        await agent.command(SendDigits(digits="1"))
        await there.hears(SendDigits)
        assert len(there.told) == told + 1
        assert there.leg.stats()["bad_packets"] == 0
        await agent.leave()
