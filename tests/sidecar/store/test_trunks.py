"""Stored trunks, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from contracts.trunk import Trunk
from sidecar.store import trunk_tokens, trunks
from sidecar.store.database import Database
from sidecar.store.trunks import TrunkRow
from tests.fakes.control_plane import START

TRUNK = Trunk(
    trunk_id="ST_1",
    name="Twilio",
    address="sip.example",
    numbers=["+14155550100"],
    password="secret://twilio",
    inbound_addresses=["192.0.2.0/24"],
    headers={"X-A": "1"},
    cps=2.5,
)
ROW = TrunkRow("ST_1", "default", TRUNK, START, START)
OWN = TrunkRow(
    "ST_2", "default", Trunk(trunk_id="ST_2", name="own", kind="bridge"),
    START + timedelta(seconds=1), START,
)  # fmt: skip
THEIRS = TrunkRow("ST_3", "other", Trunk(trunk_id="ST_3", name="theirs"), START, START)


async def test_trunk_reads_back_as_it_was_written_and_changed(database: Database) -> None:
    changed = replace(
        ROW,
        trunk=TRUNK.model_copy(update={"channels": 3, "kind": "bridge"}),
        updated_at=START + timedelta(seconds=1),
        inbound_id="ST_in",
        outbound_id="ST_out",
        rule_id="SDR_1",
        synced_sha256="0" * 64,
        sync_error="no such host",
    )
    async with database.transaction() as connection:
        await trunks.add(connection, ROW)
        assert await trunks.get(connection, "default", "ST_1") == ROW
        await trunks.save(connection, changed)
        assert await trunks.get(connection, "default", "ST_1") == changed
        assert await trunks.of_kind(connection, "bridge") == [changed]


async def test_tokens_taken_while_a_trunk_is_changed_stay_taken(database: Database) -> None:
    async with database.transaction() as connection:
        await trunks.add(connection, ROW)
        seen = await trunks.get(connection, "default", "ST_1")
        assert seen is not None
        await trunk_tokens.keep(connection, "default", "ST_1", 1.5, START)
        await trunks.save(connection, replace(seen, sync_error="no such host"))
        now = replace(ROW, sync_error="no such host", tokens=1.5, tokens_at=START)
        assert await trunks.get(connection, "default", "ST_1") == now


async def test_trunk_is_known_by_livekits_names_too(database: Database) -> None:
    named = replace(ROW, inbound_id="ST_in", outbound_id="ST_out")
    async with database.transaction() as connection:
        await trunks.add(connection, named)
        for name in ("ST_1", "ST_in", "ST_out"):
            assert await trunks.known_as(connection, "default", name) == named
            assert await trunks.known_as(connection, "other", name) is None
        assert await trunks.known_as(connection, "default", "SDR_1") is None


async def test_tenants_have_trunks_of_their_own(database: Database) -> None:
    async with database.transaction() as connection:
        for row in (OWN, THEIRS, ROW):
            await trunks.add(connection, row)
        assert await trunks.listed(connection, "default") == [ROW, OWN]
        assert await trunks.listed(connection, "default", kind="bridge") == [OWN]
        assert await trunks.listed(connection, "other") == [THEIRS]
        assert await trunks.of_kind(connection, "managed") == [ROW, THEIRS]
        assert await trunks.get(connection, "other", "ST_1") is None
        await trunks.save(connection, replace(ROW, tenant_id="other", sync_error="x"))
        assert not await trunks.remove(connection, "other", "ST_1")
        assert await trunks.get(connection, "default", "ST_1") == ROW
        assert await trunks.remove(connection, "default", "ST_1")
        assert await trunks.listed(connection, "default") == [OWN]
