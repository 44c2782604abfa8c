"""Calls that may wait: placed in their order as soon as a slot and their trunk are free."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.trunk import Trunk
from sidecar import callee, capacity, route
from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.dialout import CallOrder, Dialout, key_of
from sidecar.fault import unfit
from sidecar.settings import Settings
from sidecar.store import calls, queue, trunks
from sidecar.store.database import Database
from sidecar.store.queue import QueueItem, QueueState
from sidecar.trunk_pace import Bucket, Empty
from sidecar.wake import Bells, Wake

log = structlog.get_logger(__name__)

DOOR = "queue"
LEASE = timedelta(seconds=30)
"""More than planning takes with every wait in it."""
AGAIN = timedelta(seconds=1)
LONGEST_WAIT_S = 1.0
WAITS_FOR = frozenset({Code.AT_CAPACITY, Code.NO_AGENT, Code.PLANNING, Code.TRUNK_BUSY})
"""What passes by itself. Anything else is the answer: where it left a call, that has its result and
is not tried again behind the back of whoever was told of it."""
TOO_LATE = "neither a slot nor the trunk was free in time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A call somebody wants, now or a little later.

    Attributes:
        key: what makes asking again the same call; "": asking again is another one.
        call_service: what the trunk must be of, unless it does not say.
    """

    bot_id: str
    trunk_id: str
    to_number: str
    call_service: str
    metadata: dict[str, Any] = field(default_factory=dict)
    key: str = ""


