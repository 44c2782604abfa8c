"""Addresses that asked to be left alone (410): what is meant for them waits until one is enabled.

Saving a bot enables none: a bot that is imported at each start says nothing about its receiver.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import ColumnElement, Select, and_, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.tables import endpoints


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A disabled address. `endpoint_id` is made of the URL, so it is the same for each tenant."""

    endpoint_id: str
    url: str
    reason: str
    disabled_at: datetime


def endpoint_id_of(url: str) -> str:
    """Return what an address is found by: long ones are no key."""
    return sha256(url.encode(errors="replace")).hexdigest()


async def is_disabled(connection: AsyncConnection, tenant_id: str, url: str) -> bool:
    found = select(endpoints.c.url_sha256).where(_one(tenant_id, endpoint_id_of(url)))
    return await connection.scalar(found) is not None


async def disable(
    connection: AsyncConnection, tenant_id: str, url: str, reason: str, at: datetime
) -> None:
    """Leave an address alone from now on. Run again from the start if somebody else just did."""
    if not await is_disabled(connection, tenant_id, url):
        await connection.execute(
            insert(endpoints).values(
                tenant_id=tenant_id,
                url_sha256=endpoint_id_of(url),
                url=url,
                reason=reason,
                disabled_at=at,
            )
        )


async def enable(connection: AsyncConnection, tenant_id: str, endpoint_id: str) -> str | None:
    """Forget that an address is disabled; return its URL, or None if it was not."""
    forgotten = delete(endpoints).where(_one(tenant_id, endpoint_id)).returning(endpoints.c.url)
    url: str | None = await connection.scalar(forgotten)
    return url


async def enable_those(
    connection: AsyncConnection, tenant_id: str, urls: Select[tuple[str]]
) -> None:
    """Forget of every address that a query finds that it is disabled."""
    mine = and_(endpoints.c.tenant_id == tenant_id, endpoints.c.url.in_(urls))
    await connection.execute(delete(endpoints).where(mine))


async def listed(connection: AsyncConnection, tenant_id: str) -> list[Endpoint]:
    """Return the disabled addresses, the newest first."""
    statement = (
        select(endpoints.c.url_sha256, endpoints.c.url, endpoints.c.reason, endpoints.c.disabled_at)
        .where(endpoints.c.tenant_id == tenant_id)
        .order_by(endpoints.c.disabled_at.desc(), endpoints.c.url)
    )
    return [Endpoint(*row) for row in await connection.execute(statement)]


def _one(tenant_id: str, endpoint_id: str) -> ColumnElement[bool]:
    return and_(endpoints.c.tenant_id == tenant_id, endpoints.c.url_sha256 == endpoint_id)
