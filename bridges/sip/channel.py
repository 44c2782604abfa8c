"""One leg's share of what signalling and its media process tell each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bridges.sip.ipc import LegNews, LegOrder, Over


class Channel:
    """News of one leg in, orders for it out.

    After `Over` nothing is sent any more: there is nobody to obey.

    Args:
        leg: its name.
        send: sends an order; never blocks.
    """

    def __init__(self, leg: str, send: Callable[[LegOrder], None]) -> None:
        self.leg = leg
        self.is_over = False
        self._send = send
        self._news: asyncio.Queue[LegNews] = asyncio.Queue()

    def tell(self, order: LegOrder) -> None:
        """Give signalling an order."""
        if not self.is_over:
            self._send(order)

    def deliver(self, news: LegNews) -> None:
        """Bring news from signalling."""
        self.is_over |= isinstance(news, Over)
        self._news.put_nowait(news)

    async def hear(self) -> LegNews:
        """Return the next piece of news."""
        return await self._news.get()
