"""Disabled addresses, on both databases."""

from __future__ import annotations

from datetime import timedelta

from sidecar.store import endpoints
from sidecar.store.database import Database
from sidecar.store.endpoints import Endpoint, endpoint_id_of
from tests.fakes.control_plane import START

T = "default"
URL = "https://crm.example/results"
LONG = "https://crm.example/?" + "x" * 10_000


async def disable(database: Database, url: str, tenant_id: str = T, after_s: float = 0) -> None:
    async with database.transaction() as connection:
        at = START + timedelta(seconds=after_s)
        await endpoints.disable(connection, tenant_id, url, "status 410", at)


async def test_disabled_is_one_address_of_one_tenant(database: Database) -> None:
    await disable(database, URL)
    async with database.read() as connection:
        assert await endpoints.is_disabled(connection, T, URL)
        assert not await endpoints.is_disabled(connection, T, f"{URL}/")
        assert not await endpoints.is_disabled(connection, "else", URL)


async def test_listed_newest_first_and_the_first_word_stays(database: Database) -> None:
    await disable(database, URL)
    await disable(database, LONG, after_s=1)
    await disable(database, URL, after_s=2)
    await disable(database, URL, "else")
    async with database.read() as connection:
        assert await endpoints.listed(connection, T) == [
            Endpoint(endpoint_id_of(LONG), LONG, "status 410", START + timedelta(seconds=1)),
            Endpoint(endpoint_id_of(URL), URL, "status 410", START),
        ]


async def test_enabled_once(database: Database) -> None:
    await disable(database, URL)
    async with database.transaction() as connection:
        assert await endpoints.enable(connection, "else", endpoint_id_of(URL)) is None
        assert await endpoints.enable(connection, T, endpoint_id_of(URL)) == URL
        assert await endpoints.enable(connection, T, endpoint_id_of(URL)) is None
        assert not await endpoints.is_disabled(connection, T, URL)
