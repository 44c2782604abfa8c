"""Asking for calls to place."""

from __future__ import annotations

import asyncio

from bridges.sip.dial_claim import MOST_DIALS, RETRY_S, DialClaims
from contracts.trunk import DialClaim, DialOrder, DialOrders
from sidecar.client import Unavailable
from tests.fakes.sip_call import order
from tests.fakes.virtual_time import virtual_time

HELD_S = 20.0


class Desk:
    """Hands out what it is given, each once; holds questions open."""

    def __init__(self) -> None:
        self.claims: list[DialClaim] = []
        self.due: asyncio.Queue[DialOrder] = asyncio.Queue()
        self.is_away = False
        self.is_hasty = False

    async def claim_dials(self, claim: DialClaim) -> DialOrders:
        self.claims.append(claim)
        if self.is_away:
            raise Unavailable("away")
        if self.is_hasty:
            return DialOrders()
        try:
            async with asyncio.timeout(HELD_S):
                return DialOrders(orders=[await self.due.get()])
        except TimeoutError:
            return DialOrders()


def claims_of(desk: Desk, placed: list[DialOrder], free: int = 9) -> DialClaims:
    return DialClaims(desk, "bridge", lambda: free, placed.append)


@virtual_time
async def test_each_order_is_placed_and_the_next_one_asked_for() -> None:
    desk, placed = Desk(), list[DialOrder]()
    claims = claims_of(desk, placed, free=2)
    running = asyncio.create_task(claims.run())
    orders = [order(to_number="1"), order(to_number="2")]
    for each in orders:
        desk.due.put_nowait(each)
    await asyncio.sleep(3 * HELD_S)
    assert placed == orders
    assert desk.claims[0] == DialClaim(bridge_id="bridge", max_dials=2)
    assert len(desk.claims) == 5
    running.cancel()


@virtual_time
async def test_no_more_is_asked_for_than_there_is_room() -> None:
    desk, placed = Desk(), list[DialOrder]()
    free = 0
    claims = DialClaims(desk, "bridge", lambda: free, placed.append)
    running = asyncio.create_task(claims.run())
    await asyncio.sleep(5)
    assert desk.claims == []
    free = 50
    await asyncio.sleep(RETRY_S)
    assert [claim.max_dials for claim in desk.claims] == [MOST_DIALS]
    running.cancel()


@virtual_time
async def test_question_that_is_open_at_the_end_is_answered_and_obeyed() -> None:
    desk, placed = Desk(), list[DialOrder]()
    claims = claims_of(desk, placed)
    running = asyncio.create_task(claims.run())
    await asyncio.sleep(1)
    claims.stop()
    await asyncio.sleep(1)
    assert not claims.is_over
    desk.due.put_nowait(order())
    await running
    assert (len(placed), len(desk.claims), claims.is_over) == (1, 1, True)


@virtual_time
async def test_desk_that_is_away_or_hasty_is_not_asked_on_end() -> None:
    desk, placed = Desk(), list[DialOrder]()
    claims = claims_of(desk, placed)
    running = asyncio.create_task(claims.run())
    for away, hasty in ((True, False), (False, True)):
        desk.is_away, desk.is_hasty = away, hasty
        desk.due.put_nowait(order())
        asked = len(desk.claims)
        await asyncio.sleep(10 * RETRY_S)
        assert 9 <= len(desk.claims) - asked <= 11
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert claims.is_over
