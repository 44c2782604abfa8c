"""The family's look-ups: whose a number is, by which trunk to dial; exact bodies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar.store import trunks
from sidecar.store.database import Database
from tests.fakes.control_plane import BOT
from tests.fakes.sidecar_app import SidecarApp, running_app
from tests.sidecar.api.test_trunks import TRUNK

NUMBER = "+919876543210"
OWN = {"kind": "bridge", "cps": 2.5, "channels": 7}


@pytest.fixture
async def desk(sqlite: Database, tmp_path: Path) -> AsyncIterator[SidecarApp]:
    """The application with a bot, its number, and a trunk."""
    async with running_app(sqlite, tmp_path, default_country="IN") as app:
        async with app.operator() as operator:
            await operator.post("/api/v1/bots", json=BOT)
            await operator.post("/api/v1/trunks", json={**TRUNK, **OWN})
            assigned = {"bot_id": "desk", "trunk_id": "ST_twilio"}
            await operator.put(f"/api/v1/numbers/{NUMBER}", json=assigned)
            await operator.put("/api/v1/numbers/1001", json={})
        yield app


async def asked(desk: SidecarApp, path: str, secret: str = "s3cret") -> tuple[int, Any]:
    async with desk.http(X_VoxCore_Secret=secret) as http:
        answer: httpx.Response = await http.get(f"/api/v1/sip/{path}")
    return answer.status_code, answer.json()


@pytest.mark.parametrize("number", ["%2B919876543210", "+919876543210", "09876543210"])
async def test_number_leads_to_its_bot(desk: SidecarApp, number: str) -> None:
    assert await asked(desk, f"lookup?number={number}") == (
        200, {"bot_id": "desk", "carrier_id": "ST_twilio", "did_id": NUMBER},
    )  # fmt: skip


@pytest.mark.parametrize("query", ["?number=1001", "?number=%2B15550100", "?number=", ""])
async def test_number_without_a_bot_is_not_found(desk: SidecarApp, query: str) -> None:
    status, body = await asked(desk, f"lookup{query}")
    assert (status, body["error"]["code"]) == (404, "number_unknown")


async def test_trunk_is_chosen_by_its_number_or_any(desk: SidecarApp, sqlite: Database) -> None:
    limits = {"cps": 2.5, "burst": 5, "channels": 7}
    shown = {"trunk_id": "ST_twilio", "number": "+14155550100", **limits}
    for query in ("?from_number=%2B14155550100", "?from_number=+14155550100", ""):
        assert await asked(desk, f"outbound-trunk{query}") == (200, shown)
    async with sqlite.transaction() as connection:
        row = await trunks.get(connection, "default", "ST_twilio")
        assert row is not None
        await trunks.save(connection, replace(row, outbound_id="ST_livekit"))
    assert await asked(desk, "outbound-trunk") == (200, {**shown, "trunk_id": "ST_livekit"})


async def test_trunk_that_is_not_there_is_not_found(desk: SidecarApp) -> None:
    status, body = await asked(desk, "outbound-trunk?from_number=%2B14155550199")
    assert (status, body["error"]["code"]) == (404, "trunk_unknown")
    async with desk.operator() as operator:
        await operator.put("/api/v1/trunks/ST_twilio", json={**TRUNK, **OWN, "is_active": False})
    status, body = await asked(desk, "outbound-trunk")
    assert (status, body["error"]["code"]) == (404, "trunk_unknown")


@pytest.mark.parametrize("path", ["lookup?number=1001", "outbound-trunk"])
async def test_secret_is_asked_for_first(desk: SidecarApp, path: str) -> None:
    status, body = await asked(desk, path, "wrong")
    assert (status, body["error"]["code"]) == (403, "secret_wrong")
