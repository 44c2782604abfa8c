"""Keeps LiveKit SIP's trunks and dispatch rules as our managed trunks and numbers want them.

What is to be done follows from our rows and what LiveKit says it has, so a lost answer, a change
made by hand or a crash in between is mended by looking again. One sidecar at a time does it.
Without a managed trunk, nothing is asked of LiveKit at all, once it has forgotten the last one:
the lease, which stays until then, keeps that in mind.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from livekit import api
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.trunk import Trunk
from sidecar import sip_objects
from sidecar.clock import Clock
from sidecar.livekit_sip import LiveKitSip, SipError, SipObjects, SipUnavailable
from sidecar.sip_objects import Limits, SipObject
from sidecar.store import leases, managed_trunks, trunks
from sidecar.store.database import Database
from sidecar.store.managed_trunks import Synced
from sidecar.store.trunks import TrunkRow
from sidecar.vault import SecretMissing, Vault
from sidecar.wake import Wake

log = structlog.get_logger(__name__)

LOOK_S = 5.0
"""How often our own rows are compared with what was last told: replicas change them, too."""
DRIFT = timedelta(minutes=3)
"""How often LiveKit's are: somebody may have changed them by hand."""
RETRY = timedelta(seconds=15)
LEASE = timedelta(seconds=60)
LEASE_NAME = "sip_sync"

Item = TypeVar("Item", bound=SipObject)


@dataclass(frozen=True, slots=True)
class _Wish:
    """One trunk and what LiveKit is to have for it.

    Attributes:
        trunk: with its secrets in place.
        answered: the numbers that come by it, beside its own.
        fault: what keeps it from being told at all: a secret that is missing.
    """

    row: TrunkRow
    trunk: Trunk
    answered: Sequence[str] = ()
    sha256: str = ""
    fault: str | None = None

    @property
    def is_told(self) -> bool:
        if self.fault is not None:
            return self.row.sync_error == self.fault
        return self.row.synced_sha256 == self.sha256 and self.row.sync_error is None


