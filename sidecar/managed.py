"""Places calls through LiveKit SIP: it has no bridge of ours, so what happens is reported here.

LiveKit answers when the phone has, or will not. In between it tells nobody that the phone rings, or
that its call is over already: both are looked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import structlog
from livekit.api import TwirpErrorCode

from contracts.outcome import Reason, sip_outcome
from contracts.report import LegAnswered, LegDialled, LegEnded, LegRinging
from contracts.trunk import Trunk
from sidecar.calls import Calls
from sidecar.clock import Clock
from sidecar.livekit_sip import LiveKitSip, SipDial, SipError, SipUnavailable
from sidecar.rooms import RoomError, Rooms
from sidecar.store import calls as call_rows
from sidecar.store import trunks
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.store.dials import DialRow
from sidecar.wake import Wake

log = structlog.get_logger(__name__)

LOOK_S = 0.5
RINGING = "ringing"
SPARE = timedelta(seconds=30)
"""How much longer than its phone may ring a call keeps its slot."""
EARLY_S = 1.0
"""A call that is cancelled this much before its time was cancelled by somebody."""

_TIMED_OUT = (TwirpErrorCode.CANCELED, TwirpErrorCode.DEADLINE_EXCEEDED)
_UNREACHED = (TwirpErrorCode.FAILED_PRECONDITION,)
"""Without a carrier's answer: its port is closed."""


class ManagedPlacer:
    """Brings phones into rooms by managed trunks."""

    def __init__(
        self,
        database: Database,
        use_cases: Calls,
        sip: LiveKitSip,
        rooms: Rooms,
        *,
        max_call_s: float,
        clock: Clock,
        trunks_changed: Wake,
        monotonic: Callable[[], float] = time.monotonic,
        look_s: float = LOOK_S,
    ) -> None:
        """
        Args:
            database: where trunks and calls are.
            use_cases: takes the facts.
            sip: calls the phones.
            rooms: sends a phone away whose call is over.
            max_call_s: after it LiveKit ends any call, whoever is left.
            clock: dates facts.
            trunks_changed: rung where LiveKit does not know a trunk any more.
            monotonic: measures how long a phone rang.
            look_s: how often is looked at a phone that is called.
        """
        self._database = database
        self._calls = use_cases
        self._sip = sip
        self._rooms = rooms
        self._max_call_s = max_call_s
        self._clock = clock
        self._trunks_changed = trunks_changed
        self._monotonic = monotonic
        self.look_s = look_s

    async def place(self, dial: DialRow, row: CallRow, trunk: Trunk) -> None:
        """Bring the phone into the call's room; return once it is answered, or will not be."""
        trunk_id, missing = await self._known_as(row.tenant_id, trunk)
        if not trunk_id:
            await self._end(row, Reason.CARRIER_REFUSED, missing)
            return
        await self._hold(row, dial.ringing_timeout_s)
        await self._calls.note(row.tenant_id, row.call_id, LegDialled(at=self._clock()))
        ring = _Ring(self, row)
        watching = asyncio.create_task(ring.watch(), name=f"ring {row.call_id}")
        began = self._monotonic()
        try:
            await self._sip.dial(
                SipDial(
                    trunk_id=trunk_id,
                    to_number=dial.to_number,
                    from_number=dial.from_number,
                    room_name=row.room_name,
                    identity=row.caller_identity,
                    ringing_timeout_s=dial.ringing_timeout_s,
                    max_duration_s=self._max_call_s,
                )
            )
        except SipError as error:
            is_early = self._monotonic() - began < dial.ringing_timeout_s - EARLY_S
            await _stopped(watching)
            await self._failed(row, error, ring, is_early=is_early)
        else:
            await _stopped(watching)
            await self._calls.note(row.tenant_id, row.call_id, LegAnswered(at=self._clock()))
            if await self.is_over(row):
                await self.send_away(row)
        finally:
            watching.cancel()

    async def is_over(self, row: CallRow) -> bool:
        """Return whether the call has ended, or its agent has: nobody is to answer it any more."""
        async with self._database.read() as connection:
            now = await call_rows.get(connection, row.tenant_id, row.call_id)
        return now is None or now.is_ended or now.end_at is not None

    async def send_away(self, row: CallRow) -> None:
        """Cancel the phone's ringing, or hang it up."""
        try:
            await self._rooms.remove(row.room_name, row.caller_identity)
        except RoomError as error:
            log.warning("phone_not_removed", call_id=row.call_id, error=str(error))

    async def rings(self, row: CallRow) -> bool:
        """Return whether the phone rings, having told so."""
        if await self._sip.call_status(row.room_name, row.caller_identity) != RINGING:
            return False
        await self._calls.note(row.tenant_id, row.call_id, LegRinging(at=self._clock()))
        return True

    async def _failed(self, row: CallRow, error: SipError, ring: _Ring, *, is_early: bool) -> None:
        if isinstance(error, SipUnavailable):
            # Nobody knows what became of it.
            await self.send_away(row)
        if error.code == TwirpErrorCode.NOT_FOUND and error.sip_status_code is None:
            self._trunks_changed.ring()
        is_aborted = ring.is_aborted or await self.is_over(row)
        reason = reason_of(error, has_rung=ring.has_rung, is_aborted=is_aborted, is_early=is_early)
        log.info(
            "dial_failed",
            call_id=row.call_id,
            reason=reason,
            code=error.code,
            sip_status_code=error.sip_status_code,
        )
        await self._end(row, reason, str(error), error.sip_status_code)

    async def _end(
        self, row: CallRow, reason: Reason, detail: str, sip_status_code: int | None = None
    ) -> None:
        ended = LegEnded(
            at=self._clock(), reason=reason, detail=detail, sip_status_code=sip_status_code
        )
        await self._calls.note(row.tenant_id, row.call_id, ended)

    async def _known_as(self, tenant_id: str, trunk: Trunk) -> tuple[str, str]:
        """Return LiveKit's name of a trunk, or "" and why it has none."""
        async with self._database.read() as connection:
            row = await trunks.get(connection, tenant_id, trunk.trunk_id)
        if row is None:
            # Not one of ours: an external API has named it as LiveKit does.
            return trunk.trunk_id, ""
        if row.outbound_id:
            return row.outbound_id, ""
        self._trunks_changed.ring()
        if not (trunk.address and trunk.numbers):
            return "", "the trunk has no address to dial, or no number to show"
        return "", row.sync_error or "LiveKit SIP has not been told of the trunk yet"

    async def _hold(self, row: CallRow, ringing_timeout_s: float) -> None:
        until = self._clock() + timedelta(seconds=ringing_timeout_s) + SPARE
        async with self._database.transaction() as connection:
            await call_rows.hold(connection, row.tenant_id, [row.call_id], until)


