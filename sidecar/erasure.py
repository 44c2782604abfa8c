"""Erases calls: one, all that name a number, and those whose time to be kept is over.

A transaction takes a call out of every table; its recording follows, again and again until it is
gone. Whoever still has something of the call (a spool, a recording on its way) is refused with
`call_erased`, and deletes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar import number
from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.store import calls, erasures
from sidecar.store.database import Database
from sidecar.store.erasures import OrphanRecording
from sidecar.wake import Wake

log = structlog.get_logger(__name__)

BATCH = 50
"""Calls erased in one transaction: SQLite has one writer, and live calls want it too."""
BETWEEN_BATCHES_S = 0.2
LONGEST_WAIT_S = 60.0
RECORDING_RETRY = timedelta(minutes=1)
REMEMBERED = timedelta(days=366)
"""How long it is known of a call that it was erased; spools come back sooner."""
PROMISE_SLACK = timedelta(hours=1)


class RecordingStore(Protocol):
    """Where recordings are; `delete` may be repeated."""

    async def delete(self, key: str, place: str) -> None:
        """Remove a recording. One that is gone already is fine.

        Raises:
            RecordingStuck: it could not be removed now.
        """


class RecordingStuck(Exception):
    """A recording could not be removed; trying again may help."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure came to.

    Attributes:
        calls: how many calls are gone.
        records: how many records beside calls are gone: CDRs and results that others posted, and
            queued calls that came to nothing.
        live: calls that could not be erased since they have not ended.
        recordings_pending: recordings that will be removed as soon as that is possible.
    """

    calls: int = 0
    records: int = 0
    live: Sequence[str] = ()
    recordings_pending: int = 0


class Erasures:
    """Erases on demand, and by age. One per process; several may run over one database."""

    def __init__(
        self,
        database: Database,
        store: RecordingStore,
        *,
        retention_days: int,
        promise: timedelta,
        clock: Clock,
        closing: asyncio.Event,
    ) -> None:
        """Make it.

        Args:
            database: what is erased from.
            store: where recordings are removed.
            retention_days: how long calls of tenants are kept that do not say so; 0: for ever.
            promise: how long the outbox may take to deliver a result, which keeps a call.
            clock: where the time comes from.
            closing: set when the process is about to end.
        """
        self._database = database
        self._store = store
        self._retention_days = retention_days
        self._promise = promise + PROMISE_SLACK
        self._clock = clock
        self._closing = closing

    async def call(self, tenant_id: str, call_id: str) -> Erased:
        """Erase one call.

        Raises:
            Denied: it is unknown, erased already, or has not ended.
        """
        if not (gone := await self._erase(tenant_id, [call_id])):
            async with self._database.read() as connection:
                row = await calls.get(connection, tenant_id, call_id)
                if row is None:
                    raise await missing(connection, tenant_id, call_id)
            raise Denied(
                Code.CALL_LIVE,
                "the call has not ended; hang up, or wait for its end, and ask again",
            )
        return Erased(calls=1, recordings_pending=await self._settle(gone))

    async def number(self, tenant_id: str, text: str) -> Erased:
        """Erase every call that names a number, as caller, callee, or in what the dialler sent.

        Raises:
            Denied: it is no number, or too short a one.
        """
        digits = number.normalised(text)
        if not number.LEAST_DIGITS <= len(digits) <= number.MOST_DIGITS:
            raise Denied(
                Code.BODY_INVALID,
                f"number: not a phone number of {number.LEAST_DIGITS} to {number.MOST_DIGITS}"
                " digits beyond leading zeros",
            )
        async with self._database.read() as connection:
            found = await erasures.of_number(connection, tenant_id, digits)
        gone: list[str] = []
        for batch in _batches(found.calls):
            gone += await self._erase(tenant_id, batch)
        records = await self._forget_records(tenant_id, found.cdrs, found.reported, found.queued)
        pending = await self._settle(gone)
        return Erased(len(gone), records, found.live, pending)

    async def among(self, tenant_id: str, call_ids: Sequence[str]) -> list[str]:
        """Return which of some calls were erased, for whoever still keeps something of them."""
        async with self._database.read() as connection:
            return await erasures.erased_among(connection, tenant_id, call_ids)

    async def turn(self) -> None:
        """Erase what is too old, remove recordings that are left, and wait a while."""
        more = await self.tick()
        await Wake.wait(self._closing, BETWEEN_BATCHES_S if more else LONGEST_WAIT_S)

    async def tick(self) -> bool:
        """Do one batch of what is due; return whether there is more."""
        async with self._database.read() as connection:
            own_days = await erasures.retentions(connection)
        more = False
        for tenant_id, days in own_days.items():
            kept_days = self._retention_days if days is None else days
            if kept_days:
                more |= await self._erase_old(tenant_id, timedelta(days=kept_days))
        now = self._clock()
        async with self._database.read() as connection:
            orphans = await erasures.orphan_recordings(connection, now, limit=BATCH)
        await self._remove(orphans)
        async with self._database.transaction() as connection:
            await erasures.forget(connection, now - REMEMBERED)
        await self._scrub()
        return more or len(orphans) == BATCH

    async def _erase_old(self, tenant_id: str, kept: timedelta) -> bool:
        now = self._clock()
        before, promised_since = now - kept, now - self._promise
        async with self._database.read() as connection:
            old = await erasures.expired(
                connection, tenant_id, before, promised_since=promised_since, limit=BATCH
            )
            streams, sessions = await erasures.expired_records(
                connection, tenant_id, before, limit=BATCH
            )
            queued = await erasures.expired_queued(connection, tenant_id, before, limit=BATCH)
        gone = await self._erase(tenant_id, old)
        await self._forget_records(tenant_id, streams, sessions, queued)
        return BATCH in (len(gone), len(streams), len(sessions), len(queued))

    async def _erase(self, tenant_id: str, call_ids: Sequence[str]) -> list[str]:
        async def work(connection: AsyncConnection) -> list[str]:
            gone = await erasures.erase(connection, tenant_id, call_ids, self._clock())
            if gone:
                await self._database.note_deletion(connection)
            return gone

        gone = await self._database.run(work) if call_ids else []
        if gone:
            log.info("calls_erased", calls=len(gone))
        return gone

    async def _forget_records(
        self,
        tenant_id: str,
        streams: Sequence[str],
        sessions: Sequence[str],
        queued: Sequence[str],
    ) -> int:
        if not (streams or sessions or queued):
            return 0

        async def work(connection: AsyncConnection) -> int:
            await self._database.note_deletion(connection)
            told = await erasures.forget_cdrs(connection, tenant_id, streams)
            told += await erasures.forget_reported(connection, tenant_id, sessions)
            return told + await erasures.forget_queued(connection, tenant_id, queued)

        return await self._database.run(work)

    async def _settle(self, call_ids: Sequence[str]) -> int:
        """Remove the recordings of erased calls; return how many are left for later."""
        pending = 0
        for batch in _batches(call_ids):
            async with self._database.read() as connection:
                orphans = await erasures.orphan_recordings_of(connection, batch)
            pending += await self._remove(orphans)
        await self._scrub()
        return pending

    async def _remove(self, orphans: Sequence[OrphanRecording]) -> int:
        """Remove recordings; return how many would not go."""
        stuck = 0
        for orphan in orphans:
            try:
                await self._store.delete(orphan.recording_key, orphan.place)
            except RecordingStuck as error:
                stuck += 1
                log.warning("recording_not_removed", call_id=orphan.call_id, error=str(error))
                async with self._database.transaction() as connection:
                    retry_at = self._clock() + RECORDING_RETRY
                    await erasures.recording_is_stuck(connection, orphan.call_id, retry_at)
                continue
            async with self._database.transaction() as connection:
                await erasures.recording_is_gone(connection, orphan.call_id)
        return stuck

    async def _scrub(self) -> None:
        async with self._database.read() as connection:
            is_quiet = not any((await calls.live_by_state(connection)).values())
        await self._database.scrub(rewrite=is_quiet)


async def missing(connection: AsyncConnection, tenant_id: str, call_id: str) -> Denied:
    """Return why there is no such call: it was erased, or there never was one."""
    if await erasures.is_erased(connection, tenant_id, call_id):
        return Denied(Code.CALL_ERASED, "the call was erased; delete what you have of it")
    return Denied(Code.CALL_UNKNOWN, "there is no such call")


def _batches(call_ids: Sequence[str]) -> list[Sequence[str]]:
    return [call_ids[start : start + BATCH] for start in range(0, len(call_ids), BATCH)]
