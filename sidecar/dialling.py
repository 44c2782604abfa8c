"""How a planned call is placed: whom it waits for, who takes it, what becomes of it. Never twice.

A dial waits for the call's agent, is claimed by one bridge or one sidecar, and is settled with the
answer, or with whatever kept it from one. Each step is part of a transaction on the call itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.report import AgentJoined, Fact, LegAnswered, LegEnded
from contracts.trunk import Trunk
from sidecar.store import calls, dials
from sidecar.store.calls import UNANSWERED, CallRow
from sidecar.store.database import Conflict
from sidecar.store.dials import DialRow, DialState

UNCLAIMED = timedelta(seconds=10)
"""How long a call whose agent is there waits for a bridge to place it."""
RINGING_MARGIN = timedelta(seconds=15)
"""Beyond the ringing: for whoever places a call to reach the carrier, and to tell how it ended."""

_SILENCE = {
    None: (Reason.ABANDONED, "nothing was heard of the call"),
    DialState.WAITING: (Reason.NO_AGENT, "the agent was not ready in time"),
    DialState.READY: (Reason.CARRIER_UNREACHABLE, "nobody came to place the call"),
    DialState.CLAIMED: (Reason.DIAL_LOST, "whoever placed the call did not tell how it ended"),
    DialState.SETTLED: (Reason.ABANDONED, "nothing was heard of the call"),
}


class Placer(Protocol):
    """Places calls by managed trunks: LiveKit SIP."""

    async def place(self, dial: DialRow, row: CallRow, trunk: Trunk) -> None:
        """Bring the phone into the call's room; return once it is answered, or will not be.

        What happens is reported as facts of the call (source `bridge`): `LegDialled`, `LegRinging`,
        `LegAnswered`, or a `LegEnded` with its reason and `sip_status_code`. A call about which
        neither of the last two was reported is ended as `dial_lost`. May be cancelled, when the
        process ends; the call is then ended for it, and its room deleted.

        Args:
            dial: whom to call, and whose number to show, as the carrier wants both.
            row: the call: its room and the callee's identity there.
            trunk: by which way, secrets in place. One that is not among ours was named by an
                external API: its `trunk_id` is LiveKit's own.
        """


def is_dialled(row: CallRow) -> bool:
    """Return whether we place the call ourselves."""
    return row.channel == Channel.DIALOUT


async def follow(
    connection: AsyncConnection, row: CallRow, facts: Sequence[Fact], now: datetime
) -> CallRow:
    """Let the call's dial follow what was reported; return the row with its time to be claimed."""
    if not is_dialled(row):
        return row
    for fact in facts:
        match fact:
            case AgentJoined() if row.state in UNANSWERED and row.end_at is None:
                if await dials.become_ready(connection, row.tenant_id, row.call_id):
                    row = replace(row, expires_at=now + UNCLAIMED)
            case LegAnswered():
                await dials.settle(connection, row.tenant_id, row.call_id, now)
            case LegEnded():
                code = fact.sip_status_code
                await dials.settle(connection, row.tenant_id, row.call_id, now, code)
    return row


def is_readied(row: CallRow, facts: Sequence[Fact]) -> bool:
    """Return whether these facts may have made the call's dial ready: whoever claims is woken."""
    return is_dialled(row) and any(isinstance(fact, AgentJoined) for fact in facts)


async def close(connection: AsyncConnection, row: CallRow, now: datetime) -> None:
    """Settle the dial of a call that has ended: it is never placed any more."""
    if is_dialled(row):
        await dials.settle(connection, row.tenant_id, row.call_id, now)


async def silence(connection: AsyncConnection, row: CallRow) -> tuple[Reason, str]:
    """Return how a call ends, and why, of which nothing was heard before its time was up."""
    dial = None
    if is_dialled(row):
        dial = await dials.get(connection, row.tenant_id, row.call_id)
    if dial is not None and dial.kind == "bridge" and dial.state == DialState.READY:
        return Reason.CARRIER_UNREACHABLE, "no SIP bridge claimed the call"
    return _SILENCE[None if dial is None else DialState(dial.state)]


async def claim(
    connection: AsyncConnection,
    dial: DialRow,
    claimed_by: str,
    now: datetime,
    *,
    leased_until: datetime | None = None,
) -> CallRow | None:
    """Take a ready dial, with its call, for whoever asks.

    None where the call is over; or where its agent has died since, until there is another one.

    Raises:
        Conflict: somebody else took it, or the call has moved meanwhile.
    """
    row = await calls.get(connection, dial.tenant_id, dial.call_id)
    if row is None or row.is_ended or row.end_at is not None or row.state not in UNANSWERED:
        await dials.settle(connection, dial.tenant_id, dial.call_id, now)
        return None
    if row.worker_id is None:
        return None
    until = now + timedelta(seconds=dial.ringing_timeout_s) + RINGING_MARGIN
    is_bridge = leased_until is None
    # The call first, then its dial: as wherever both are changed.
    claimed = replace(row, expires_at=until, bridge_id=claimed_by if is_bridge else row.bridge_id)
    saved = await calls.save(connection, row, claimed)
    if not await dials.claim(connection, dial, claimed_by, now, leased_until=leased_until):
        raise Conflict(dial.call_id)
    return saved
