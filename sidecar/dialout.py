"""Places calls for whoever asks: a number, a way to it, a plan, and the dial, all in one go."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.ids import Channel
from contracts.plan import Plan, PlanRequest
from contracts.trunk import Trunk
from sidecar import callee, route
from sidecar.clock import Clock
from sidecar.configure import ConfigQuery, ConfigSource
from sidecar.denial import Code, Denied
from sidecar.fault import unfit
from sidecar.planning import Planner
from sidecar.route import Route
from sidecar.settings import Settings
from sidecar.store import caller_ids, calls, dials, trunk_tokens, trunks
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.store.dials import DialRow
from sidecar.trunk_pace import Bucket, Empty


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOrder:
    """One call that somebody wants placed.

    Attributes:
        key: what makes asking again the same call; "": asking again is another one.
        to_number: whom, as they wrote it.
        from_number: the caller id to show; "": the bot's or the trunk's own.
        trunk_id: by which trunk; "": any.
        connected_event: what the bot is to know of the call.
        elsewhere: the API that has the bot's config and the trunk, if not the usual one.
    """

    tenant_id: str
    bot_id: str
    to_number: str
    key: str
    from_number: str = ""
    trunk_id: str = ""
    connected_event: dict[str, Any] = field(default_factory=dict)
    elsewhere: Elsewhere | None = None


class Elsewhere(Protocol):
    """Another control plane: it has configs, and trunks at LiveKit."""

    @property
    def configs(self) -> ConfigSource:
        """Where the bot's config comes from."""

    async def outbound(self, from_number: str) -> Route | None:
        """Return by which trunk a call goes out that shows this number; None: it names none.

        Raises:
            Denied: it cannot be asked.
        """


