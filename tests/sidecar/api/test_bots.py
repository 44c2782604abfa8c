"""Bots over HTTP: CRUD, versions, masks, and who may."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.fakes.control_plane import BOT
from tests.fakes.sidecar_app import SidecarApp

LLM = {"provider": "openai", "model": "gpt-4.1-mini", "api_key": "sk"}
SERVER = "http://93.184.215.14"
MOVED = "give the secret again: it would go to another address"


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def faults_of(response: httpx.Response) -> list[tuple[list[str | int], str]]:
    """Return the place and the words of each fault that a refusal names."""
    assert code_of(response) == (422, "config_invalid")
    return [(each["loc"], each["msg"]) for each in response.json()["error"]["details"]["errors"]]


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
    assert faults_of(response)[0][0] == ["bot_id"]


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


async def test_what_is_shown_of_a_bot_can_be_sent_back(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        await operator.post("/api/v1/bots", json={**BOT, "llm": LLM})
        shown = (await operator.get("/api/v1/bots/desk")).json()
        shown["config"]["opening_message"] = "Good morning."
        saved = (await operator.put("/api/v1/bots/desk", json=shown)).json()
        assert (saved["version"], saved["config"]) == (2, shown["config"])
        # So can the answer to that.
        again = (await operator.put("/api/v1/bots/desk", json=saved)).json()
        assert (again["version"], again["config"]) == (3, shown["config"])
    async with sidecar.http(X_VoxCore_Secret="s3cret") as service:
        config = (await service.get("/api/v1/config/desk")).json()
    assert (config["opening_message"], config["llm"]["api_key"]) == ("Good morning.", "sk")


@pytest.mark.parametrize(
    "body", [{"config": {"bot_id": "x"}}, {"bot_id": "x", "config": {}}, {"bot_id": "x"}]
)
async def test_new_bot_is_named_in_its_config_or_beside_it(
    sidecar: SidecarApp, body: dict[str, Any]
) -> None:
    async with sidecar.operator() as operator:
        made = await operator.post("/api/v1/bots", json=body)
    assert made.status_code == 201
    assert (made.json()["bot_id"], made.json()["config"]) == ("x", {"bot_id": "x"})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"bot_id": "two"}, "bot_id"),
        ({"bot_id": "two", "config": {}}, "bot_id"),
        ({"bot_id": "one", "config": {"bot_id": "two"}}, "bot_id"),
        ({"bot_id": ["one"]}, "bot_id"),
        ({"config": {}, "opening_message": "Hello."}, "opening_message"),
    ],
)
async def test_body_that_does_not_say_one_thing_is_refused(
    sidecar: SidecarApp, body: dict[str, Any], field: str
) -> None:
    async with sidecar.operator() as operator:
        [(place, _)] = faults_of(await operator.put("/api/v1/bots/one", json=body))
        assert place == [field]
        assert (await operator.get("/api/v1/bots/one")).status_code == 404


async def test_mask_is_no_secret_of_a_bot_that_has_none(sidecar: SidecarApp) -> None:
    shown = {**BOT, "stream_token": "********", "llm": {**LLM, "api_key": "********"}}
    async with sidecar.operator() as operator:
        made = await operator.post("/api/v1/bots", json=shown)
        put = await operator.put("/api/v1/bots/desk", json=shown)
    for refused in (made, put):
        assert [place for place, _ in faults_of(refused)] == [["stream_token"], ["llm", "api_key"]]


async def test_masked_secret_does_not_follow_a_changed_address(sidecar: SidecarApp) -> None:
    own = {**LLM, "base_url": f"{SERVER}/v1"}
    tool = {"name": "find", "url": f"{SERVER}/a", "headers": {"X-Key": "hush"}}
    async with sidecar.operator() as operator:
        bot = {**BOT, "llm": own, "tools": [tool]}
        shown = (await operator.post("/api/v1/bots", json=bot)).json()["config"]
        shown["llm"]["base_url"] = "http://elsewhere.example/v1"
        shown["tools"][0]["url"] = "http://elsewhere.example/a"
        refused = await operator.put("/api/v1/bots/desk", json=shown)
        assert faults_of(refused) == [
            (["llm", "api_key"], MOVED),
            (["tools", 0, "headers", "X-Key"], MOVED),
        ]
        assert (await operator.get("/api/v1/bots/desk")).json()["version"] == 1


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_secret_that_is_nowhere_is_told_of_its_field(
    sidecar: SidecarApp, method: str
) -> None:
    api = {"account_sid": "acme1", "api_key": "secret://exotel-key", "api_token": "t"}
    path = "/api/v1/bots" + ("/desk" if method == "PUT" else "")
    async with sidecar.operator() as operator:
        refused = await operator.request(method, path, json={**BOT, "exotel_api": api})
    assert faults_of(refused) == [
        (["exotel_api", "api_key"], "secret://exotel-key: SECRETS_DIR is not set")
    ]


async def test_keys_that_nothing_reads_are_kept_and_told(sidecar: SidecarApp) -> None:
    odd = {
        "opening_mesage": "Hello.",
        "llm": {**LLM, "temprature": 0.1, "extra": {"top_p": 0.9, "top_k": 3}},
        "manners": {"closure": {"caler_enabled": True}},
        "tools": [{"type": "function", "function": {"name": "find"}, "url": SERVER, "x": 1}],
    }
    async with sidecar.operator() as operator:
        for saved in (
            await operator.post("/api/v1/bots", json={**BOT, **odd}),
            await operator.put("/api/v1/bots/desk", json={**BOT, **odd}),
        ):
            assert saved.json()["unread"] == [
                "opening_mesage",
                "tools.0.x",
                "llm.temprature",
                "manners.closure.caler_enabled",
                "llm.extra.top_k",
            ]
            assert saved.json()["config"]["opening_mesage"] == "Hello."
        many = {f"odd_{number}": 1 for number in range(60)}
        told = (await operator.put("/api/v1/bots/desk", json={**BOT, **many})).json()["unread"]
        assert len(told) == 50
        assert (await operator.put("/api/v1/bots/desk", json=BOT)).json()["unread"] == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"tools": [{"name": "a", "url": "ftp://a.example"}]}, ["tools", 0, "url"]),
        ({"pronunciation": {"words": {" ": "x"}}}, ["pronunciation", "words", " "]),
        ({"llm": {**LLM, "fallbacks": [{"provider": "no"}]}}, ["llm", "fallbacks", 0, "provider"]),
    ],
)
async def test_place_of_a_fault_is_told_alike_whoever_finds_it(
    sidecar: SidecarApp, change: dict[str, Any], place: list[str | int]
) -> None:
    async with sidecar.operator() as operator:
        [(found, words)] = faults_of(await operator.post("/api/v1/bots", json={**BOT, **change}))
    assert found == place
    assert not words.startswith("Value error")