class _Ring:
    """What is seen of one phone while it is called.

    Attributes:
        has_rung: the carrier said that it rings.
        is_aborted: its call is over, and it was sent away for that.
    """

    def __init__(self, placer: ManagedPlacer, row: CallRow) -> None:
        self.has_rung = False
        self.is_aborted = False
        self._placer = placer
        self._row = row

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._placer.look_s)
            try:
                await self._look()
            except SipError as error:
                log.warning("ring_not_seen", call_id=self._row.call_id, error=str(error))
            except Exception:
                log.exception("ring_not_seen", call_id=self._row.call_id)

    async def _look(self) -> None:
        if await self._placer.is_over(self._row):
            self.is_aborted = True
            await self._placer.send_away(self._row)
        elif not self.has_rung:
            self.has_rung = await self._placer.rings(self._row)


def reason_of(error: SipError, *, has_rung: bool, is_aborted: bool, is_early: bool) -> Reason:
    """Return why a phone was not reached. Pure.

    No answer, a dead address and our own abort are one and the same error to LiveKit.

    Args:
        error: what LiveKit said.
        has_rung: whether the phone is known to have rung.
        is_aborted: whether the call was over, so that the phone was sent away.
        is_early: whether there was time left to ring.
    """
    if error.sip_status_code is not None:
        return sip_outcome(error.sip_status_code).reason
    if is_aborted or (is_early and error.code == TwirpErrorCode.CANCELED):
        return Reason.DIAL_ABORTED
    if error.code in _TIMED_OUT:
        return Reason.NO_ANSWER if has_rung else Reason.CARRIER_UNREACHABLE
    if isinstance(error, SipUnavailable) or error.code in _UNREACHED:
        return Reason.CARRIER_UNREACHABLE
    return Reason.CARRIER_REFUSED


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
