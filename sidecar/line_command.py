"""Does with a caller's line what its agent asks for, where LiveKit carries it and no bridge."""

from __future__ import annotations

import structlog

from contracts.command import CallCommand, CommandReceipt, HangUp, SendDigits, Transfer
from contracts.outcome import Reason
from contracts.report import LegEnded
from sidecar.calls import Calls
from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.erasure import missing
from sidecar.rooms import RoomError, Rooms
from sidecar.store import calls as call_rows
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.transfer import Transfers

log = structlog.get_logger(__name__)

HAS_BRIDGE = "a bridge carries this call: it is to be told"
OWN_KEYS = "whoever speaks in the room presses the keys"


class LineCommands:
    """Obeys the newest incarnation of a call's agent."""

    def __init__(
        self,
        database: Database,
        use_cases: Calls,
        rooms: Rooms,
        transfers: Transfers,
        *,
        clock: Clock,
    ) -> None:
        self._database = database
        self._calls = use_cases
        self._rooms = rooms
        self._transfers = transfers
        self._clock = clock

    async def obey(self, tenant_id: str, call_id: str, asked: CallCommand) -> CommandReceipt:
        """Carry a command out; a transfer's answer comes when its outcome is known.

        Raises:
            Denied: the call is over or unknown, or another incarnation serves it.
        """
        row = await self._row(tenant_id, call_id)
        if row.is_ended:
            raise Denied(Code.CALL_ENDED, "the call is over")
        if asked.incarnation != row.incarnation:
            raise Denied(
                Code.STALE_INCARNATION,
                "another incarnation serves the call; leave it",
                details={"incarnation": row.incarnation},
            )
        if row.media != "tracks":
            return CommandReceipt(done=False, failed_reason=HAS_BRIDGE)
        match asked.command:
            case HangUp(message=message):
                return await self._hang_up(row, message)
            case Transfer() as transfer:
                return await self._transfers.transfer(row, transfer)
            case SendDigits():
                return CommandReceipt(done=False, failed_reason=OWN_KEYS)

    async def _hang_up(self, row: CallRow, message: str) -> CommandReceipt:
        at = self._clock()
        try:
            await self._rooms.remove(row.room_name, row.caller_identity)
        except RoomError as error:
            log.warning("phone_not_removed", call_id=row.call_id, error=str(error))
            return CommandReceipt(done=False, failed_reason=f"LiveKit did not do it ({error})")
        ended = LegEnded(at=at, reason=Reason.BOT_ENDED, detail=message)
        await self._calls.note(row.tenant_id, row.call_id, ended)
        return CommandReceipt(done=True)

    async def _row(self, tenant_id: str, call_id: str) -> CallRow:
        async with self._database.read() as connection:
            row = await call_rows.get(connection, tenant_id, call_id)
            if row is None:
                raise await missing(connection, tenant_id, call_id)
        return row
