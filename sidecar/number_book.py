"""Who answers which number: the rules under which numbers are given to bots."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.fault import unfit
from sidecar.number_plan import lookup_keys, normal
from sidecar.store import bots, numbers, trunks
from sidecar.store.database import Database
from sidecar.store.numbers import NumberRow
from sidecar.wake import Wake


class NumberBook:
    """Gives numbers to bots and takes them back."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        country: str,
        changed: Wake,
        knows_bots: bool = True,
    ) -> None:
        """
        Args:
            database: where numbers are kept.
            clock: where the time comes from.
            country: whose numbers may lack their country's code (ISO 3166); "": nobody's.
            changed: rung where a trunk may have to be told of another number.
            knows_bots: whether all bots are our own, so that one that is not there is a mistake.
        """
        self._database = database
        self._clock = clock
        self._country = country
        self._changed = changed
        self._knows_bots = knows_bots

    async def add(
        self, tenant_id: str, number: str, bot_id: str | None, trunk_id: str | None
    ) -> NumberRow:
        """Give a new number to a bot; to nobody, to keep it from others.

        Raises:
            Denied: it is no number, somebody has it, or the bot or trunk is not there.
        """
        row, _ = await self._database.run(
            lambda c: self._assign(c, tenant_id, number, bot_id, trunk_id, is_new=True)
        )
        self._changed.ring()
        return row

    async def put(
        self, tenant_id: str, number: str, bot_id: str | None, trunk_id: str | None
    ) -> tuple[NumberRow, bool]:
        """Give a number, new or had, to a bot, or to nobody; return it, and whether it is new.

        Raises:
            Denied: it is no number, another tenant has it, or the bot or trunk is not there.
        """
        put = await self._database.run(
            lambda c: self._assign(c, tenant_id, number, bot_id, trunk_id, is_new=False)
        )
        self._changed.ring()
        return put

    async def get(self, tenant_id: str, number: str) -> NumberRow:
        """Return a number by any of its spellings.

        Raises:
            Denied: the tenant has no such number.
        """
        async with self._database.read() as connection:
            return await self._known(connection, tenant_id, number)

    async def free(self, tenant_id: str, number: str) -> None:
        """Give a number back: whoever comes first may have it.

        Raises:
            Denied: the tenant has no such number.
        """

        async def work(connection: AsyncConnection) -> None:
            row = await self._known(connection, tenant_id, number)
            await numbers.remove(connection, tenant_id, row.number)

        await self._database.run(work)
        self._changed.ring()

    async def _assign(
        self,
        connection: AsyncConnection,
        tenant_id: str,
        number: str,
        bot_id: str | None,
        trunk_id: str | None,
        *,
        is_new: bool,
    ) -> tuple[NumberRow, bool]:
        form = normal(number, self._country)
        if not form:
            raise unfit("number", "neither a phone number nor a SIP user name")
        # Whatever leads to the one would lead to the other.
        known = await numbers.first(connection, None, lookup_keys(form, self._country))
        if known is not None and (is_new or known.tenant_id != tenant_id):
            raise Denied(Code.NUMBER_TAKEN, "this number is assigned already")
        await self._require(connection, tenant_id, bot_id, trunk_id)
        now = self._clock()
        if known is None:
            row = NumberRow(form, tenant_id, bot_id, trunk_id, now, now)
            await numbers.add(connection, row)
            return row, True
        row = replace(known, bot_id=bot_id, trunk_id=trunk_id, updated_at=now)
        await numbers.save(connection, row)
        return row, False

    async def _require(
        self,
        connection: AsyncConnection,
        tenant_id: str,
        bot_id: str | None,
        trunk_id: str | None,
    ) -> None:
        is_checked = bot_id is not None and self._knows_bots
        if is_checked and await bots.get(connection, tenant_id, bot_id or "") is None:
            raise Denied(Code.BOT_UNKNOWN, f"there is no bot {bot_id!r}")
        if trunk_id is not None and await trunks.get(connection, tenant_id, trunk_id) is None:
            raise Denied(Code.TRUNK_UNKNOWN, f"there is no trunk {trunk_id!r}")

    async def _known(self, connection: AsyncConnection, tenant_id: str, number: str) -> NumberRow:
        keys = lookup_keys(number, self._country)
        row = await numbers.first(connection, tenant_id, keys)
        if row is None:
            raise Denied(Code.NUMBER_UNKNOWN, "there is no such number")
        return row
