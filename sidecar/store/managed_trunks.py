"""What LiveKit SIP has been told of managed trunks; written beside whoever changes the trunks."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.telephony import numbers, trunks
from sidecar.store.trunks import TrunkRow


@dataclass(frozen=True, slots=True)
class Synced:
    """How a trunk stands at LiveKit: its names there, what they say, and what went wrong."""

    inbound_id: str | None
    outbound_id: str | None
    rule_id: str | None
    synced_sha256: str
    sync_error: str | None


async def answered(connection: AsyncConnection) -> dict[str, list[str]]:
    """Return which numbers are known to come by which trunk."""
    query = select(numbers.c.trunk_id, numbers.c.number).where(numbers.c.trunk_id.is_not(None))
    found: dict[str, list[str]] = {}
    for trunk_id, number in await connection.execute(query.order_by(numbers.c.number)):
        found.setdefault(trunk_id, []).append(number)
    return found


async def note(connection: AsyncConnection, row: TrunkRow, synced: Synced) -> None:
    """Store how a trunk stands; nothing if it is gone. Its config is not touched."""
    mine = (trunks.c.tenant_id == row.tenant_id, trunks.c.trunk_id == row.trunk_id)
    await connection.execute(
        update(trunks)
        .where(*mine)
        .values({name: getattr(synced, name) for name in Synced.__dataclass_fields__})
    )