class SipSync:
    """One per process; several may run over one database."""

    def __init__(
        self,
        database: Database,
        sip: LiveKitSip,
        *,
        owner: str,
        limits: Limits,
        vault: Vault,
        clock: Clock,
        holder: str,
        bell: Wake,
    ) -> None:
        """
        Args:
            database: where trunks and numbers are.
            sip: LiveKit.
            owner: what marks the objects that are ours.
            limits: of every call.
            vault: where trunks' secrets are.
            clock: where the time comes from.
            holder: the name of this process among those over the database.
            bell: rings when trunks or numbers have changed, and at the end.
        """
        self._database = database
        self._sip = sip
        self._owner = owner
        self._limits = limits
        self._vault = vault
        self._clock = clock
        self._holder = holder
        self._bell = bell
        self._looked_at: datetime | None = None
        self._retry_at: datetime | None = None
        self._had_trunks: bool | None = None

    async def turn(self) -> None:
        """Bring LiveKit up to date, then wait for a change, or for the time to look again."""
        armed = self._bell.armed()
        await self.look()
        await Wake.wait(armed, LOOK_S)
        if armed.is_set():
            self.look_anew()

    def look_anew(self) -> None:
        """Take nothing for granted the next time, since something has changed."""
        self._looked_at = self._retry_at = None

    async def look(self) -> None:
        """Bring LiveKit up to date, if it is not known to be."""
        now = self._clock()
        wishes = await self._wishes()
        if self._had_trunks is None:
            # Those of the last one may be left there, if LiveKit was away as it was removed.
            async with self._database.read() as connection:
                self._had_trunks = await leases.was_taken(connection, LEASE_NAME)
        if not wishes and not self._had_trunks:
            return
        # Those that are deleted are to leave LiveKit, too.
        self._had_trunks = True
        if self._retry_at is not None and now < self._retry_at:
            return
        is_fresh = self._looked_at is not None and now < self._looked_at + DRIFT
        if is_fresh and all(wish.is_told for wish in wishes):
            return
        if not await self._database.run(
            lambda connection: leases.take(connection, LEASE_NAME, self._holder, now, now + LEASE)
        ):
            return
        try:
            # As they are by now: another sidecar may have told them meanwhile.
            await self._sync(await self._wishes())
        finally:
            async with self._database.transaction() as connection:
                if self._had_trunks:
                    await leases.release(connection, LEASE_NAME, self._holder, self._clock())
                else:
                    await leases.put_away(connection, LEASE_NAME, self._holder)

    async def _wishes(self) -> list[_Wish]:
        async with self._database.read() as connection:
            rows = await trunks.of_kind(connection, "managed")
            answered = await managed_trunks.answered(connection) if rows else {}
        return [self._wish(row, answered) for row in rows]

    def _wish(self, row: TrunkRow, answered: Mapping[str, Sequence[str]]) -> _Wish:
        try:
            trunk = self._vault.trunk(row.tenant_id, row.trunk)
        except SecretMissing as missing:
            return _Wish(row, row.trunk, fault=str(missing))
        numbers = answered.get(row.trunk_id, ())
        wanted = (
            sip_objects.outbound(self._owner, trunk),
            sip_objects.inbound(self._owner, trunk, numbers, self._limits),
            sip_objects.rule(self._owner, trunk, ""),
        )
        return _Wish(row, trunk, numbers, sip_objects.sha256_of(wanted))

    async def _sync(self, wishes: Sequence[_Wish]) -> None:
        now = self._clock()
        try:
            found = _ours(await self._sip.objects(), self._owner)
            await self._remove_strangers(wishes, found)
        except SipError as error:
            log.warning("sip_not_synced", error=str(error), code=error.code)
            self._retry_at = now + RETRY
            for wish in wishes:
                await self._note(wish, replace(_as_noted(wish.row), sync_error=_plainly(error)))
            return
        failed = [wish for wish in wishes if not await self._try(wish, found)]
        # A number that moves from one trunk to another is free only once the first is told.
        failed = [wish for wish in failed if not await self._try(wish, found)]
        caught = not wishes or await self._catch_all(found)
        self._looked_at = now
        self._retry_at = now + RETRY if failed or not caught else None
        self._had_trunks = bool(wishes)

    async def _remove_strangers(self, wishes: Sequence[_Wish], found: SipObjects) -> None:
        """Delete what is ours and nobody's any more, doubles of a lost answer among it."""
        known = {wish.row.trunk_id: wish.row for wish in wishes}
        for rule in list(found.rules):
            trunk_id = sip_objects.marked_for(self._owner, rule)
            row = known.get(trunk_id or "")
            rule_id = None if row is None else row.rule_id
            is_kept = rule is _pick(found.rules, self._owner, trunk_id, rule_id)
            if not is_kept or (row is None and not (trunk_id == sip_objects.CATCH_ALL and wishes)):
                await self._sip.delete_rule(rule.sip_dispatch_rule_id)
                found.rules.remove(rule)
        await self._remove_trunks(found.inbound, known, lambda row: row.inbound_id)
        await self._remove_trunks(found.outbound, known, lambda row: row.outbound_id)

    async def _remove_trunks(
        self,
        found: list[Item],
        known: Mapping[str, TrunkRow],
        id_of: Callable[[TrunkRow], str | None],
    ) -> None:
        for item in list(found):
            trunk_id = sip_objects.marked_for(self._owner, item)
            row = known.get(trunk_id or "")
            if row is None or item is not _pick(found, self._owner, trunk_id, id_of(row)):
                await self._sip.delete_trunk(_id(item))
                found.remove(item)

    async def _try(self, wish: _Wish, found: SipObjects) -> bool:
        """Have LiveKit know one trunk as it is; return whether it does, or cannot."""
        noted = _as_noted(wish.row)
        if wish.fault is not None:
            await self._note(wish, replace(noted, sync_error=wish.fault))
            return True
        try:
            noted = await self._tell(wish, found)
        except SipError as error:
            log.warning("trunk_not_synced", trunk_id=wish.row.trunk_id, error=str(error))
            noted = replace(noted, sync_error=_plainly(error))
        await self._note(wish, noted)
        return noted.sync_error is None

    async def _tell(self, wish: _Wish, found: SipObjects) -> Synced:
        row, trunk = wish.row, wish.trunk
        outbound = _pick(found.outbound, self._owner, row.trunk_id, row.outbound_id)
        wanted_out = sip_objects.outbound(self._owner, trunk)
        outbound_id = await self._have(
            found.outbound, outbound, wanted_out, self._sip.save_outbound, self._sip.delete_trunk
        )
        inbound = _pick(found.inbound, self._owner, row.trunk_id, row.inbound_id)
        wanted_in = sip_objects.inbound(self._owner, trunk, wish.answered, self._limits)
        rule = _pick(found.rules, self._owner, row.trunk_id, row.rule_id)
        rule_id = None
        if wanted_in is None:
            # The rule first: one without its trunk would be a rule for every trunk there is.
            await self._have(found.rules, rule, None, self._sip.save_rule, self._sip.delete_rule)
        inbound_id = await self._have(
            found.inbound, inbound, wanted_in, self._sip.save_inbound, self._sip.delete_trunk
        )
        if inbound_id is not None:
            wanted_rule = sip_objects.rule(self._owner, trunk, inbound_id)
            rule_id = await self._have(
                found.rules, rule, wanted_rule, self._sip.save_rule, self._sip.delete_rule
            )
        return Synced(inbound_id, outbound_id, rule_id, wish.sha256, None)

    async def _have(
        self,
        among: list[Item],
        found: Item | None,
        wanted: Item | None,
        save: Callable[[Item, str], Awaitable[str]],
        delete: Callable[[str], Awaitable[None]],
    ) -> str | None:
        """Let LiveKit have one object as wanted, or not at all; return its name of it."""
        if wanted is None:
            if found is not None:
                await delete(_id(found))
                among.remove(found)
            return None
        if found is not None and sip_objects.is_as_wanted(found, wanted):
            return _id(found)
        saved_id = await save(wanted, "" if found is None else _id(found))
        if found is not None:
            among.remove(found)
        among.append(_with_id(wanted, saved_id))
        return saved_id

    async def _catch_all(self, found: SipObjects) -> bool:
        rule = _pick(found.rules, self._owner, sip_objects.CATCH_ALL, None)
        wanted = sip_objects.catch_all(self._owner)
        try:
            await self._have(found.rules, rule, wanted, self._sip.save_rule, self._sip.delete_rule)
        except SipError as error:
            # Somebody else's rule for all calls stands in the way, and serves as well.
            log.warning("sip_catch_all_missing", error=str(error), code=error.code)
            return False
        return True

    async def _note(self, wish: _Wish, synced: Synced) -> None:
        if synced == _as_noted(wish.row):
            return

        async def work(connection: AsyncConnection) -> None:
            await managed_trunks.note(connection, wish.row, synced)

        await self._database.run(work)


