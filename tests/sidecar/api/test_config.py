"""`GET /api/v1/config/{bot_id}` as another runtime of the family calls it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from sidecar.store.database import Database
from tests.fakes.control_plane import BOT
from tests.fakes.sidecar_app import SidecarApp, running_app


async def add(sidecar: SidecarApp, **changes: object) -> None:
    async with sidecar.operator() as operator:
        await operator.put("/api/v1/bots/desk", json={**BOT, **changes})


async def test_config_is_rendered_under_a_session_of_its_own(sidecar: SidecarApp) -> None:
    await add(sidecar)
    event = json.dumps({"customer_name": "Sam"})
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        first, second = [
            (await http.get("/api/v1/config/desk", params={"connected_event": event})).json()
            for _ in range(2)
        ]
    assert first["opening_message"] == "Hello Sam."
    assert first["session_id"] != second["session_id"]


async def test_other_runtime_is_told_what_is_only_named_here(
    sqlite: Database, tmp_path: Path
) -> None:
    (tmp_path / "llm").write_text("sk-1")
    llm = {"provider": "openai", "model": "m", "api_key": "secret://llm"}
    async with running_app(sqlite, tmp_path, secrets_dir=tmp_path) as sidecar:
        await add(sidecar, llm=llm)
        async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
            found = (await http.get("/api/v1/config/desk")).json()
    assert found["llm"]["api_key"] == "sk-1"


async def test_malformed_event_counts_as_empty(sidecar: SidecarApp) -> None:
    await add(sidecar)
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        for malformed in ("{", "[1]", ""):
            response = await http.get("/api/v1/config/desk", params={"connected_event": malformed})
            assert response.json()["opening_message"] == "Hello {{call.customer_name}}."


async def test_closed_bot_is_a_503_in_the_familys_words(sidecar: SidecarApp) -> None:
    await add(sidecar, active_hours={"enabled": True, "days": []})
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        response = await http.get("/api/v1/config/desk")
    assert response.status_code == 503
    assert response.json()["detail"].startswith("outside_active_hours:")


async def test_unknown_and_inactive_bots_are_not_found(sidecar: SidecarApp) -> None:
    await add(sidecar, is_active=False)
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        for bot_id in ("nobody", "desk"):
            assert (await http.get(f"/api/v1/config/{bot_id}")).status_code == 404


CRM = {"url": "http://127.0.0.1/customers/{{call.customer_id}}", "token": "Bearer of-the-crm"}


@pytest.mark.parametrize(
    ("answer", "opening"),
    [
        (httpx.Response(200, json={"customer_name": "Asha"}), "Hello Asha."),
        (httpx.Response(500), "Hello {{crm.customer_name}}."),
    ],
)
async def test_crm_is_asked_before_the_config_is_rendered(
    sidecar: SidecarApp, answer: httpx.Response, opening: str
) -> None:
    sidecar.answers["/customers/42"] = answer
    await add(sidecar, opening_message="Hello {{crm.customer_name}}.", crm_prefetch=CRM)
    event = json.dumps({"customer_id": "42"})
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        response = await http.get("/api/v1/config/desk", params={"connected_event": event})
    assert response.json()["opening_message"] == opening
    assert "of-the-crm" not in response.text
    assert (await sidecar.sent_to("/customers/42")).headers["Authorization"] == "Bearer of-the-crm"
