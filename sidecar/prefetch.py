"""What a call asks of its bot's CRM beside its set-up; agents wait for the answer, but not long.

Whoever is first settles the matter, once per call: the answer, its failure, or an agent whose
patience is at its end, even where the process that asked has died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import template
from contracts.bot import BotConfig, CrmPrefetch
from contracts.event import EventType
from contracts.report import Noticed
from sidecar.clock import Clock
from sidecar.crm import Crm, Failure, PrefetchFailed, wanted
from sidecar.keyring import Keyring
from sidecar.progress import LISTENING
from sidecar.store import calls, events
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.store.events import Draft
from sidecar.vault import SecretMissing
from sidecar.wake import Bells, Wake

log = structlog.get_logger(__name__)

RINGING = timedelta(seconds=3)
"""How long the CRM may take while the phone still rings."""
POLL_S = 0.25
"""How often an agent's claim looks whether another replica has the answer, should no bell ring."""
SOURCE = "sidecar"


def due_at(
    config: BotConfig, connected_event: Mapping[str, Any], now: datetime, *, answered: bool
) -> datetime | None:
    """Return until when the agent is to wait for the CRM; None where nothing is asked."""
    if wanted(config, connected_event) is None:
        return None
    return now + (LISTENING if answered else RINGING)


class Prefetch:
    """What calls ask of their CRMs, from the plan to the agent's claim."""

    def __init__(
        self, database: Database, crm: Crm, *, clock: Clock, bells: Bells, keyring: Keyring
    ) -> None:
        self._database = database
        self._crm = crm
        self._clock = clock
        self._bells = bells
        self._keyring = keyring
        self._asking: set[asyncio.Task[None]] = set()

    def start(self, row: CallRow, config: BotConfig) -> None:
        """Ask about a planned call, whose row says until when; return at once."""
        if row.prefetch_due_at is None or config.crm_prefetch is None:
            return
        patience_s = (row.prefetch_due_at - self._clock()).total_seconds()
        task = asyncio.create_task(self._ask(row, config.crm_prefetch, patience_s))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def settled(self, tenant_id: str, call_id: str) -> None:
        """Wait until a call's variables are final: the CRM has answered, failed or had its time."""
        loop = asyncio.get_running_loop()
        # Two clocks, so that a stepped one makes nobody wait for hours.
        until = loop.time() + RINGING.total_seconds()
        while True:
            armed = self._bells.standbys.armed()
            async with self._database.read() as connection:
                row = await calls.get(connection, tenant_id, call_id)
            if row is None or row.is_ended or row.prefetch_due_at is None:
                return
            left_s = (row.prefetch_due_at - self._clock()).total_seconds()
            left_s = min(left_s, until - loop.time())
            if left_s <= 0:
                # Whoever asked knows when they did, and may be dead.
                waited = self._clock() - row.planned_at
                failed = PrefetchFailed(Failure.TIMEOUT)
                await self._settle(row, {}, waited.total_seconds(), failed)
                return
            await Wake.wait(armed, min(left_s, POLL_S))

    async def aclose(self, drain_s: float = 0.0) -> None:
        """Let the CRMs that are asked answer, but not for ever; claims go on in their time."""
        if not self._asking:
            return
        _, late = await asyncio.wait(self._asking, timeout=drain_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _ask(self, row: CallRow, prefetch: CrmPrefetch, patience_s: float) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            try:
                known = self._keyring.revealed(row.tenant_id, prefetch, row.config_url)
                found = await self._crm.fields(known, row.variables, patience_s)
            except SecretMissing:
                failed = PrefetchFailed(Failure.SECRET_MISSING)
                await self._settle(row, {}, loop.time() - began, failed)
            except PrefetchFailed as failed:
                await self._settle(row, {}, loop.time() - began, failed)
            else:
                await self._settle(row, found, loop.time() - began)
        except Exception:
            # Whoever waits for the answer goes on without it when its time is up.
            log.exception("crm_prefetch_broke", call_id=row.call_id)

    async def _settle(
        self,
        asked: CallRow,
        found: dict[str, Any],
        duration_s: float,
        failed: PrefetchFailed | None = None,
    ) -> None:
        """Make a call's variables final, unless somebody else has: one answer, one event."""
        detail: dict[str, Any] = {"duration_ms": round(1000 * max(0.0, duration_s), 1)}
        if failed is not None:
            detail = {"reason": failed.failure, **failed.detail, **detail}
        name = "crm_prefetched" if failed is None else "crm_prefetch_failed"

        async def work(connection: AsyncConnection) -> bool:
            row = await calls.get(connection, asked.tenant_id, asked.call_id)
            if row is None or row.is_ended or row.prefetch_due_at is None:
                return False
            variables = {**row.variables, **template.namespaced("crm", found)}
            after = replace(row, variables=variables, prefetch_due_at=None)
            await calls.save(connection, row, after)
            await events.append(connection, row.tenant_id, [self._told(row, name, detail)])
            await self._database.notify(connection)
            await self._database.notify_standbys(connection)
            return True

        if await self._database.run(work):
            self._bells.events.ring()
            self._bells.standbys.ring()
            tell = log.info if failed is None else log.warning
            tell(name, call_id=asked.call_id, **detail)

    def _told(self, row: CallRow, name: str, detail: dict[str, Any]) -> Draft:
        now = self._clock()
        return Draft(
            call_id=row.call_id,
            bot_id=row.bot_id,
            type=EventType.NOTICE,
            at=now,
            data=Noticed(at=now, name=name, detail=detail).model_dump(mode="json"),
            source=SOURCE,
        )
