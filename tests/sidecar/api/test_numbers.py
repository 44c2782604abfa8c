"""Numbers over HTTP: given to bots, found by any spelling, no two tenants with the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from sidecar.store.database import Database
from tests.fakes.control_plane import BOT
from tests.fakes.sidecar_app import SidecarApp, running_app
from tests.sidecar.api.test_trunks import TRUNK, code_of, key_of_other_tenant

NUMBER = "+919876543210"


@pytest.fixture
async def desk(sqlite: Database, tmp_path: Path) -> AsyncIterator[SidecarApp]:
    """The application, at home in India, with one bot."""
    async with running_app(sqlite, tmp_path, default_country="IN") as app:
        async with app.operator() as operator:
            await operator.post("/api/v1/bots", json=BOT)
        yield app


def without_times(response: httpx.Response) -> dict[str, object]:
    shown = dict(response.json())
    assert shown.pop("created_at") <= shown.pop("updated_at")
    return shown


async def test_number_is_given_read_moved_and_freed(desk: SidecarApp) -> None:
    async with desk.operator() as operator:
        made = await operator.post(
            "/api/v1/numbers", json={"number": "098765 43210", "bot_id": "desk"}
        )
        assert made.status_code == 201
        assert without_times(made) == {"number": NUMBER, "bot_id": "desk", "trunk_id": None}
        assert (await operator.get("/api/v1/numbers/9876543210")).json() == made.json()
        await operator.post("/api/v1/trunks", json=TRUNK)
        moved = await operator.put(f"/api/v1/numbers/{NUMBER}", json={"trunk_id": "ST_twilio"})
        assert moved.status_code == 200
        assert without_times(moved) == {
            "number": NUMBER, "bot_id": None, "trunk_id": "ST_twilio",
        }  # fmt: skip
        listed = (await operator.get("/api/v1/numbers")).json()
        assert listed == {"numbers": [moved.json()]}
        assert (await operator.delete("/api/v1/numbers/919876543210")).status_code == 204
        for gone in (
            await operator.get(f"/api/v1/numbers/{NUMBER}"),
            await operator.delete(f"/api/v1/numbers/{NUMBER}"),
        ):
            assert code_of(gone) == (404, "number_unknown")


async def test_put_makes_a_number_that_is_not_there(desk: SidecarApp) -> None:
    async with desk.operator() as operator:
        made = await operator.put("/api/v1/numbers/Demo", json={"bot_id": "desk"})
        again = await operator.put("/api/v1/numbers/DEMO", json={"bot_id": "desk"})
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["number"] == again.json()["number"] == "demo"


async def test_number_somebody_has_is_taken_in_every_spelling(
    desk: SidecarApp, sqlite: Database
) -> None:
    foreign = await key_of_other_tenant(sqlite)
    async with desk.operator() as operator, desk.operator(foreign) as other:
        for number in (NUMBER, "+15550100", "1001", "demo"):
            await operator.post("/api/v1/numbers", json={"number": number})
        for number in ("09876543210", "15550100", "+1001", "DEMO"):
            again = await operator.post("/api/v1/numbers", json={"number": number})
            theirs = await other.post("/api/v1/numbers", json={"number": number})
            put = await other.put(f"/api/v1/numbers/{number}", json={})
            for answer in (again, theirs, put):
                assert code_of(answer) == (409, "number_taken")
        assert (await other.get("/api/v1/numbers")).json() == {"numbers": []}
        assert code_of(await other.get(f"/api/v1/numbers/{NUMBER}")) == (404, "number_unknown")
        assert code_of(await other.delete(f"/api/v1/numbers/{NUMBER}")) == (404, "number_unknown")
        assert (await operator.get(f"/api/v1/numbers/{NUMBER}")).status_code == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"number": "no number!"}, (422, "body_invalid")),
        ({"number": ""}, (422, "body_invalid")),
        ({"number": "1" * 5000}, (422, "body_invalid")),
        ({}, (422, "body_invalid")),
        ({"number": NUMBER, "surprise": 1}, (422, "body_invalid")),
        ({"number": NUMBER, "bot_id": 7}, (422, "body_invalid")),
        ({"number": NUMBER, "bot_id": "nobody"}, (404, "bot_unknown")),
        ({"number": NUMBER, "trunk_id": "nobody"}, (404, "trunk_unknown")),
    ],
)
async def test_number_that_makes_no_sense_is_refused(
    desk: SidecarApp, body: dict[str, object], expected: tuple[int, str]
) -> None:
    async with desk.operator() as operator:
        assert code_of(await operator.post("/api/v1/numbers", json=body)) == expected
        assert (await operator.get("/api/v1/numbers")).json() == {"numbers": []}


async def test_bots_of_an_external_api_are_not_looked_for(sqlite: Database, tmp_path: Path) -> None:
    body = {"number": NUMBER, "bot_id": "theirs"}
    url = "https://api.example/config"
    async with (
        running_app(sqlite, tmp_path, config_url=url) as sidecar,
        sidecar.operator() as operator,
    ):
        assert (await operator.post("/api/v1/numbers", json=body)).status_code == 201


async def test_key_for_some_bots_sees_their_numbers_and_changes_none(desk: SidecarApp) -> None:
    async with desk.operator() as operator:
        await operator.post("/api/v1/numbers", json={"number": NUMBER, "bot_id": "desk"})
        await operator.post("/api/v1/numbers", json={"number": "1001"})
        key = await operator.post("/api/v1/api-keys", json={"name": "k", "bot_ids": ["desk"]})
    async with desk.operator(key.json()["key"]) as reader:
        listed = (await reader.get("/api/v1/numbers")).json()["numbers"]
        assert [each["number"] for each in listed] == [NUMBER]
        assert (await reader.get(f"/api/v1/numbers/{NUMBER}")).status_code == 200
        assert code_of(await reader.get("/api/v1/numbers/1001")) == (404, "number_unknown")
        for refused in (
            await reader.post("/api/v1/numbers", json={"number": "1002"}),
            await reader.put(f"/api/v1/numbers/{NUMBER}", json={}),
            await reader.delete(f"/api/v1/numbers/{NUMBER}"),
        ):
            assert code_of(refused) == (403, "forbidden")
