"""The trunks of each tenant: made, changed and removed by administrators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy.exc import IntegrityError

from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.secrecy import restored
from sidecar.store import calls, numbers, trunks
from sidecar.store.database import Database
from sidecar.store.trunks import TrunkRow
from sidecar.trunk_check import TrunkCheck
from sidecar.wake import Wake


class TrunkBook:
    """Keeps trunks. Masked secrets in what it is given keep their values."""

    def __init__(
        self,
        database: Database,
        check: TrunkCheck,
        clock: Clock,
        new_trunk_id: Callable[[], str],
        changed: Wake,
    ) -> None:
        """
        Args:
            database: where they are kept.
            check: judges them.
            clock: where the time comes from.
            new_trunk_id: makes an id for one that is given none.
            changed: rung where LiveKit SIP may have to be told.
        """
        self._database = database
        self._check = check
        self._clock = clock
        self._new_trunk_id = new_trunk_id
        self._changed = changed

    async def make(self, tenant_id: str, config: dict[str, Any]) -> TrunkRow:
        """Store a new trunk.

        Raises:
            Denied: it cannot be used, or there is one of that id.
        """
        config = restored(config, None)
        trunk_id = config.get("trunk_id") or self._new_trunk_id()
        trunk = await self._check.require(tenant_id, {**config, "trunk_id": trunk_id})
        now = self._clock()
        row = TrunkRow(trunk.trunk_id, tenant_id, trunk, now, now)
        try:
            async with self._database.transaction() as connection:
                await trunks.add(connection, row)
        except IntegrityError as error:
            message = "a trunk of that id exists; PUT changes it"
            raise Denied(Code.TRUNK_EXISTS, message) from error
        self._changed.ring()
        return row

    async def listed(self, tenant_id: str) -> list[TrunkRow]:
        async with self._database.read() as connection:
            return list(await trunks.listed(connection, tenant_id))

    async def get(self, tenant_id: str, trunk_id: str) -> TrunkRow:
        """Return a trunk.

        Raises:
            Denied: there is no such trunk.
        """
        async with self._database.read() as connection:
            row = await trunks.get(connection, tenant_id, trunk_id)
        if row is None:
            raise _unknown(trunk_id)
        return row

    async def change(self, tenant_id: str, trunk_id: str, config: dict[str, Any]) -> TrunkRow:
        """Store a trunk's new config over the old one.

        Raises:
            Denied: it cannot be used, or there is no such trunk.
        """
        current = await self.get(tenant_id, trunk_id)
        stored = current.trunk.model_dump(mode="json")
        # The carrier's name is looked up before the database is held, not meanwhile.
        given = restored({**config, "trunk_id": trunk_id}, stored)
        trunk = await self._check.require(tenant_id, given)
        async with self._database.transaction() as connection:
            row = await trunks.get(connection, tenant_id, trunk_id)
            if row is None:
                raise _unknown(trunk_id)
            # LiveKit is to be told anew, whatever it has been told.
            now = self._clock()
            row = replace(row, trunk=trunk, updated_at=now, synced_sha256="", sync_error=None)
            await trunks.save(connection, row)
        self._changed.ring()
        return row

    async def remove(self, tenant_id: str, trunk_id: str) -> None:
        """Remove a trunk that nothing refers to.

        Raises:
            Denied: there is no such trunk, or numbers or live calls refer to it.
        """
        async with self._database.transaction() as connection:
            assigned = await numbers.of_trunk(connection, tenant_id, trunk_id)
            live = await calls.count_on_trunk(connection, tenant_id, trunk_id)
            if assigned or live:
                raise Denied(
                    Code.TRUNK_IN_USE,
                    "numbers or live calls refer to the trunk; switch it off (`is_active`) first",
                    details={"numbers": len(assigned), "live_calls": live},
                )
            if not await trunks.remove(connection, tenant_id, trunk_id):
                raise _unknown(trunk_id)
        self._changed.ring()


def _unknown(trunk_id: str) -> Denied:
    return Denied(Code.TRUNK_UNKNOWN, f"there is no trunk {trunk_id!r}")
