"""Bots over HTTP: CRUD, versions, masks, and who may."""

from __future__ import annotations

import httpx
import pytest

from tests.fakes.control_plane import BOT
from tests.fakes.sidecar_app import SidecarApp

LLM = {"provider": "openai", "model": "gpt-4.1-mini", "api_key": "sk"}


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def test_bot_is_made_read_changed_and_removed(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        made = await operator.post("/api/v1/bots", json=BOT)
        assert (made.status_code, made.json()["version"]) == (201, 1)
        changed = await operator.put("/api/v1/bots/desk", json={**BOT, "name": "Desk"})
        assert (changed.status_code, changed.json()["version"]) == (200, 2)
        assert (await operator.get("/api/v1/bots/desk")).json()["name"] == "Desk"
        listed = (await operator.get("/api/v1/bots")).json()["bots"]
        assert [bot["bot_id"] for bot in listed] == ["desk"]
        versions = (await operator.get("/api/v1/bots/desk/versions")).json()["versions"]
        assert [version["version"] for version in versions] == [2, 1]
        assert (await operator.delete("/api/v1/bots/desk")).status_code == 204
        for gone in (
            await operator.get("/api/v1/bots/desk"),
            await operator.get("/api/v1/bots/desk/versions"),
            await operator.delete("/api/v1/bots/desk"),
        ):
            assert code_of(gone) == (404, "bot_unknown")


async def test_put_makes_a_bot_that_is_not_there(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        assert (await operator.put("/api/v1/bots/new", json={})).status_code == 201


async def test_post_of_a_known_bot_is_a_conflict(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        await operator.post("/api/v1/bots", json=BOT)
        assert code_of(await operator.post("/api/v1/bots", json=BOT)) == (409, "bot_exists")


async def test_bad_config_names_what_is_wrong(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        response = await operator.post(
            "/api/v1/bots", json={"bot_id": "desk", "max_call_duration_seconds": 0}
        )
    assert code_of(response) == (422, "config_invalid")
    (error,) = response.json()["error"]["details"]["errors"]
    assert error["loc"] == ["max_call_duration_seconds"]


@pytest.mark.parametrize("bot_id", ["", "../up", "a b", "x" * 101])
async def test_bad_id_is_refused(sidecar: SidecarApp, bot_id: str) -> None:
    async with sidecar.operator() as operator:
        response = await operator.post("/api/v1/bots", json={"bot_id": bot_id})
    assert code_of(response) == (422, "config_invalid")


@pytest.mark.parametrize("body", [b"", b"{", b"[]"])
async def test_body_that_is_no_object_is_refused(sidecar: SidecarApp, body: bytes) -> None:
    async with sidecar.operator() as operator:
        response = await operator.post("/api/v1/bots", content=body)
    assert code_of(response) == (422, "body_invalid")


async def test_body_too_big_is_refused(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        response = await operator.post("/api/v1/bots", content=b"x" * (4 * 1024 * 1024 + 1))
    assert code_of(response) == (422, "body_invalid")


async def test_secrets_are_masked_and_survive_a_round_trip(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        secret = {**BOT, "stream_token": "tok", "llm": LLM}
        shown = (await operator.post("/api/v1/bots", json=secret)).json()["config"]
        assert (shown["stream_token"], shown["llm"]["api_key"]) == ("********", "********")
        await operator.put("/api/v1/bots/desk", json={**shown, "name": "Renamed"})
    async with sidecar.http(X_VoxCore_Secret="s3cret") as service:
        config = (await service.get("/api/v1/config/desk")).json()
    assert (config["stream_token"], config["llm"]["api_key"]) == ("tok", "sk")
    assert config["name"] == "Renamed"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"llm": {**LLM, "api_key": ""}}, ["llm", "api_key"]),
        ({"tts": {"provider": "nobody"}}, ["tts", "provider"]),
        ({"llm": {**LLM, "base_url": "ftp://models.example"}}, ["llm", "base_url"]),
    ],
)
async def test_bot_whose_vendor_cannot_serve_is_refused_with_the_field(
    sidecar: SidecarApp, change: dict[str, object], field: list[str]
) -> None:
    async with sidecar.operator() as operator:
        made = await operator.post("/api/v1/bots", json={**BOT, **change})
        put = await operator.put("/api/v1/bots/desk", json={**BOT, **change})
    for refused in (made, put):
        assert code_of(refused) == (422, "config_invalid")
        [error] = refused.json()["error"]["details"]["errors"]
        assert error["loc"] == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"webhook_secret": "hush"}, "webhook_secret"),
        ({"post_call_push": {"token": "Bearer a\nb"}}, "post_call_push"),
        ({"post_call_push": {"headers": {"X Key": "a"}}}, "post_call_push"),
    ],
)
async def test_what_could_not_sign_or_be_sent_is_refused_without_it(
    sidecar: SidecarApp, change: dict[str, object], field: str
) -> None:
    async with sidecar.operator() as operator:
        refused = await operator.put("/api/v1/bots/desk", json={**BOT, **change})
    assert code_of(refused) == (422, "config_invalid")
    [error] = refused.json()["error"]["details"]["errors"]
    assert error["loc"] == [field]
    assert "hush" not in refused.text
    assert "Bearer" not in refused.text


async def test_secret_is_replaced_by_naming_both(sidecar: SidecarApp) -> None:
    both = "whsec_bmV3LXNlY3JldC1vZi10aGUtYm90IQ== whsec_b2xkLXNlY3JldC1vZi10aGUtYm90IQ=="
    async with sidecar.operator() as operator:
        saved = await operator.put("/api/v1/bots/desk", json={**BOT, "webhook_secret": both})
    assert saved.status_code == 201
    assert saved.json()["config"]["webhook_secret"] == "********"