class CallQueue:
    """Takes wishes, and dispatches them. Several may run over one database."""

    def __init__(
        self,
        database: Database,
        dialout: Dialout,
        settings: Settings,
        *,
        clock: Clock,
        bells: Bells,
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._dialout = dialout
        self._settings = settings
        self._clock = clock
        self._bells = bells
        self._new_id = new_id
        self._looking = asyncio.Lock()

    async def add(self, tenant_id: str, wish: Wish) -> QueueItem:
        """Take a wish on, and return how it stands; the same item for the same key.

        Raises:
            Denied: it can never be fulfilled.
        """
        country = self._settings.default_country
        try:
            to_number = callee.normal(wish.to_number, country)
        except callee.NotCallable as error:
            raise unfit("to_number", str(error)) from error

        async def work(connection: AsyncConnection) -> QueueItem:
            queue_id, now = self._new_id(), self._clock()
            trunk = await _trunk(connection, tenant_id, wish.trunk_id)
            item = QueueItem(
                queue_id=queue_id,
                tenant_id=tenant_id,
                idempotency_key=key_of(DOOR, wish.key, queue_id),
                bot_id=wish.bot_id,
                trunk_id=trunk.trunk_id if trunk else wish.trunk_id,
                to_number=to_number,
                call_service=wish.call_service,
                metadata=wish.metadata,
                queued_at=now,
                due_at=now,
                expires_at=now + timedelta(seconds=self._settings.queue_max_s),
            )
            known = await queue.by_key(connection, tenant_id, item.idempotency_key)
            if known is not None:
                _require_same(known, item)
                return known
            _require_fit(trunk, wish)
            await queue.add(connection, item)
            return item

        item = await self._database.run(work)
        self._bells.queue.ring()
        return item

    async def get(self, tenant_id: str, queue_id: str) -> QueueItem | None:
        """Return how an item stands."""
        async with self._database.read() as connection:
            return await queue.get(connection, tenant_id, queue_id)

    async def turn(self) -> None:
        """Dispatch one item; where none can be, wait for more."""
        # One of those that dispatch looks, the others rest behind it.
        async with self._looking:
            if self._bells.closing.is_set():
                return
            armed = self._bells.queue.armed()
            item = await self._next()
            if item is None:
                await Wake.wait(armed, LONGEST_WAIT_S)
        if item is not None:
            await self._dispatch(item)

    async def tick(self) -> bool:
        """Dispatch one item, if there is one that can be; return whether there was."""
        item = await self._next()
        if item is not None:
            await self._dispatch(item)
        return item is not None

    async def _next(self) -> QueueItem | None:
        """Take the next item that can be dispatched, and let those expire that have waited long."""
        now = self._clock()
        async with self._database.read() as connection:
            waiting = await queue.waiting_for(connection, now)
            if not waiting:
                return None
            trunk_ids = await self._free_trunks(connection, waiting, now)
            is_any_left = await queue.is_any_left(connection, now)

        async def take(connection: AsyncConnection) -> QueueItem | None:
            await queue.expire(connection, now, TOO_LATE)
            if not (trunk_ids or is_any_left):
                return None
            return await queue.take(connection, now, now + LEASE, trunk_ids=trunk_ids)

        return await self._database.run(take)

    async def _free_trunks(
        self, connection: AsyncConnection, waiting: Sequence[tuple[str, str]], now: datetime
    ) -> list[str]:
        """Return by which trunks an item that waits may go now: asking is cheaper than trying."""
        free: list[str] = []
        for tenant_id, trunk_id in waiting:
            row = await trunks.get(connection, tenant_id, trunk_id)
            if row is None or not route.can_dial(row.trunk):
                # Dispatching says so.
                free.append(trunk_id)
                continue
            trunk = row.trunk
            limit = self._settings.max_concurrent_calls
            fits = await capacity.measure(connection, tenant_id, limit, now)
            if not fits.available_to("sip" if trunk.kind == "bridge" else None):
                continue
            if await calls.count_on_trunk(connection, tenant_id, trunk_id) >= trunk.channels:
                continue
            try:
                Bucket(row.tokens, row.tokens_at).taken(now, cps=trunk.cps, burst=trunk.burst)
            except Empty:
                continue
            free.append(trunk_id)
        return free

    async def _dispatch(self, item: QueueItem) -> None:
        order = CallOrder(
            tenant_id=item.tenant_id,
            bot_id=item.bot_id,
            to_number=item.to_number,
            trunk_id=item.trunk_id,
            connected_event=item.metadata,
            # By the same key a dispatcher that comes after one that died finds the call it made.
            key=key_of(DOOR, "", item.queue_id),
        )
        if self._clock() >= item.expires_at and not await self._has_call(item, order.key):
            await self._settle(item, QueueState.FAILED, last_error=TOO_LATE)
            return
        try:
            plan = await self._dialout.place(order)
        except Denied as denied:
            await self._put_back(item, order.key, denied)
            return
        await self._settle(
            item, QueueState.DISPATCHED, call_id=plan.call_id, dispatched_at=self._clock()
        )
        log.info("call_dispatched", queue_id=item.queue_id, call_id=plan.call_id)

    async def _put_back(self, item: QueueItem, key: str, denied: Denied) -> None:
        now = self._clock()
        last_error = f"{denied.code}: {denied.message}"
        if denied.code in WAITS_FOR and now + AGAIN < item.expires_at:
            count = item.retry_count + 1
            await self._settle(
                item,
                QueueState.PENDING,
                due_at=now + AGAIN,
                retry_count=count,
                last_error=last_error,
            )
            return
        call_id = await self._has_call(item, key)
        await self._settle(item, QueueState.FAILED, call_id=call_id, last_error=last_error)
        log.warning("call_not_dispatched", queue_id=item.queue_id, code=denied.code)

    async def _has_call(self, item: QueueItem, key: str) -> str | None:
        async with self._database.read() as connection:
            row = await calls.by_key(connection, item.tenant_id, key)
        return None if row is None else row.call_id

    async def _settle(self, item: QueueItem, state: QueueState, **changes: Any) -> None:
        async with self._database.transaction() as connection:
            await queue.settle(connection, item, state, **changes)


async def _trunk(connection: AsyncConnection, tenant_id: str, trunk_id: str) -> Trunk | None:
    """Return a trunk by our own name for it, or LiveKit's (`ST_…`)."""
    for row in await trunks.listed(connection, tenant_id):
        if trunk_id in (row.trunk_id, row.outbound_id):
            return row.trunk
    return None


def _require_fit(trunk: Trunk | None, wish: Wish) -> None:
    if trunk is None:
        raise Denied(Code.TRUNK_UNKNOWN, "there is no such trunk")
    if not route.can_dial(trunk):
        raise unfit("trunk_id", "the trunk is switched off, or only takes calls")
    if trunk.service and trunk.service != wish.call_service:
        raise unfit("call_service", f"the trunk's is {trunk.service!r}")


def _require_same(known: QueueItem, asked: QueueItem) -> None:
    def wish(item: QueueItem) -> tuple[Any, ...]:
        return item.bot_id, item.trunk_id, item.to_number, item.call_service, item.metadata

    if wish(known) != wish(asked):
        raise Denied(Code.KEY_REUSED, "this idempotency key belongs to a different call")