class Dialout:
    """Takes orders for calls. None is queued here: it is placed, or refused at once."""

    def __init__(
        self,
        database: Database,
        planner: Planner,
        configs: ConfigSource,
        settings: Settings,
        *,
        clock: Clock,
        external: Elsewhere | None = None,
    ) -> None:
        """Make it.

        Args:
            database: where calls and dials are kept.
            planner: gives each call its slot, config, room and agent.
            configs: where it has configs from.
            settings: what the operator set.
            clock: where the time comes from.
            external: whose trunks are asked for before ours.
        """
        self._database = database
        self._planner = planner
        self._configs = configs
        self._settings = settings
        self._clock = clock
        self._external = external

    async def place(self, order: CallOrder) -> Plan:
        """Plan a call, to be dialled as soon as its agent is there; return its plan.

        Raises:
            Denied: it cannot be placed now, or never; nobody's phone will ring for it.
        """
        to_number = self._normal(order.to_number, "to_number")
        from_number = self._normal(order.from_number, "from_number") if order.from_number else ""
        async with self._database.read() as connection:
            row = await calls.by_key(connection, order.tenant_id, order.key)
            is_placed = row and await dials.get(connection, row.tenant_id, row.call_id)
        if row is not None:
            _require_same(row, order, to_number, from_number)
            if is_placed:
                return self._planner.plan_of(row)
        configs = order.elsewhere.configs if order.elsewhere else self._configs
        try:
            way = await self._way(order, from_number)
        except Denied:
            # Whoever names a bot that is not there hears of that first.
            await configs.fetch(ConfigQuery(order.tenant_id, order.bot_id))
            raise
        request = PlanRequest(
            channel=Channel.DIALOUT,
            bot_id=order.bot_id,
            caller_id=to_number,
            did=way.from_number,
            call_direction="outgoing",
            connected_event=order.connected_event,
            idempotency_key=order.key,
            trunk_id=way.trunk.trunk_id,
            media="tracks" if way.trunk.kind == "managed" else "data",
        )

        async def also(connection: AsyncConnection, planned: CallRow) -> None:
            await self._take_turn(connection, planned, way.trunk)
            await dials.add(connection, self._dial(planned, way))

        return await self._planner.plan(order.tenant_id, request, configs=configs, also=also)

    async def require_bot(self, tenant_id: str, bot_id: str) -> None:
        """Let a bot through that exists.

        Raises:
            Denied: it does not, or that cannot be told.
        """
        await self._configs.fetch(ConfigQuery(tenant_id, bot_id))

    async def way(self, tenant_id: str, from_number: str) -> Route:
        """Return by which of our trunks a call of any bot goes out that shows this number.

        Raises:
            Denied: by none.
        """
        shown = self._normal(from_number, "from_number") if from_number else ""
        async with self._database.read() as connection:
            rows = await trunks.listed(connection, tenant_id)
        ours = [row.trunk for row in rows]
        return route.choose(ours, from_number=shown, country=self._settings.default_country)

    async def _way(self, order: CallOrder, from_number: str) -> Route:
        country = self._settings.default_country
        asked = order.elsewhere or self._external
        if asked is not None and not order.trunk_id:
            named = await asked.outbound(from_number)
            if named is not None:
                return await self._ours(order.tenant_id, named)
        async with self._database.read() as connection:
            rows = await trunks.listed(connection, order.tenant_id)
            own = await caller_ids.of_bot(connection, order.tenant_id, order.bot_id)
        ours = [row.trunk for row in rows]
        if not order.trunk_id:
            return route.choose(ours, from_number=from_number, of_bot=own, country=country)
        named_one = [trunk for trunk in ours if trunk.trunk_id == order.trunk_id]
        if not any(map(route.can_dial, named_one)):
            raise Denied(Code.TRUNK_UNKNOWN, "there is no such active trunk to dial by")
        its = [(number, trunk_id) for number, trunk_id in own if trunk_id == order.trunk_id]
        return route.choose(named_one, from_number=from_number, of_bot=its, country=country)

    async def _ours(self, tenant_id: str, named: Route) -> Route:
        """Return the way with our own trunk in place of LiveKit's name for it, if we have it."""
        async with self._database.read() as connection:
            rows = await trunks.listed(connection, tenant_id)
        for row in rows:
            if named.trunk.trunk_id in (row.trunk_id, row.outbound_id):
                return Route(row.trunk, named.from_number)
        return named

    async def _take_turn(self, connection: AsyncConnection, row: CallRow, trunk: Trunk) -> None:
        """Let the trunk dial one more number.

        Raises:
            Denied: it dials as fast as it may.
        """
        held = await trunk_tokens.hold(connection, row.tenant_id, trunk.trunk_id)
        if held is None:
            return
        try:
            bucket = Bucket(*held).taken(self._clock(), cps=trunk.cps, burst=trunk.burst)
        except Empty as error:
            raise Denied(
                Code.TRUNK_BUSY,
                "the trunk dials as fast as it may",
                retry_after_s=math.ceil(error.wait_s),
            ) from error
        await trunk_tokens.keep(connection, row.tenant_id, trunk.trunk_id, bucket.tokens, bucket.at)

    def _dial(self, row: CallRow, way: Route) -> DialRow:
        country, trunk = self._settings.default_country, way.trunk
        return DialRow(
            call_id=row.call_id,
            tenant_id=row.tenant_id,
            trunk_id=trunk.trunk_id,
            kind=trunk.kind,
            to_number=callee.formatted(row.caller_id, trunk.number_format, country),
            from_number=callee.formatted(way.from_number, trunk.number_format, country),
            created_at=self._clock(),
            ringing_timeout_s=self._settings.ringing_timeout_s,
        )

    def _normal(self, text: str, name: str) -> str:
        try:
            return callee.normal(text, self._settings.default_country)
        except callee.NotCallable as error:
            raise unfit(name, str(error)) from error


def key_of(door: str, shown: str, fresh: str) -> str:
    """Return what an order is known by: what its sender showed at one door, or a fresh name.

    Hashed, since a sender's key may be of any length, or personal.
    """
    return f"{door} {sha256(shown.encode()).hexdigest() if shown else fresh}"


def _require_same(row: CallRow, order: CallOrder, to_number: str, from_number: str) -> None:
    known = (row.bot_id, row.caller_id, row.connected_event)
    same_caller_id = from_number in ("", row.did)
    if known != (order.bot_id, to_number, order.connected_event) or not same_caller_id:
        raise Denied(Code.KEY_REUSED, "this idempotency key belongs to a different call")
