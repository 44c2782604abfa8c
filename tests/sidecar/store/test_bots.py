"""Bots and versions, on both databases."""

from __future__ import annotations

from datetime import timedelta

from sidecar.store import bots
from sidecar.store.database import Database
from tests.fakes.control_plane import START

T = "default"


async def test_every_save_is_a_version(database: Database) -> None:
    later = START + timedelta(hours=1)
    async with database.transaction() as connection:
        assert await bots.save(connection, T, "desk", {"name": "One"}, START) == 1
        assert await bots.save(connection, T, "desk", {"name": "Two"}, later) == 2
    async with database.read() as connection:
        bot = await bots.get(connection, T, "desk")
        assert await bots.versions(connection, T, "desk") == [(2, later), (1, START)]
    assert bot is not None
    assert (bot.version, bot.config) == (2, {"name": "Two"})
    assert (bot.created_at, bot.updated_at) == (START, later)


async def test_tenants_may_use_the_same_id_and_see_only_their_own(database: Database) -> None:
    async with database.transaction() as connection:
        await bots.save(connection, T, "desk", {"name": "Ours"}, START)
        await bots.save(connection, "other", "desk", {"name": "Theirs"}, START)
        ours = await bots.listed(connection, T)
        assert await bots.remove(connection, "other", "desk")
        assert await bots.listed(connection, "other") == []
    assert [bot.config["name"] for bot in ours] == ["Ours"]


async def test_listed_keeps_to_the_bots_a_key_may_see(database: Database) -> None:
    async with database.transaction() as connection:
        for bot_id in ("a", "b", "c"):
            await bots.save(connection, T, bot_id, {}, START)
        found = await bots.listed(connection, T, ["c", "a", "unknown"])
    assert [bot.bot_id for bot in found] == ["a", "c"]


async def test_remove_takes_all_versions(database: Database) -> None:
    async with database.transaction() as connection:
        await bots.save(connection, T, "desk", {}, START)
        assert await bots.remove(connection, T, "desk")
        assert not await bots.remove(connection, T, "desk")
        assert await bots.get(connection, T, "desk") is None
        assert await bots.versions(connection, T, "desk") == []
        assert await bots.save(connection, T, "desk", {}, START) == 1
