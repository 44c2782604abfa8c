"""Bots and their versions: every save is a new version, none is ever changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.tables import bot_versions, bots


@dataclass(frozen=True, slots=True)
class BotRow:
    """A bot with its current config, or an older version of it."""

    bot_id: str
    version: int
    config: dict[str, Any]
    created_at: datetime
    updated_at: datetime


def _current() -> Select[Any]:
    same = and_(
        bots.c.tenant_id == bot_versions.c.tenant_id,
        bots.c.bot_id == bot_versions.c.bot_id,
        bots.c.version == bot_versions.c.version,
    )
    return select(
        bots.c.bot_id, bots.c.version, bot_versions.c.config, bots.c.created_at, bots.c.updated_at
    ).join(bot_versions, same)


async def get(connection: AsyncConnection, tenant_id: str, bot_id: str) -> BotRow | None:
    statement = _current().where(bots.c.tenant_id == tenant_id, bots.c.bot_id == bot_id)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else BotRow(*row)


async def listed(
    connection: AsyncConnection, tenant_id: str, bot_ids: Sequence[str] | None = None
) -> list[BotRow]:
    statement = _current().where(bots.c.tenant_id == tenant_id).order_by(bots.c.bot_id)
    if bot_ids is not None:
        statement = statement.where(bots.c.bot_id.in_(bot_ids))
    return [BotRow(*row) for row in await connection.execute(statement)]


async def versions(
    connection: AsyncConnection, tenant_id: str, bot_id: str
) -> list[tuple[int, datetime]]:
    """Return `(version, created_at)` of every version, newest first."""
    mine = and_(bot_versions.c.tenant_id == tenant_id, bot_versions.c.bot_id == bot_id)
    statement = select(bot_versions.c.version, bot_versions.c.created_at).where(mine)
    rows = await connection.execute(statement.order_by(bot_versions.c.version.desc()))
    return [(version, created_at) for version, created_at in rows]


async def save(
    connection: AsyncConnection,
    tenant_id: str,
    bot_id: str,
    config: dict[str, Any],
    at: datetime,
) -> int:
    """Store `config` as the bot's next version, and return that version's number."""
    mine = and_(bots.c.tenant_id == tenant_id, bots.c.bot_id == bot_id)
    raised = update(bots).where(mine).values(version=bots.c.version + 1, updated_at=at)
    version = await connection.scalar(raised.returning(bots.c.version))
    if version is None:
        version = 1
        await connection.execute(
            insert(bots).values(
                tenant_id=tenant_id, bot_id=bot_id, version=version, created_at=at, updated_at=at
            )
        )
    await connection.execute(
        insert(bot_versions).values(
            tenant_id=tenant_id, bot_id=bot_id, version=version, config=config, created_at=at
        )
    )
    return int(version)


async def remove(connection: AsyncConnection, tenant_id: str, bot_id: str) -> bool:
    """Delete a bot with all its versions; its calls stay. Return whether there was one."""
    for table in (bot_versions, bots):
        mine = and_(table.c.tenant_id == tenant_id, table.c.bot_id == bot_id)
        deleted = await connection.execute(delete(table).where(mine))
    return deleted.rowcount > 0
