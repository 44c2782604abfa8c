"""What it means that somebody has left a room by LiveKit's word: the phone is gone, or an agent.

Where a bridge carries a call, it tells how the call's leg ended. Behind LiveKit SIP nobody else
does.
"""

from __future__ import annotations

from contracts.call import CallState
from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.report import LegEnded
from sidecar.calls import Calls
from sidecar.clock import Clock
from sidecar.loss import Losses
from sidecar.store import calls
from sidecar.store.calls import UNANSWERED, CallRow
from sidecar.store.database import Database

LOST = frozenset({"CONNECTION_TIMEOUT", "SIGNAL_CLOSE", "MEDIA_FAILURE", "STATE_MISMATCH"})
"""Reasons for which somebody leaves without anybody's wish; all others follow from an end."""

REASONS = {
    "CLIENT_INITIATED": Reason.CALLER_HUNG_UP,
    "USER_REJECTED": Reason.DECLINED,
    "USER_UNAVAILABLE": Reason.NO_ANSWER,
    "SIP_TRUNK_FAILURE": Reason.CARRIER_UNREACHABLE,
    "PARTICIPANT_REMOVED": Reason.BOT_ENDED,
    "ROOM_DELETED": Reason.ROOM_LOST,
    "ROOM_CLOSED": Reason.ROOM_LOST,
    "SERVER_SHUTDOWN": Reason.ROOM_LOST,
}
"""A phone's leaving, in LiveKit's words. Its hang-up, a carrier's error after the answer, and media
that stayed away are one and the same word. Nobody but us removes a phone."""


class Departures:
    """Takes note of who leaves."""

    def __init__(self, database: Database, use_cases: Calls, losses: Losses, clock: Clock) -> None:
        self._database = database
        self._calls = use_cases
        self._losses = losses
        self._clock = clock

    async def left(self, tenant_id: str, room_name: str, identity: str, reason: str) -> None:
        """Note that somebody has left.

        Args:
            tenant_id: whose room it is.
            room_name: which.
            identity: who.
            reason: why, in LiveKit's word.
        """
        async with self._database.read() as connection:
            row = await calls.held_in(connection, tenant_id, room_name)
        if row is not None and row.media == "tracks" and identity == row.caller_identity:
            if not (row.leg_ended or _is_being_dialled(row) or _may_come_back(row, reason)):
                why = reason_of(reason)
                ended = LegEnded(at=self._clock(), reason=why, detail=reason.lower())
                await self._calls.note(tenant_id, row.call_id, ended)
        elif reason in LOST:
            await self._losses.participant(tenant_id, room_name, identity, reason)


def reason_of(word: str) -> Reason:
    """Return how a call ended whose phone left for this reason; an unknown one is our fault."""
    if word in LOST:
        # A phone is lost with the SIP service that carried it.
        return Reason.BRIDGE_LOST
    return REASONS.get(word, Reason.ROOM_LOST)


def _may_come_back(row: CallRow, reason: str) -> bool:
    """Return whether a browser has lost its network, or is joining anew already.

    Its agent misses one that does not come back; one that says goodbye, if it has seen it.
    """
    is_seen = row.state is CallState.TALKING
    is_goodbye = reason == "CLIENT_INITIATED"
    return row.channel == Channel.WEB and (reason not in REASONS or (is_goodbye and is_seen))


def _is_being_dialled(row: CallRow) -> bool:
    """Return whether somebody is about to tell, with the carrier's own code, what became of it."""
    return row.channel == Channel.DIALOUT and row.state in UNANSWERED
