"""The widget's doors: the contract's statuses and bodies, and what pages' browsers need (CORS)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.plan import AgentPlan
from sidecar.secrecy import MASK
from sidecar.store.database import Database
from tests.fakes.control_plane import BOT
from tests.fakes.joining_agent import joining_agents
from tests.fakes.sidecar_app import SidecarApp, running_app
from tests.sidecar.api.test_hostile import BODIES

PATH, FLEET = "/api/v1/widget/token", "/livekit/widget"
SHOP = "https://shop.example"
BODY: dict[str, Any] = {"bot_id": "desk", "api_key": "wk"}
VISIT: dict[str, Any] = {"bot_id": "desk", "room_name": "shop-1"}


@pytest.fixture
async def app(sqlite: Database, tmp_path: Path) -> AsyncIterator[SidecarApp]:
    """A bot with a widget for any page, one with a page of its own, and one without."""
    async with running_app(
        sqlite, tmp_path, widget_starts_per_minute=5, web_join_timeout_s=1.5
    ) as app:
        async with app.operator() as operator:
            for bot in (
                {**BOT, "widget_api_key": "wk"},
                {
                    **BOT,
                    "bot_id": "shop",
                    "widget_api_key": "wk",
                    "widget_allowed_origins": [SHOP, "*.shop.example"],
                },
                {**BOT, "bot_id": "bare"},
            ):
                assert (await operator.post("/api/v1/bots", json=bot)).is_success
        yield app


@pytest.fixture
async def plans(app: SidecarApp) -> AsyncIterator[dict[str, AgentPlan]]:
    """Agents who come when they are called."""
    async with joining_agents(app) as plans:
        yield plans


async def ask(
    app: SidecarApp, *, origin: str = "https://any.example", **changed: Any
) -> httpx.Response:
    async with app.http() as http:
        headers = {"Origin": origin} if origin else {}
        return await http.post(PATH, json={**BODY, **changed}, headers=headers)


async def visited(app: SidecarApp, secret: str = "s3cret", **changed: Any) -> httpx.Response:
    async with app.http(X_VoxCore_Secret=secret) as http:
        return await http.post(FLEET, json={**VISIT, **changed})


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_visitor_gets_a_token_for_one_room(
    app: SidecarApp, plans: dict[str, AgentPlan]
) -> None:
    answer = await ask(app, text_only=True, metadata={"customer_name": "Sam", "_mock_crm": {}})
    ((call_id, plan),) = plans.items()
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "server_url": "ws://127.0.0.1:7880",
            "participant_token": (
                f"token for caller-{call_id} in web-{call_id}, who types, for 300 s"
            ),
            "call_id": call_id,
            "room_name": f"web-{call_id}",
        },
    )
    assert plan.config.opening_message == "Hello Sam."
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Vary" not in answer.headers


@pytest.mark.parametrize("origin", [SHOP, "https://de.shop.example"])
async def test_page_that_is_named_may_read_the_answer_and_no_other(
    app: SidecarApp, plans: dict[str, AgentPlan], origin: str
) -> None:
    answer = await ask(app, bot_id="shop", origin=origin)
    assert (answer.status_code, len(plans)) == (201, 1)
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", ["https://evil.example", "http://shop.example", "null", ""])
async def test_other_pages_are_refused_in_words_they_can_read(
    app: SidecarApp, plans: dict[str, AgentPlan], origin: str
) -> None:
    answer = await ask(app, bot_id="shop", origin=origin)
    assert code_of(answer) == (403, "origin_refused")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert plans == {}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"bot_id": "nobody"}, (404, "bot_unknown")),
        ({"api_key": "guess"}, (401, "key_invalid")),
        ({"api_key": ""}, (401, "key_invalid")),
        ({"bot_id": "bare"}, (401, "key_invalid")),
        ({"bot_id": ""}, (422, "body_invalid")),
        ({"metadata": {"essay": "x" * 20_000}}, (422, "body_invalid")),
    ],
)
async def test_refusals(app: SidecarApp, changed: dict[str, Any], told: tuple[int, str]) -> None:
    answer = await ask(app, **changed)
    assert code_of(answer) == told
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_crowd_is_told_when_to_come_again(
    app: SidecarApp, plans: dict[str, AgentPlan]
) -> None:
    assert [(await ask(app)).status_code for _ in range(6)] == [201] * 5 + [429]
    answer = await ask(app)
    assert code_of(answer) == (429, "too_many")
    assert 1 <= int(answer.headers["Retry-After"]) <= 12
    assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"
    assert len(plans) == 5


async def test_full_house_is_503(app: SidecarApp) -> None:
    async with joining_agents(app, max_calls=0):
        assert code_of(await ask(app)) == (503, "at_capacity")


async def test_no_agent_is_503(app: SidecarApp) -> None:
    assert code_of(await ask(app)) == (503, "no_agent")


async def test_browser_may_ask_from_any_page(app: SidecarApp) -> None:
    asked = {
        "Origin": SHOP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    async with app.http() as http:
        answer = await http.options(PATH, headers=asked)
    assert answer.status_code == 204
    allowed = {
        name.removeprefix("access-control-"): value
        for name, value in answer.headers.items()
        if name.startswith("access-control-")
    }
    assert (allowed["allow-origin"], allowed["allow-methods"]) == ("*", "POST, OPTIONS")
    assert allowed["allow-headers"] == "Content-Type"
    assert "allow-credentials" not in allowed


async def test_key_is_masked_where_configs_are_shown(app: SidecarApp) -> None:
    async with app.operator() as operator:
        shown = (await operator.get("/api/v1/bots/desk")).json()["config"]
        assert shown["widget_api_key"] == MASK
        await operator.put("/api/v1/bots/desk", json=shown)
    assert code_of(await ask(app)) == (503, "no_agent")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_hostile_body_is_refused(app: SidecarApp, body: bytes) -> None:
    async with app.http(X_VoxCore_Secret="s3cret") as http:
        # What is no number stands under a key that is nobody's here: only the bot is unknown.
        assert (await http.post(PATH, content=body)).status_code in (404, 422)
        assert (await http.post(FLEET, content=body)).status_code == 422


async def test_bot_comes_to_a_visitors_room(app: SidecarApp, plans: dict[str, AgentPlan]) -> None:
    answer = await visited(app)
    call_id = answer.json()["call_id"]
    assert (answer.status_code, answer.json()) == (
        200, {"status": "accepted", "call_id": call_id},
    )  # fmt: skip
    await app.rooms.reached(dispatches=1)
    assert app.rooms.dispatches == [("shop-1", call_id, 1)]
    assert plans.keys() <= {call_id}


async def test_visits_are_refused_in_the_contracts_words(app: SidecarApp) -> None:
    assert (await visited(app, secret="guess")).status_code == 403
    assert (await visited(app, room_name="")).status_code == 422
    assert (await visited(app)).status_code == 503
    async with joining_agents(app, max_calls=0):
        full = await visited(app)
    assert (full.status_code, full.json()["error"]) == (429, "At capacity")
    assert app.rooms.dispatches == []