def _ours(objects: SipObjects, owner: str) -> SipObjects:
    """Return the objects that bear our mark."""

    def marked(items: Sequence[Item]) -> list[Item]:
        return [item for item in items if sip_objects.marked_for(owner, item) is not None]

    return SipObjects(marked(objects.inbound), marked(objects.outbound), marked(objects.rules))


def _pick(
    items: Sequence[Item], owner: str, trunk_id: str | None, known_id: str | None
) -> Item | None:
    """Return a trunk's object: the one we know of, else any that bears its mark."""
    marked = [item for item in items if sip_objects.marked_for(owner, item) == trunk_id]
    known = (item for item in marked if _id(item) == known_id)
    return next(known, marked[0] if marked else None)


def _id(item: SipObject) -> str:
    if isinstance(item, api.SIPDispatchRuleInfo):
        return item.sip_dispatch_rule_id
    return item.sip_trunk_id


def _with_id(wanted: Item, saved_id: str) -> Item:
    saved = copy.deepcopy(wanted)
    if isinstance(saved, api.SIPDispatchRuleInfo):
        saved.sip_dispatch_rule_id = saved_id
    else:
        saved.sip_trunk_id = saved_id
    return saved


def _as_noted(row: TrunkRow) -> Synced:
    return Synced(row.inbound_id, row.outbound_id, row.rule_id, row.synced_sha256, row.sync_error)


def _plainly(error: SipError) -> str:
    """Return what an operator reads beside the trunk."""
    if error.code == "internal":
        return f"LiveKit has no SIP service; it needs Redis and livekit-sip ({error})"
    if isinstance(error, SipUnavailable):
        return f"LiveKit does not answer ({error})"
    return f"LiveKit refused it: {error}"
