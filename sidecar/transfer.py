"""Hands callers over through LiveKit SIP (REFER), and says whether it came about.

LiveKit's word is not enough: it says the same of a caller who was put through and of one who hung
up while that was tried. They differ in one thing that can be seen. Who was put through is still
there when LiveKit answers, since the line is closed only a second later; who has hung up is gone.
"""

from __future__ import annotations

import asyncio
import re

import structlog
from livekit.api import TwirpErrorCode

from contracts.call import CallState
from contracts.command import CommandReceipt, Transfer
from contracts.outcome import Reason
from contracts.report import LegEnded, TransferFailed, TransferSent
from sidecar.calls import Calls
from sidecar.clock import Clock
from sidecar.livekit_sip import LiveKitSip, SipError, SipUnavailable
from sidecar.store import calls as call_rows
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.wake import Bells, Wake

log = structlog.get_logger(__name__)

TIMEOUT_S = 30.0
"""How long the carrier may take to put a caller through."""
ACTIVE = "active"
TOLD_WITHIN_S = 3.0
"""How long the agent's own word that it hands the caller over may take to arrive."""
LOOK_S = 0.2

HUNG_UP = "the caller hung up before the transfer was through"
IN_HAND = "another transfer of this call is under way"
GONE = "the caller is gone"
NO_TARGET = "the target is neither a number nor a SIP address"

_URI = re.compile(r"(?:sips?|tel):[^\s<>\"]+", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s<>\"@:]+@[^\s<>\"@]+")
_NUMBER = re.compile(r"\+?[0-9*#]+")
_SEPARATORS = re.compile(r"[\s().\-/]")


def refer_uri(to: str) -> str:
    """Return where a transfer goes as a `sip:`, `sips:` or `tel:` URI; "" if that says nothing."""
    wanted = to.strip()
    if _URI.fullmatch(wanted):
        return wanted
    if _ADDRESS.fullmatch(wanted):
        return f"sip:{wanted}"
    number = _SEPARATORS.sub("", wanted)
    return f"tel:{number}" if _NUMBER.fullmatch(number) else ""


class Transfers:
    """Transfers of calls whose phones LiveKit SIP carries; one of a call at a time."""

    def __init__(
        self, database: Database, use_cases: Calls, sip: LiveKitSip, *, clock: Clock, bells: Bells
    ) -> None:
        self._database = database
        self._calls = use_cases
        self._sip = sip
        self._clock = clock
        self._bells = bells
        self._in_hand: dict[str, tuple[str, asyncio.Task[CommandReceipt]]] = {}

    async def transfer(self, row: CallRow, command: Transfer) -> CommandReceipt:
        """Have the caller put through, and return what came of it once that is known.

        It goes on if whoever asked does not wait; asked for again meanwhile, it is the same one.
        """
        uri = refer_uri(command.to)
        target, task = self._in_hand.get(row.call_id, (uri, None))
        if target != uri:
            return CommandReceipt(done=False, failed_reason=IN_HAND)
        if task is None:
            task = asyncio.create_task(self._transfer(row, uri), name=f"transfer {row.call_id}")
            self._in_hand[row.call_id] = uri, task
            task.add_done_callback(lambda _: self._in_hand.pop(row.call_id))
        return await asyncio.shield(task)

    async def aclose(self, timeout_s: float) -> None:
        """Let transfers that are under way come to their end, as far as there is time."""
        tasks = [task for _, task in self._in_hand.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)

    async def _transfer(self, row: CallRow, uri: str) -> CommandReceipt:
        if not uri:
            return await self._failed(row, NO_TARGET)
        async with self._database.read() as connection:
            now = await call_rows.get(connection, row.tenant_id, row.call_id)
        if now is None or now.leg_ended or now.is_ended:
            # Asked for again, or too late: the line is another's, or gone.
            is_done = now is not None and now.end_reason is Reason.TRANSFERRED
            return CommandReceipt(done=is_done, failed_reason="" if is_done else GONE)
        identity = row.caller_identity
        try:
            await self._sip.transfer(row.room_name, identity, uri, TIMEOUT_S)
            at = self._clock()
            # At once: a second later the line is closed, whatever came of it.
            status = await self._sip.call_status(row.room_name, identity)
        except SipError as error:
            log.info("transfer_failed", call_id=row.call_id, code=error.code, error=str(error))
            return await self._failed(row, _why(error))
        if status != ACTIVE:
            hung_up = LegEnded(at=at, reason=Reason.CALLER_HUNG_UP, detail=HUNG_UP)
            return await self._failed(row, HUNG_UP, hung_up)
        log.info("transferred", call_id=row.call_id)
        # Before anybody tells that the line is gone.
        ended = LegEnded(at=at, reason=Reason.TRANSFERRED)
        await self._calls.note(row.tenant_id, row.call_id, TransferSent(at=at), ended)
        return CommandReceipt(done=True)

    async def _failed(self, row: CallRow, why: str, *more: LegEnded) -> CommandReceipt:
        await self._begun(row)
        failed = TransferFailed(at=self._clock(), failed_reason=why)
        await self._calls.note(row.tenant_id, row.call_id, failed, *more)
        return CommandReceipt(done=False, failed_reason=why)

    async def _begun(self, row: CallRow) -> None:
        """Wait for the agent's report of the transfer: its end must not overtake its beginning."""
        try:
            async with asyncio.timeout(TOLD_WITHIN_S):
                while True:
                    armed = self._bells.events.armed()
                    async with self._database.read() as connection:
                        now = await call_rows.get(connection, row.tenant_id, row.call_id)
                    if now is None or now.is_ended or now.state is CallState.TRANSFERRING:
                        return
                    await Wake.wait(armed, LOOK_S)
        except TimeoutError:
            log.warning("transfer_not_reported", call_id=row.call_id)


def _why(error: SipError) -> str:
    """Return what an operator reads in the call's result."""
    if error.sip_status_code is not None:
        return str(error)
    if isinstance(error, SipUnavailable):
        return f"LiveKit SIP did not answer ({error})"
    if error.code == TwirpErrorCode.DEADLINE_EXCEEDED:
        return f"the carrier did not say within {TIMEOUT_S:.0f} s that it came about"
    if error.code == TwirpErrorCode.NOT_FOUND:
        return GONE
    return f"LiveKit SIP refused it: {error}"
