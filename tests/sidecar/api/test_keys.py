"""API keys over HTTP: shown once, scoped, switched off, expired."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.fakes.control_plane import BOT
from tests.fakes.sidecar_app import SidecarApp


async def make_key(sidecar: SidecarApp, **wanted: Any) -> dict[str, Any]:
    async with sidecar.operator() as operator:
        response = await operator.post("/api/v1/api-keys", json={"name": "CRM", **wanted})
    assert response.status_code == 201
    made: dict[str, Any] = response.json()
    return made


async def status(sidecar: SidecarApp, key: str, path: str = "/api/v1/calls") -> tuple[int, str]:
    async with sidecar.operator(key) as client:
        response = await client.get(path)
    body = response.json()
    return response.status_code, body["error"]["code"] if "error" in body else ""


async def test_key_is_shown_once(sidecar: SidecarApp) -> None:
    made = await make_key(sidecar)
    assert made["key"].startswith("vx_")
    assert len(made["key"]) == 35
    assert made["key_prefix"] == made["key"][:7]
    async with sidecar.operator() as operator:
        (listed,) = (await operator.get("/api/v1/api-keys")).json()["api_keys"]
    assert "key" not in listed
    assert made["key"] not in str(listed)


async def test_key_opens_until_it_is_switched_off(sidecar: SidecarApp) -> None:
    made = await make_key(sidecar)
    assert await status(sidecar, made["key"]) == (200, "")
    path = f"/api/v1/api-keys/{made['key_id']}"
    async with sidecar.operator() as operator:
        changed = (await operator.patch(path, json={"is_active": False})).json()
        assert (changed["is_active"], changed["name"]) == (False, "CRM")
        assert changed["last_used_at"] is not None
        assert await status(sidecar, made["key"]) == (403, "key_inactive")
        assert (await operator.patch(path, json={})).json() == changed
        assert (await operator.delete(path)).status_code == 204
        assert (await operator.delete(path)).status_code == 404
        assert (await operator.patch(path, json={"name": "x"})).status_code == 404
    assert await status(sidecar, made["key"]) == (401, "key_invalid")


async def test_expired_key_is_refused(sidecar: SidecarApp) -> None:
    made = await make_key(sidecar, expires_at="2020-01-01T00:00:00Z")
    assert await status(sidecar, made["key"]) == (403, "key_inactive")


@pytest.mark.parametrize("key", ["", "vx_wrong"])
async def test_missing_or_unknown_key_is_refused(sidecar: SidecarApp, key: str) -> None:
    assert await status(sidecar, key) == (401, "key_invalid")


async def test_only_admin_keys_administer(sidecar: SidecarApp) -> None:
    plain, admin = await make_key(sidecar), await make_key(sidecar, is_admin=True)
    assert await status(sidecar, plain["key"], "/api/v1/api-keys") == (403, "forbidden")
    assert await status(sidecar, admin["key"], "/api/v1/api-keys") == (200, "")
    async with sidecar.operator(plain["key"]) as client:
        assert (await client.post("/api/v1/bots", json=BOT)).status_code == 403


async def test_key_scoped_to_bots_sees_those_alone(sidecar: SidecarApp) -> None:
    scoped = await make_key(sidecar, bot_ids=["desk"])
    async with sidecar.operator() as operator:
        for bot_id in ("desk", "other"):
            await operator.post("/api/v1/bots", json={**BOT, "bot_id": bot_id})
    async with sidecar.operator(scoped["key"]) as client:
        listed = (await client.get("/api/v1/bots")).json()["bots"]
        hidden: httpx.Response = await client.get("/api/v1/bots/other")
        history = await client.get("/api/v1/bots/other/versions")
    assert [bot["bot_id"] for bot in listed] == ["desk"]
    assert (hidden.status_code, history.status_code) == (404, 404)


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x", "colour": "red"}])
async def test_bad_wish_for_a_key_is_refused(sidecar: SidecarApp, body: dict[str, str]) -> None:
    async with sidecar.operator() as operator:
        assert (await operator.post("/api/v1/api-keys", json=body)).status_code == 422
