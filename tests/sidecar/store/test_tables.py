"""What is stored is what can be read again, on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from sidecar.store.database import Database
from sidecar.store.tables import bot_versions
from tests.fakes.control_plane import START


async def test_text_loses_nul_characters_and_json_infinities(database: Database) -> None:
    values: dict[str, Any] = {
        "tenant_id": "default",
        "bot_id": "de\x00sk",
        "version": 1,
        "config": {"late": float("inf"), "text": "a\x00b"},
        "created_at": START,
    }
    async with database.transaction() as connection:
        await connection.execute(bot_versions.insert().values(values))
        same = bot_versions.c.bot_id == "\x00desk"
        row = (await connection.execute(select(bot_versions).where(same))).one()
    assert (row.bot_id, row.config) == ("desk", {"late": None, "text": "a\x00b"})
