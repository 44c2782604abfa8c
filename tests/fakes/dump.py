"""Everything a database holds, as text to search."""

from __future__ import annotations

from collections.abc import Container

from pydantic_core import to_json
from sqlalchemy import select

from sidecar.store.database import Database
from sidecar.store.schema import metadata


async def dump(database: Database, *, without: Container[str] = ()) -> str:
    """Return every row of every table but some, a line each."""
    lines: list[str] = []
    async with database.read() as connection:
        for name, table in metadata.tables.items():
            if name not in without:
                rows = (await connection.execute(select(table))).mappings()
                lines += [f"{name} {to_json(dict(row)).decode()}" for row in rows]
    return "\n".join(lines)
