"""A tenant's keys with vendors over HTTP: kept, masked, and used by bots that bring none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.secrecy import MASK
from sidecar.store import vendor_keys
from sidecar.store.database import Database
from tests.fakes.sidecar_app import SidecarApp, running_app

PATH = "/api/v1/vendor-keys"
BOT: dict[str, Any] = {"bot_id": "b", "llm": {"provider": "openai", "model": "m"}}


@pytest.fixture
async def sidecar(sqlite: Database, tmp_path: Path) -> AsyncIterator[SidecarApp]:
    """The application, with a folder of secrets."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "llm").write_text("sk-from-a-file\n")
    async with running_app(sqlite, tmp_path, secrets_dir=secrets) as app:
        yield app


async def test_key_is_kept_and_masked(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        made = await operator.put(f"{PATH}/openai", json={"api_key": "sk-secret"})
        assert (made.status_code, made.json()["api_key"]) == (201, MASK)
        # What was read may be sent back: a mask keeps what it hides.
        again = await operator.put(f"{PATH}/openai", json={"api_key": MASK})
        assert again.status_code == 200
        assert (await operator.get(f"{PATH}/openai")).json() == again.json()
        assert (await operator.get(PATH)).json() == {"vendor_keys": [again.json()]}
        assert (await operator.delete(f"{PATH}/openai")).status_code == 204
        for response in (
            await operator.delete(f"{PATH}/openai"),
            await operator.get(f"{PATH}/openai"),
        ):
            assert response.status_code == 404
            assert response.json()["error"]["code"] == "key_unknown"


async def test_key_of_a_service_account_is_kept_as_one_line(
    sidecar: SidecarApp, sqlite: Database
) -> None:
    key = {"type": "service_account", "private_key": "-----BEGIN\n"}
    async with sidecar.operator() as operator:
        body = {"api_key": json.dumps(key, indent=2)}
        made = await operator.put(f"{PATH}/google_vertex", json=body)
    assert made.json()["api_key"] == MASK
    async with sqlite.read() as connection:
        [row] = await vendor_keys.listed(connection, "default")
    assert row.api_key == json.dumps(key)


async def test_reference_is_shown_as_it_is(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        made = await operator.put(f"{PATH}/openai", json={"api_key": "secret://llm"})
    assert made.json()["api_key"] == "secret://llm"


@pytest.mark.parametrize(
    ("provider", "body", "field"),
    [
        ("offline", {"api_key": "k"}, "provider"),
        ("nobody", {"api_key": "k"}, "provider"),
        ("openai", {"api_key": ""}, "api_key"),
        ("openai", {"api_key": MASK}, "api_key"),
        ("openai", {"api_key": "a\nb"}, "api_key"),
        ("openai", {"api_key": "secret://none"}, "api_key"),
        ("openai", {"api_key": "k", "more": 1}, "more"),
        ("openai", {}, "api_key"),
    ],
)
async def test_what_is_no_key_is_refused(
    sidecar: SidecarApp, provider: str, body: dict[str, Any], field: str
) -> None:
    async with sidecar.operator() as operator:
        refused = await operator.put(f"{PATH}/{provider}", json=body)
    assert refused.status_code == 422
    assert refused.json()["error"]["code"] == "body_invalid"
    [error] = refused.json()["error"]["details"]["errors"]
    assert error["loc"] == [field]


async def test_bot_that_brings_no_key_is_saved_once_its_tenant_keeps_one(
    sidecar: SidecarApp,
) -> None:
    async with sidecar.operator() as operator:
        refused = await operator.post("/api/v1/bots", json=BOT)
        [error] = refused.json()["error"]["details"]["errors"]
        assert (error["loc"], error["msg"]) == (["llm", "api_key"], "required by openai")
        await operator.put(f"{PATH}/openai", json={"api_key": "sk-secret"})
        saved = await operator.post("/api/v1/bots", json=BOT)
    assert saved.status_code == 201
    assert saved.json()["config"] == BOT


async def test_only_administrators_may(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        made = await operator.post("/api/v1/api-keys", json={"name": "CRM"})
    async with sidecar.operator(made.json()["key"]) as integrator:
        for response in (
            await integrator.get(PATH),
            await integrator.get(f"{PATH}/openai"),
            await integrator.put(f"{PATH}/openai", json={"api_key": "k"}),
            await integrator.delete(f"{PATH}/openai"),
        ):
            assert response.status_code == 403


async def test_missing_secret_is_named_when_a_bot_is_saved(sidecar: SidecarApp) -> None:
    keyed = {**BOT, "llm": {**BOT["llm"], "api_key": "secret://llm"}}
    crm = {"url": "https://crm.example", "headers": {"X-Key": "secret://gone"}}
    lost = {**BOT, "llm": {**BOT["llm"], "api_key": "secret://gone"}, "crm_prefetch": crm}
    async with sidecar.operator() as operator:
        assert (await operator.post("/api/v1/bots", json=keyed)).status_code == 201
        refused = await operator.post("/api/v1/bots", json={**lost, "bot_id": "c"})
        shown = (await operator.get("/api/v1/bots/b")).json()["config"]
    errors = refused.json()["error"]["details"]["errors"]
    assert [error["loc"] for error in errors] == [
        ["llm", "api_key"],
        ["crm_prefetch", "headers", "X-Key"],
    ]
    assert all("secret://gone: there is no such secret" in error["msg"] for error in errors)
    assert shown["llm"]["api_key"] == "secret://llm"
