"""Places calls by managed trunks: each is one sidecar's for as long as it says that it lives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.outcome import Reason
from contracts.trunk import Trunk
from sidecar import dialling
from sidecar.calls import Calls
from sidecar.clock import Clock
from sidecar.dialling import Placer
from sidecar.rooms import RoomError, Rooms
from sidecar.steady import Steady
from sidecar.store import calls as call_rows
from sidecar.store import dials, trunks
from sidecar.store.calls import UNANSWERED, CallRow
from sidecar.store.database import Database
from sidecar.store.dials import DialRow
from sidecar.vault import SecretMissing, Vault
from sidecar.wake import Bells, Wake

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=20)
RENEW_AFTER = timedelta(seconds=4)
OVERDUE = timedelta(seconds=30)
"""How long past its ringing a dial may be claimed, whoever has it and says that it lives."""
MAX_PLACING = 100
LONGEST_WAIT_S = 1.0


class Placing:
    """Claims managed dials and has them placed. One per process; several may run over one database.

    What a sidecar claimed that has died since, another one ends: it is never placed again.
    """

    def __init__(
        self,
        database: Database,
        use_cases: Calls,
        placer: Placer | None,
        vault: Vault,
        rooms: Rooms,
        *,
        placed_by: str,
        clock: Clock,
        bells: Bells,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make it.

        Args:
            database: where dials are.
            use_cases: what ends a call that was not placed.
            placer: what places one; None: nobody here does.
            vault: where trunks' secrets are.
            rooms: closes those of calls that are given up as the process ends.
            placed_by: this process's own name, unlike that of the one before it.
            clock: where the time comes from.
            bells: rung when a dial is ready.
            monotonic: a clock that cannot be set.
        """
        self._database = database
        self._calls = use_cases
        self._placer = placer
        self._vault = vault
        self._rooms = rooms
        self._placed_by = placed_by
        self._clock = clock
        self._bells = bells
        self._steady = Steady(clock(), monotonic)
        self._renewed_at = clock()
        self._placing: dict[str, asyncio.Task[None]] = {}

    async def turn(self) -> None:
        """Do what there is to do, then wait for a dial."""
        armed = self._bells.dials.armed()
        await self.tick()
        await Wake.wait(armed, LONGEST_WAIT_S)

    async def tick(self) -> None:
        """Place what is ready, say that what is being placed is, and end what nobody places."""
        now = self._clock()
        self._steady.look(now)
        if self._placing and now - self._renewed_at >= RENEW_AFTER:
            async with self._database.transaction() as connection:
                await dials.renew(connection, self._placed_by, now + LEASE)
            self._renewed_at = now
        async with self._database.read() as connection:
            is_any_ready = bool(await dials.ready(connection, "managed", limit=1))
            claimed_dials = await dials.claimed(connection)
        if self._placer is not None and is_any_ready:
            await self._place_ready(self._placer)
        for dial in claimed_dials:
            if dial.call_id not in self._placing and self._is_lost(dial, now):
                await self._give_up(dial, Reason.DIAL_LOST, "whoever placed the call is gone")

    async def _place_ready(self, placer: Placer) -> None:
        while len(self._placing) < MAX_PLACING and (claimed := await self._claim()) is not None:
            dial, row = claimed
            placing = self._place(placer, dial, row)
            task = asyncio.create_task(placing, name=f"dial-{dial.call_id}")
            self._placing[dial.call_id] = task
            task.add_done_callback(partial(self._is_placed, dial.call_id))

    async def placed(self) -> None:
        """Wait until nothing is being placed."""
        while self._placing:
            await asyncio.wait(list(self._placing.values()))

    async def aclose(self) -> None:
        """Stop placing; calls that ring are given up."""
        for task in self._placing.values():
            task.cancel()
        await self.placed()

    def _is_placed(self, call_id: str, _: asyncio.Task[None]) -> None:
        del self._placing[call_id]

    async def _claim(self) -> tuple[DialRow, CallRow] | None:
        """Take the dial that has been ready for longest; None where there is none."""

        async def work(connection: AsyncConnection) -> tuple[DialRow, CallRow] | None:
            now = self._clock()
            for dial in await dials.ready(connection, "managed", limit=MAX_PLACING):
                row = await dialling.claim(
                    connection, dial, self._placed_by, now, leased_until=now + LEASE
                )
                if row is not None:
                    return dial, row
            return None

        return await self._database.run(work)

    async def _place(self, placer: Placer, dial: DialRow, row: CallRow) -> None:
        reason, detail = Reason.DIAL_LOST, "nobody told what became of the call"
        try:
            await placer.place(dial, row, await self._trunk(dial))
        except asyncio.CancelledError:
            reason, detail = Reason.DIAL_ABORTED, "the sidecar stopped while it placed the call"
            await self._hang_up(row)
        except SecretMissing as missing:
            reason, detail = Reason.DIAL_ABORTED, str(missing)
        except Exception as error:
            log.exception("dial_failed", call_id=dial.call_id)
            detail = f"placing the call failed: {type(error).__name__}"
        try:
            await self._give_up(dial, reason, detail)
        except Exception:
            # Its lease runs out, and it is ended then.
            log.exception("dial_not_ended", call_id=dial.call_id)

    async def _hang_up(self, row: CallRow) -> None:
        """Let a phone stop ringing: the watch that closes rooms has ended before us."""
        try:
            await self._rooms.delete(row.room_name)
        except RoomError as error:
            log.warning("room_not_deleted", call_id=row.call_id, error=str(error))

    async def _trunk(self, dial: DialRow) -> Trunk:
        async with self._database.read() as connection:
            row = await trunks.get(connection, dial.tenant_id, dial.trunk_id)
        if row is None:
            return Trunk(trunk_id=dial.trunk_id, name=dial.trunk_id)
        return self._vault.trunk(row.tenant_id, row.trunk)

    def _is_lost(self, dial: DialRow, now: datetime) -> bool:
        """Return whether whoever claimed a dial has died, or is stuck with it.

        Only time that this process has watched counts: a clock that is set kills no call.
        """
        leased_until = dial.leased_until
        if leased_until and self._steady.is_silent(leased_until - LEASE, now, LEASE):
            return True
        longest = timedelta(seconds=dial.ringing_timeout_s) + OVERDUE
        return self._steady.is_silent(dial.claimed_at or dial.created_at, now, longest)

    async def _give_up(self, dial: DialRow, reason: Reason, detail: str) -> None:
        """End a call that was not answered, and of which nobody told why."""
        while True:
            async with self._database.read() as connection:
                row = await call_rows.get(connection, dial.tenant_id, dial.call_id)
            if row is None or row.is_ended or row.leg_ended or row.state not in UNANSWERED:
                return
            # False where it has moved since it was read: then there may be nothing to give up.
            if await self._calls.finish(row, reason, detail):
                return
