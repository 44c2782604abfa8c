"""A SIP leg between a scripted signalling and media in memory, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from bridges.clock import Clock
from bridges.ending import Ending
from bridges.leg import AgentReady, LegEvent
from bridges.sip.channel import Channel
from bridges.sip.ipc import Accepted, Acked, Incoming, LegNews, LegOrder
from bridges.sip.sip_leg import SipLeg
from bridges.sip.voice import SipLimits
from bridges.wire.media_plan import Capabilities, LocalMedia, SrtpUse
from bridges.wire.negotiation import Negotiation
from contracts.plan import Plan
from contracts.trunk import DialOrder, Trunk
from tests.fakes.leg import AT
from tests.fakes.media_socket import MemorySocket

LEG = "leg-1"
T = TypeVar("T")
PLAN = Plan(
    call_id="6f0c2f6e-5d4b-4c43-9d0a-1f3f8f1f6c11",
    session_id="s",
    room_name="dialout-1",
    livekit_url="ws://127.0.0.1:9",
    token="t",
    caller_identity="caller-1",
)
TRUNK = Trunk(trunk_id="trunk", name="Carrier", kind="bridge", address="carrier.example")


class Phone:
    """The far end's half of offer and answer."""

    def __init__(self, *, dtmf: bool = True) -> None:
        capabilities = Capabilities(dtmf=dtmf, srtp=SrtpUse.NEVER)
        self.negotiation = Negotiation(
            LocalMedia("127.0.0.1", 4000, 1), capabilities, Random(1).randbytes
        )

    def offer(self, direction: str = "sendrecv") -> str:
        """Return an offer that says so."""
        return self.negotiation.offer().decode().replace("a=sendrecv", f"a={direction}")

    def answer(self, offer: str) -> str:
        """Return the answer to an offer."""
        answer = self.negotiation.answer(offer.encode())
        assert isinstance(answer, bytes)
        return answer.decode()


@dataclass
class SipCall:
    """One leg and both its ends.

    Attributes:
        told: what the leg told the room's side.
        orders: what it told signalling.
    """

    leg: SipLeg
    channel: Channel
    socket: MemorySocket
    run: asyncio.Task[Ending]
    told: list[LegEvent]
    orders: list[LegOrder]
    phone: Phone = field(default_factory=Phone)

    async def news(self, *news: LegNews) -> None:
        """Let signalling tell something."""
        for each in news:
            self.channel.deliver(each)
        await settled()

    def facts(self, kind: type[T]) -> list[T]:
        """Return what was told of one kind."""
        return [event for event in self.told if isinstance(event, kind)]

    def orders_of(self, kind: type[T]) -> list[T]:
        """Return what signalling was told of one kind."""
        return [order for order in self.orders if isinstance(order, kind)]

    async def answered(self) -> None:
        """Let the phone be answered, whoever called."""
        await settled()
        self.leg.accept(AgentReady())
        order = self.orders[-1]
        assert order.type in {"answer", "dial"}
        if order.type == "answer":
            await self.news(Acked(leg=LEG))
        elif order.type == "dial":
            await self.news(Accepted(leg=LEG, sdp=self.phone.answer(order.sdp)))

    async def ending(self, within_s: float = 1.0) -> Ending:
        """Return how the leg ended, and let it be closed as `couple` does."""
        async with asyncio.timeout(within_s):
            ending = self.leg.judge(await self.run)
        await self.leg.hang_up(ending)
        return ending


async def settled() -> None:
    """Let everything happen that is due now."""
    await asyncio.sleep(0.001)


def incoming(sdp: str | None, **fields: Any) -> Incoming:
    """Return a call that comes in."""
    known = {"sip_call_id": "abc@phone", "did": "+911140000000", "caller": "+919876543210"}
    return Incoming(leg=LEG, sdp=sdp, peer_ip="127.0.0.9", **{**known, **fields})


def order(**fields: Any) -> DialOrder:
    """Return an order to call somebody."""
    known = {"to_number": "+919876543210", "from_number": "+911140000000", "trunk": TRUNK}
    return DialOrder(plan=PLAN, **{**known, **fields})


@asynccontextmanager
async def sip_call(
    call: Incoming | DialOrder, socket: MemorySocket | None = None, **limits: float
) -> AsyncIterator[SipCall]:
    """Run a leg."""
    socket = socket or MemorySocket()
    told: list[LegEvent] = []
    orders: list[LegOrder] = []
    channel = Channel(LEG, orders.append)
    clock = Clock(asyncio.get_running_loop().time, lambda: AT)
    leg = SipLeg(
        call, channel, socket.open, "192.0.2.1", clock, SipLimits(**limits), lambda _: None
    )
    run = asyncio.create_task(leg.run(told.append))
    await settled()
    yield SipCall(leg, channel, socket, run, told, orders)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    await leg.close()
    assert socket.is_closed or socket.fails_with
