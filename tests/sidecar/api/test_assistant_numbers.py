"""Numbers and trunks by another family's paths: its envelopes, a bearer's key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar.store.database import Database
from tests.fakes.control_plane import BOT
from tests.fakes.sidecar_app import running_app
from tests.sidecar.api.test_hostile import BODIES
from tests.sidecar.api.test_trunks import code_of, stored

NUMBER = "+919876543210"
ASSIGN: dict[str, Any] = {
    "assistant_id": "desk",
    "service": "exotel",
    "inbound_config": {"phone_number": "09876543210"},
}
SHOWN = {
    "inbound_id": NUMBER,
    "assistant_id": "desk",
    "service": "exotel",
    "phone_number": NUMBER,
    "phone_number_normalized": NUMBER,
}
EXOTEL = {
    "trunk_name": "Exotel",
    "trunk_type": "exotel",
    "trunk_config": {"exotel_number": "08047091234", "sip_host": "127.0.0.1", "sip_domain": "x.in"},
}
TWILIO = {
    "trunk_name": "Twilio",
    "trunk_type": "twilio",
    "trunk_config": {
        "address": "127.0.0.1",
        "numbers": ["+14155550100"],
        "username": "voice",
        "password": "hush",
    },
}


@pytest.fixture
async def http(sqlite: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client with an administrator's key as bearer."""
    async with (
        running_app(sqlite, tmp_path, default_country="IN") as app,
        app.http(Authorization="Bearer admin") as http,
    ):
        async with app.operator() as operator:
            await operator.post("/api/v1/bots", json={**BOT, "name": "Desk"})
        yield http


def data_of(response: httpx.Response) -> Any:
    body = response.json()
    assert response.status_code == 200
    assert body.keys() == {"success", "message", "data"}
    assert body["success"] is True
    return body["data"]


async def test_number_is_assigned_moved_detached_and_freed(http: httpx.AsyncClient) -> None:
    made = data_of(await http.post("/inbound/assign", json=ASSIGN))
    assert made == {**SHOWN, "phone_number": "09876543210"}
    again = await http.post("/inbound/assign", json=ASSIGN)
    assert code_of(again) == (409, "number_taken")
    assert isinstance(again.json()["detail"], str)
    path = f"/{made['inbound_id']}"
    detached = data_of(await http.post(f"/inbound/detach{path}"))
    assert detached == {**SHOWN, "assistant_id": None}
    moved = await http.patch(f"/inbound/update{path}", json={"assistant_id": "desk"})
    assert data_of(moved) == SHOWN
    [listed] = data_of(await http.get("/inbound/list"))
    times = {name: listed.pop(name) for name in ("created_at", "updated_at")}
    assert times["created_at"] <= times["updated_at"]
    assert listed == {**SHOWN, "assistant_name": "Desk"}
    assert data_of(await http.delete(f"/inbound/delete{path}")) == {"inbound_id": NUMBER}
    for gone in (
        await http.delete(f"/inbound/delete{path}"),
        await http.post(f"/inbound/detach{path}"),
        await http.patch(f"/inbound/update{path}", json={"assistant_id": "desk"}),
    ):
        assert code_of(gone) == (404, "number_unknown")
    assert data_of(await http.get("/inbound/list")) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"assistant_id": "nobody"}, (404, "bot_unknown")),
        ({"service": "pigeon"}, (422, "body_invalid")),
        ({"inbound_config": {"phone_number": "no number!"}}, (422, "body_invalid")),
        ({"inbound_context_strategy_id": "s1"}, (422, "body_invalid")),
    ],
)
async def test_assignment_that_makes_no_sense_is_refused(
    http: httpx.AsyncClient, changed: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert code_of(await http.post("/inbound/assign", json={**ASSIGN, **changed})) == expected


async def test_trunks_of_both_kinds_are_made(http: httpx.AsyncClient, sqlite: Database) -> None:
    made = data_of(await http.post("/sip/create-outbound-trunk", json=EXOTEL))
    assert made.keys() == {"trunk_id"}
    exotel = await stored(sqlite, made["trunk_id"])
    assert (exotel.kind, exotel.service, exotel.address) == ("bridge", "exotel", "127.0.0.1:5070")
    assert (exotel.transport, exotel.domain, exotel.numbers, exotel.number_format) == (
        "tcp", "x.in", ["08047091234"], "national",
    )  # fmt: skip
    made = data_of(await http.post("/sip/create-outbound-trunk", json=TWILIO))
    twilio = await stored(sqlite, made["trunk_id"])
    assert (twilio.kind, twilio.service, twilio.password) == ("managed", "twilio", "hush")


@pytest.mark.parametrize(
    "changed",
    [
        {"trunk_type": "pigeon"},
        {"trunk_name": ""},
        {"passthrough_mode": True},
        {"trunk_config": {"exotel_number": "1"}},
        {"trunk_config": {"exotel_number": "1", "sip_host": "a b"}},
        {"trunk_config": {"exotel_number": "1", "sip_host": "127.0.0.1", "sip_port": 0}},
        {"trunk_config": TWILIO["trunk_config"]},
    ],
)
async def test_trunk_that_makes_no_sense_is_refused(
    http: httpx.AsyncClient, changed: dict[str, Any]
) -> None:
    refused = await http.post("/sip/create-outbound-trunk", json={**EXOTEL, **changed})
    assert code_of(refused) == (422, "body_invalid")


@pytest.mark.parametrize(
    "path", ["/inbound/assign", "/sip/create-outbound-trunk", "/api/v1/numbers", "/api/v1/trunks"]
)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_hostile_body_is_refused(http: httpx.AsyncClient, path: str, body: bytes) -> None:
    headers = {"X-API-Key": "admin"}
    answer = await http.post(path, content=body, headers=headers)
    assert code_of(answer) == (422, "body_invalid")


async def test_administrators_alone_change_numbers(http: httpx.AsyncClient) -> None:
    await http.post("/inbound/assign", json=ASSIGN)
    await http.post("/api/v1/numbers", json={"number": "1001"}, headers={"X-API-Key": "admin"})
    body = {"name": "k", "bot_ids": ["desk"]}
    made = await http.post("/api/v1/api-keys", json=body, headers={"X-API-Key": "admin"})
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    [seen] = data_of(await http.get("/inbound/list", headers=headers))
    assert seen["inbound_id"] == NUMBER
    for refused in (
        await http.post("/inbound/assign", json=ASSIGN, headers=headers),
        await http.delete(f"/inbound/delete/{NUMBER}", headers=headers),
        await http.post("/sip/create-outbound-trunk", json=EXOTEL, headers=headers),
    ):
        assert code_of(refused) == (403, "forbidden")
    nobody = await http.get("/inbound/list", headers={"Authorization": "Bearer wrong"})
    assert code_of(nobody) == (401, "key_invalid")
