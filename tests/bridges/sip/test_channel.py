"""One leg's share of the line to signalling."""

from __future__ import annotations

from bridges.sip.channel import Channel
from bridges.sip.ipc import Acked, Bye, LegOrder, Over


async def test_news_is_heard_in_order_and_orders_are_sent() -> None:
    sent: list[LegOrder] = []
    channel = Channel("a", sent.append)
    channel.deliver(Acked(leg="a"))
    channel.deliver(Over(leg="a", how="bye"))
    assert await channel.hear() == Acked(leg="a")
    assert await channel.hear() == Over(leg="a", how="bye")


async def test_leg_that_is_over_gets_no_orders() -> None:
    sent: list[LegOrder] = []
    channel = Channel("a", sent.append)
    channel.tell(Bye(leg="a"))
    assert not channel.is_over
    channel.deliver(Over(leg="a", how="bye"))
    channel.tell(Bye(leg="a"))
    assert sent == [Bye(leg="a")]
    assert channel.is_over
