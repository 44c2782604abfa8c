"""`/call/outbound` and `/call/queue`: exact bodies, and who sees which queued call."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.fakes.sidecar_app import SidecarApp
from tests.sidecar.api.test_dialout import TRUNK, app, new_key

__all__ = ["app"]

BODY = {
    "assistant_id": "desk",
    "trunk_id": "t1",
    "to_number": "+919876543210",
    "call_service": "exotel",
    "metadata": {"customer_name": "Asha"},
}


async def ask(app: SidecarApp, body: Any, key: str = "admin", **headers: str) -> httpx.Response:
    async with app.http(Authorization=f"Bearer {key}", **headers) as client:
        return await client.post("/call/outbound", json=body)


async def look(app: SidecarApp, queue_id: str, key: str = "admin") -> httpx.Response:
    async with app.http(Authorization=f"Bearer {key}") as client:
        return await client.get(f"/call/queue/{queue_id}")


async def dispatched(app: SidecarApp, queue_id: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            data: dict[str, Any] = (await look(app, queue_id)).json()["data"]
            if data["status"] == "dispatched":
                return data
            await asyncio.sleep(0.02)


async def test_call_is_queued_and_dispatched(app: SidecarApp) -> None:
    response = await ask(app, BODY)
    assert response.status_code == 202
    answer = response.json()
    assert list(answer) == ["success", "message", "data"]
    queue_id = answer["data"]["queue_id"]
    assert answer["success"] is True
    assert answer["data"] == {"queue_id": queue_id, "status": "pending"}
    data = await dispatched(app, queue_id)
    assert list(data) == [
        *("queue_id", "status", "to_number", "call_service", "queued_at", "dispatched_at"),
        *("retry_count", "last_error", "call_id"),
    ]
    assert (data["queue_id"], data["to_number"], data["call_service"]) == (
        *(queue_id, "+919876543210"),
        "exotel",
    )
    assert (data["retry_count"], data["last_error"]) == (0, None)
    async with app.operator() as operator:
        call = (await operator.get(f"/api/v1/calls/{data['call_id']}")).json()
    assert (call["caller_id"], call["channel"]) == ("+919876543210", "dialout")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"assistant_id": "nobody"}, 404, "bot_unknown"),
        ({"trunk_id": "t9"}, 404, "trunk_unknown"),
        ({"call_service": "carrier-pigeon"}, 422, "body_invalid"),
        ({"trunk_id": "t2"}, 422, "body_invalid"),
        ({"to_number": "a@b"}, 422, "body_invalid"),
        ({"metadata": "x"}, 422, "body_invalid"),
    ],
)
async def test_what_cannot_be_queued(
    app: SidecarApp, changes: dict[str, Any], status: int, code: str
) -> None:
    async with app.operator() as operator:
        twilio = {**TRUNK, "trunk_id": "t2", "service": "twilio", "numbers": []}
        assert (await operator.post("/api/v1/trunks", json=twilio)).is_success
    response = await ask(app, {**BODY, **changes})
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert isinstance(response.json()["detail"], str)


async def test_who_may_ask_and_look(app: SidecarApp) -> None:
    assert (await ask(app, BODY, "vx_unknown")).status_code == 401
    assert (await look(app, "q", "vx_unknown")).status_code == 401
    others = await new_key(app, bot_ids=["other"])
    assert (await ask(app, BODY, others)).status_code == 404
    queue_id = (await ask(app, BODY)).json()["data"]["queue_id"]
    response = await look(app, queue_id, others)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "queue_item_unknown")
    assert (await look(app, "q")).status_code == 404


async def test_key_makes_a_request_safe_to_repeat(app: SidecarApp) -> None:
    first = await ask(app, BODY, Idempotency_Key="k")
    await dispatched(app, first.json()["data"]["queue_id"])
    again = await ask(app, BODY, Idempotency_Key="k")
    assert (again.status_code, again.json()) == (202, first.json())
    other = await ask(app, {**BODY, "metadata": {}}, Idempotency_Key="k")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "key_reused")
