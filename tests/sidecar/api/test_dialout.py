"""The doors that have a phone called at once: who may, exact bodies, and why not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.report import Heartbeat
from sidecar.clock import utc_now
from sidecar.store.database import Database
from tests.fakes.control_plane import BOT
from tests.fakes.sidecar_app import SidecarApp, running_app

PUBLIC, FLEET = "/api/v1/sip/dialout", "/livekit/dialout"
BODY = {"bot_id": "desk", "to_number": "+919876543210"}
TRUNK = {
    "trunk_id": "t1",
    "name": "carrier",
    "kind": "bridge",
    "address": "192.0.2.1",
    "numbers": ["+911234567890"],
}


async def beat(app: SidecarApp, max_calls: int = 8) -> None:
    async with app.service() as client:
        await client.heartbeat(
            Heartbeat(
                kind="agent",
                id="w1",
                host="h",
                pid=1,
                ready=True,
                max_calls=max_calls,
                started_at=utc_now(),
            )
        )


@pytest.fixture
async def app(sqlite: Database, tmp_path: Path) -> AsyncIterator[SidecarApp]:
    """A bot, an agent worker, and a trunk."""
    async with running_app(sqlite, tmp_path, allow_private_trunks=True) as app:
        async with app.operator() as operator:
            assert (await operator.post("/api/v1/bots", json=BOT)).is_success
            assert (await operator.post("/api/v1/trunks", json=TRUNK)).is_success
        await beat(app)
        yield app


async def post(
    app: SidecarApp, path: str, body: Any, key: str = "", **headers: str
) -> httpx.Response:
    if not headers:
        headers = {"X_VoxCore_Secret": "s3cret"} if path == FLEET else {"X_API_Key": "admin"}
    named = {"Idempotency-Key": key} if key else {}
    async with app.http(**headers) as client:
        return await client.post(path, json=body, headers=named)


async def call(app: SidecarApp, call_id: str) -> dict[str, Any]:
    async with app.operator() as operator:
        found: dict[str, Any] = (await operator.get(f"/api/v1/calls/{call_id}")).json()
    return found


async def new_key(app: SidecarApp, **changes: Any) -> str:
    async with app.operator() as operator:
        made = await operator.post("/api/v1/api-keys", json={"name": "k", **changes})
        return str(made.json()["key"])


async def test_public_door_answers_with_the_calls_id(app: SidecarApp) -> None:
    body = {**BODY, "from_number": "911234567890", "variables": {"customer_name": "Rahul Sharma"}}
    response = await post(app, PUBLIC, body)
    assert response.status_code == 200
    assert list(response.json()) == ["status", "call_id"]
    assert response.json()["status"] == "ok"
    found = await call(app, response.json()["call_id"])
    assert (found["channel"], found["call_direction"], found["state"]) == (
        *("dialout", "outgoing"),
        "planned",
    )
    assert (found["caller_id"], found["did"]) == ("+919876543210", "+911234567890")


async def test_fleets_door_answers_with_the_room_as_well(app: SidecarApp) -> None:
    response = await post(app, FLEET, {**BODY, "connected_event": {"a": 1}})
    call_id = response.json()["call_id"]
    assert response.json() == {
        "status": "accepted",
        "call_id": call_id,
        "room_name": f"dialout-{call_id}",
    }


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
async def test_key_is_taken_in_either_header(app: SidecarApp, header: str) -> None:
    key = await new_key(app, bot_ids=["desk"])
    shown = {header: key if header == "X-API-Key" else f"Bearer {key}"}
    assert (await post(app, PUBLIC, BODY, **shown)).status_code == 200


async def test_who_may_not(app: SidecarApp) -> None:
    expired = await new_key(app, bot_ids=["desk"], expires_at="2020-01-01T00:00:00Z")
    others = await new_key(app, bot_ids=["other"])
    for headers, status, code in (
        ({"X-API-Key": "vx_unknown"}, 401, "key_invalid"),
        ({"X-Nothing": "1"}, 401, "key_invalid"),
        ({"Authorization": "Bearer vx_unknown"}, 401, "key_invalid"),
        ({"X-API-Key": expired}, 403, "key_inactive"),
        ({"X-API-Key": others}, 404, "bot_unknown"),
    ):
        response = await post(app, PUBLIC, BODY, **headers)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    response = await post(app, FLEET, BODY, X_VoxCore_Secret="wrong")
    assert response.status_code == 403
    assert response.json() == {
        "error": "the service secret is missing or wrong",
        "code": "secret_wrong",
        "details": {},
        "detail": "the service secret is missing or wrong",
    }


@pytest.mark.parametrize("path", [PUBLIC, FLEET])
@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"bot_id": "nobody"}, 404, "bot_unknown"),
        ({"bot_id": ""}, 422, "body_invalid"),
        ({"to_number": None}, 422, "body_invalid"),
        ({"to_number": "a@b"}, 422, "body_invalid"),
        ({"to_number": "1" * 65}, 422, "body_invalid"),
        ({"from_number": "+910000000000"}, 404, "trunk_unknown"),
        ({"connected_event": [1]}, 422, "body_invalid"),
    ],
)
async def test_what_cannot_be_called(
    app: SidecarApp, path: str, changes: dict[str, Any], status: int, code: str
) -> None:
    response = await post(app, path, {**BODY, **changes})
    answer = response.json()
    assert response.status_code == status
    assert (answer["code"] if path == FLEET else answer["error"]["code"]) == code
    assert isinstance(answer["detail"], str)


async def test_variables_and_connected_event_are_one_thing(app: SidecarApp) -> None:
    both = {"variables": {"a": 1}, "connected_event": {"a": 1}}
    response = await post(app, PUBLIC, {**BODY, **both})
    assert response.status_code == 422


@pytest.mark.parametrize(("path", "status"), [(PUBLIC, 503), (FLEET, 429)])
async def test_full_fleet_refuses_by_each_contract(app: SidecarApp, path: str, status: int) -> None:
    await beat(app, max_calls=0)
    response = await post(app, path, BODY)
    assert (response.status_code, response.headers["Retry-After"]) == (status, "2")


@pytest.mark.parametrize(("path", "status"), [(PUBLIC, 503), (FLEET, 429)])
async def test_busy_trunk_refuses_by_each_contract(app: SidecarApp, path: str, status: int) -> None:
    for _ in range(5):
        assert (await post(app, path, BODY)).status_code == 200
    response = await post(app, path, BODY)
    assert (response.status_code, response.headers["Retry-After"]) == (status, "1")


@pytest.mark.parametrize("path", [PUBLIC, FLEET])
async def test_closed_bot_refuses(app: SidecarApp, path: str) -> None:
    closed = {**BOT, "bot_id": "shut", "active_hours": {"enabled": True, "days": []}}
    async with app.operator() as operator:
        assert (await operator.post("/api/v1/bots", json=closed)).is_success
    response = await post(app, path, {**BODY, "bot_id": "shut"})
    assert response.status_code == 503
    assert response.json()["detail"].startswith("outside_active_hours:")


@pytest.mark.parametrize("path", [PUBLIC, FLEET])
async def test_key_makes_a_request_safe_to_repeat(app: SidecarApp, path: str) -> None:
    first = await post(app, path, BODY, key="k1")
    assert (await post(app, path, BODY, key="k1")).json() == first.json()
    other = await post(app, path, {**BODY, "to_number": "+919876543211"}, key="k1")
    assert other.status_code == 409
    assert (await post(app, path, BODY, key="k2")).json() != first.json()
    assert (await post(app, path, BODY)).json() != first.json()


async def test_doors_do_not_share_their_keys(app: SidecarApp) -> None:
    one, other = await post(app, PUBLIC, BODY, key="k"), await post(app, FLEET, BODY, key="k")
    assert one.json()["call_id"] != other.json()["call_id"]


async def test_config_url_says_whose_bot_and_trunk_it_is(app: SidecarApp) -> None:
    app.answers["/api/v1/config/theirs"] = httpx.Response(
        200, json={"webhook_url": "https://crm.example/r", "opening_message": "Hello."}
    )
    app.answers["/api/v1/sip/outbound-trunk"] = httpx.Response(
        200, json={"trunk_id": "ST_theirs", "number": "+912222222222"}
    )
    body = {**BODY, "bot_id": "theirs", "config_url": "https://192.0.2.7/api/v1/config"}
    response = await post(app, FLEET, body)
    assert response.status_code == 200
    found = await call(app, response.json()["call_id"])
    assert (found["bot_id"], found["did"]) == ("theirs", "+912222222222")
    asked = [request for request in app.sent if request.url.host == "192.0.2.7"]
    assert [request.url.path for request in asked] == [
        "/api/v1/sip/outbound-trunk",
        "/api/v1/config/theirs",
    ]
    # It is not an origin that the operator trusts with the secret.
    assert all("X-VoxCore-Secret" not in request.headers for request in asked)


@pytest.mark.parametrize("url", ["ftp://x/y", "nonsense", "https://"])
async def test_config_url_that_is_none_is_refused(app: SidecarApp, url: str) -> None:
    assert (await post(app, FLEET, {**BODY, "config_url": url})).status_code == 422
