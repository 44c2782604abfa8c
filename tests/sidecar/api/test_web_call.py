"""`POST /web_call/get_token`: who may, the envelope, and why not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.plan import AgentPlan
from sidecar.store.database import Database
from tests.fakes.control_plane import BOT
from tests.fakes.joining_agent import joining_agents
from tests.fakes.sidecar_app import SidecarApp, running_app
from tests.sidecar.api.test_hostile import BODIES

PATH = "/web_call/get_token"
BODY: dict[str, Any] = {"assistant_id": "desk", "metadata": {"customer_name": "Sam"}}


@pytest.fixture
async def app(sqlite: Database, tmp_path: Path) -> AsyncIterator[SidecarApp]:
    """A bot."""
    async with running_app(sqlite, tmp_path, web_join_timeout_s=1.5) as app:
        async with app.operator() as operator:
            assert (await operator.post("/api/v1/bots", json=BOT)).is_success
        yield app


@pytest.fixture
async def plans(app: SidecarApp) -> AsyncIterator[dict[str, AgentPlan]]:
    """Its agents, who come when they are called, two at a time."""
    async with joining_agents(app, max_calls=2) as plans:
        yield plans


async def ask(app: SidecarApp, body: Any = BODY, path: str = PATH, **shown: str) -> httpx.Response:
    async with app.http(**(shown or {"X_API_Key": "admin"})) as http:
        return await http.post(path, json=body)


async def new_key(app: SidecarApp, **given: Any) -> str:
    async with app.operator() as operator:
        answer = await operator.post("/api/v1/api-keys", json={"name": "shop", **given})
    return str(answer.json()["key"])


async def test_token_comes_in_the_familys_envelope(
    app: SidecarApp, plans: dict[str, AgentPlan]
) -> None:
    answer = await ask(app)
    call_id = next(iter(plans))
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "success": True,
            "message": "the agent waits in the room",
            "data": {
                "room_name": f"web-{call_id}",
                "token": f"token for caller-{call_id} in web-{call_id}, who speaks, for 300 s",
                "agent_dispatch": {"agent_name": "voicefleet", "room": f"web-{call_id}"},
                "server_url": "ws://127.0.0.1:7880",
                "call_id": call_id,
                "session_id": call_id,
            },
        },
    )
    assert plans[call_id].config.opening_message == "Hello Sam."


async def test_older_path_and_chat(app: SidecarApp, plans: dict[str, AgentPlan]) -> None:
    answer = await ask(app, {"assistant_id": "desk", "text_only": True}, "/web_call/getToken")
    assert answer.status_code == 200
    assert [plan.text_only for plan in plans.values()] == [True]


async def test_keys_open_it_in_any_spelling(app: SidecarApp, plans: dict[str, AgentPlan]) -> None:
    key = await new_key(app, bot_ids=["desk"])
    for shown in ({"X_API_Key": key}, {"Authorization": f"Bearer {key}"}):
        assert (await ask(app, **shown)).status_code == 200
    assert len(plans) == 2


async def test_our_own_services_need_no_key(app: SidecarApp, plans: dict[str, AgentPlan]) -> None:
    assert (await ask(app, X_VoxCore_Secret="s3cret")).status_code == 200
    wrong = await ask(app, X_VoxCore_Secret="guess", X_API_Key="admin")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (403, "secret_wrong")
    assert len(plans) == 1


@pytest.mark.parametrize(
    "shown", [{"X_API_Key": "guess"}, {"Authorization": "Bearer guess"}, {"X_Other": "1"}]
)
async def test_strangers_are_refused(app: SidecarApp, shown: dict[str, str]) -> None:
    answer = await ask(app, **shown)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "key_invalid")
    assert isinstance(answer.json()["detail"], str)


async def test_key_of_other_bots_sees_none(app: SidecarApp, plans: dict[str, AgentPlan]) -> None:
    key = await new_key(app, bot_ids=["other"])
    for body in (BODY, {"assistant_id": "nobody"}):
        answer = await ask(app, body, X_API_Key=key)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "bot_unknown")
    assert plans == {}


async def test_full_house_is_503(app: SidecarApp, plans: dict[str, AgentPlan]) -> None:
    assert [(await ask(app)).status_code for _ in range(3)] == [200, 200, 503]
    refused = await ask(app)
    assert (refused.json()["error"]["code"], refused.headers["Retry-After"]) == ("at_capacity", "2")
    assert len(plans) == 2


async def test_no_agent_is_503(app: SidecarApp) -> None:
    answer = await ask(app)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_agent")


@pytest.mark.parametrize(
    "changed",
    [
        {"assistant_id": ""},
        {"assistant_id": "b" * 999},
        {"assistant_id": 7},
        {"metadata": []},
        {"text_only": "perhaps"},
    ],
)
async def test_body_that_makes_no_sense_is_refused(
    app: SidecarApp, changed: dict[str, Any]
) -> None:
    answer = await ask(app, {**BODY, **changed})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "body_invalid")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_hostile_body_is_refused(app: SidecarApp, body: bytes) -> None:
    async with app.operator() as http:
        assert (await http.post(PATH, content=body)).status_code == 422
