"""Trunks over HTTP: CRUD, secrets masked or referenced, addresses guarded, tenants apart."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from contracts.trunk import Trunk
from sidecar.access import new_key
from sidecar.secrecy import MASK
from sidecar.store import keys, tables, trunks
from sidecar.store.database import Database
from sidecar.store.trunks import TrunkRow
from tests.fakes.sidecar_app import SidecarApp, running_app

TRUNK: dict[str, Any] = {
    "trunk_id": "ST_twilio",
    "name": "Twilio",
    "service": "twilio",
    "address": "127.0.0.1:5061",
    "transport": "tls",
    "numbers": ["+14155550100"],
    "username": "voice",
    "password": "hush",
    "headers": {"X-Account": "a1"},
}
AT = datetime(2026, 6, 5, 10, 0, tzinfo=UTC)


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def test_trunk_is_made_read_changed_and_removed(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        made = await operator.post("/api/v1/trunks", json=TRUNK)
        assert made.status_code == 201
        shown = made.json()
        times = {name: shown.pop(name) for name in ("created_at", "updated_at")}
        assert all(datetime.fromisoformat(at).tzinfo for at in times.values())
        assert shown == {
            **Trunk(**TRUNK).model_dump(mode="json"),
            "password": MASK,
            "headers": {"X-Account": MASK},
            "lk_sync_status": "pending",
            "lk_sync_error": None,
        }
        changed = await operator.put("/api/v1/trunks/ST_twilio", json={**TRUNK, "channels": 3})
        assert (changed.status_code, changed.json()["channels"]) == (200, 3)
        listed = (await operator.get("/api/v1/trunks")).json()["trunks"]
        assert [trunk["channels"] for trunk in listed] == [3]
        assert (await operator.delete("/api/v1/trunks/ST_twilio")).status_code == 204
        for gone in (
            await operator.get("/api/v1/trunks/ST_twilio"),
            await operator.put("/api/v1/trunks/ST_twilio", json=TRUNK),
            await operator.delete("/api/v1/trunks/ST_twilio"),
        ):
            assert code_of(gone) == (404, "trunk_unknown")


async def test_trunk_without_an_id_is_given_one(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        made = await operator.post("/api/v1/trunks", json={**TRUNK, "trunk_id": ""})
        other = await operator.post("/api/v1/trunks", json={"name": "inbound only"})
    assert made.json()["trunk_id"].startswith("ST_")
    assert made.json()["trunk_id"] != other.json()["trunk_id"]


async def test_post_of_a_known_trunk_is_a_conflict(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        await operator.post("/api/v1/trunks", json=TRUNK)
        assert code_of(await operator.post("/api/v1/trunks", json=TRUNK)) == (409, "trunk_exists")


async def test_masked_secrets_keep_their_values_and_others_replace_them(
    sidecar: SidecarApp, sqlite: Database
) -> None:
    async with sidecar.operator() as operator:
        shown = (await operator.post("/api/v1/trunks", json=TRUNK)).json()
        config = {name: shown[name] for name in Trunk.model_fields}
        await operator.put("/api/v1/trunks/ST_twilio", json={**config, "name": "Renamed"})
        kept = await stored(sqlite, "ST_twilio")
        assert (kept.name, kept.password, kept.headers) == ("Renamed", "hush", {"X-Account": "a1"})
        await operator.put("/api/v1/trunks/ST_twilio", json={**config, "password": "new"})
    assert (await stored(sqlite, "ST_twilio")).password == "new"


async def test_reference_is_shown_and_has_to_lead_somewhere(
    sqlite: Database, tmp_path: Path
) -> None:
    (tmp_path / "carrier").write_text("hush")
    named = {**TRUNK, "password": "secret://carrier"}
    async with (
        running_app(sqlite, tmp_path, secrets_dir=tmp_path) as sidecar,
        sidecar.operator() as operator,
    ):
        made = await operator.post("/api/v1/trunks", json=named)
        lost = await operator.put(
            "/api/v1/trunks/ST_twilio", json={**named, "password": "secret://nobody"}
        )
    assert made.json()["password"] == "secret://carrier"
    assert code_of(lost) == (422, "body_invalid")
    [error] = lost.json()["error"]["details"]["errors"]
    assert error["loc"] == ["password"]
    assert (await stored(sqlite, "ST_twilio")).password == "secret://carrier"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\r\nVia: x"}, "name"),
        ({"trunk_id": "../x"}, "trunk_id"),
        ({"trunk_id": "x" * 65}, "trunk_id"),
        ({"address": "sip:carrier.example"}, "address"),
        ({"address": "carrier.example:99999"}, "address"),
        ({"address": "carrier.example\r\nVia: x"}, "address"),
        ({"domain": "a b"}, "domain"),
        ({"address": "carrier.example;transport=tls"}, "address"),
        ({"kind": "bridge", "address": "carrier.example;maddr=127.0.0.1"}, "address"),
        ({"numbers": ["+1415", "not a number!"]}, "numbers"),
        ({"numbers": ["tel:+14155550100"]}, "numbers"),
        ({"numbers": ["sip:desk@evil.example>;x"]}, "numbers"),
        ({"username": "a\nb"}, "username"),
        ({"password": "a\nb"}, "password"),
        ({"inbound_addresses": ["300.0.0.1"]}, "inbound_addresses"),
        ({"channels": 0}, "channels"),
        ({"cps": 101}, "cps"),
        ({"kind": "carrier pigeon"}, "kind"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_trunk_that_cannot_be_used_is_refused_with_the_field(
    sidecar: SidecarApp, change: dict[str, Any], field: str
) -> None:
    async with sidecar.operator() as operator:
        refused = await operator.post("/api/v1/trunks", json={**TRUNK, **change})
    assert code_of(refused) == (422, "body_invalid")
    [error] = refused.json()["error"]["details"]["errors"]
    assert error["loc"][0] == field
    assert "hush" not in refused.text


async def test_address_of_the_own_bridges_may_name_its_transport(sidecar: SidecarApp) -> None:
    address = "127.0.0.1:5070;transport=tcp"
    async with sidecar.operator() as operator:
        trunk = {**TRUNK, "kind": "bridge", "address": address}
        made = await operator.post("/api/v1/trunks", json=trunk)
    assert (made.status_code, made.json()["address"]) == (201, address)


async def test_private_address_is_allowed_unless_told_otherwise(
    sqlite: Database, tmp_path: Path
) -> None:
    async with (
        running_app(sqlite, tmp_path, allow_private_trunks=False) as sidecar,
        sidecar.operator() as operator,
    ):
        refused = await operator.post("/api/v1/trunks", json=TRUNK)
        v6 = await operator.post("/api/v1/trunks", json={**TRUNK, "address": "[::1]:5060"})
        public = await operator.post("/api/v1/trunks", json={**TRUNK, "address": "9.9.9.9"})
    for answer in (refused, v6):
        assert code_of(answer) == (422, "body_invalid")
        [error] = answer.json()["error"]["details"]["errors"]
        assert error["loc"] == ["address"]
    assert public.status_code == 201


async def test_trunk_that_numbers_refer_to_stays(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        await operator.post("/api/v1/trunks", json=TRUNK)
        await operator.put("/api/v1/numbers/+14155550100", json={"trunk_id": "ST_twilio"})
        kept = await operator.delete("/api/v1/trunks/ST_twilio")
        assert code_of(kept) == (409, "trunk_in_use")
        assert kept.json()["error"]["details"] == {"numbers": 1, "live_calls": 0}
        await operator.delete("/api/v1/numbers/+14155550100")
        assert (await operator.delete("/api/v1/trunks/ST_twilio")).status_code == 204


async def test_state_at_livekit_is_shown(sqlite: Database, tmp_path: Path) -> None:
    async with (
        running_app(sqlite, tmp_path, managed_sip=False) as sidecar,
        sidecar.operator() as operator,
    ):
        await operator.post("/api/v1/trunks", json=TRUNK)
        for state, sha256, error in (("ok", "0" * 64, None), ("error", "0" * 64, "no such host")):
            async with sqlite.transaction() as connection:
                found = await trunks.get(connection, "default", "ST_twilio")
                assert found is not None
                row = TrunkRow(
                    "ST_twilio", "default", found.trunk, AT, AT,
                    synced_sha256=sha256, sync_error=error,
                )  # fmt: skip
                await trunks.save(connection, row)
            shown = (await operator.get("/api/v1/trunks/ST_twilio")).json()
            assert (shown["lk_sync_status"], shown["lk_sync_error"]) == (state, error)
        changed = await operator.put("/api/v1/trunks/ST_twilio", json=TRUNK)
        assert changed.json()["lk_sync_status"] == "pending"
        own = await operator.post("/api/v1/trunks", json={"name": "own", "kind": "bridge"})
    assert own.json()["lk_sync_status"] is None


async def test_tenants_see_their_own_trunks_alone(sidecar: SidecarApp, sqlite: Database) -> None:
    foreign = await key_of_other_tenant(sqlite)
    async with sidecar.operator() as operator, sidecar.operator(foreign) as other:
        await operator.post("/api/v1/trunks", json=TRUNK)
        assert (await other.get("/api/v1/trunks")).json() == {"trunks": []}
        for answer in (
            await other.get("/api/v1/trunks/ST_twilio"),
            await other.put("/api/v1/trunks/ST_twilio", json=TRUNK),
            await other.delete("/api/v1/trunks/ST_twilio"),
        ):
            assert code_of(answer) == (404, "trunk_unknown")
        assert code_of(await other.post("/api/v1/trunks", json=TRUNK)) == (409, "trunk_exists")


async def test_only_administrators_see_trunks(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        key = await operator.post("/api/v1/api-keys", json={"name": "k"})
    async with sidecar.operator(key.json()["key"]) as reader:
        assert code_of(await reader.get("/api/v1/trunks")) == (403, "forbidden")
        assert code_of(await reader.post("/api/v1/trunks", json=TRUNK)) == (403, "forbidden")
    async with sidecar.http() as anybody:
        assert code_of(await anybody.get("/api/v1/trunks")) == (401, "key_invalid")


async def stored(database: Database, trunk_id: str) -> Trunk:
    async with database.read() as connection:
        row = await trunks.get(connection, "default", trunk_id)
    assert row is not None
    return row.trunk


async def key_of_other_tenant(database: Database) -> str:
    text, row = new_key("other", "k-other", "k", bot_ids=(), is_admin=True, expires_at=None, at=AT)
    tenant = insert(tables.tenants).values(tenant_id="other", name="Other", created_at=AT)
    async with database.transaction() as connection:
        await connection.execute(tenant)
        await keys.add(connection, row)
    return text
