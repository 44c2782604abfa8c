"""`voicefleet.receiver`: only what is signed counts."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import httpx
from standardwebhooks.webhooks import Webhook

from voicefleet.receiver import receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_AAAA9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def deliver(url: str, secret: str, result: dict[str, object]) -> int:
    body, at = json.dumps(result), datetime.now(UTC)
    headers = {
        "webhook-id": "d-1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("d-1", at, body),
    }
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.post(url, content=body, headers=headers)).status_code


async def test_signed_result_is_handed_on() -> None:
    async with receiving(SECRET) as (receiver, url):
        assert await deliver(url, SECRET, {"session_id": "s-1"}) == 204
        assert await asyncio.wait_for(receiver.result(), 5) == {"session_id": "s-1"}
        assert receiver.refused == 0


async def test_wrongly_signed_result_is_refused() -> None:
    async with receiving(SECRET) as (receiver, url):
        assert await deliver(url, OTHER, {"session_id": "forged"}) == 401
        assert receiver.refused == 1
        assert await deliver(url, SECRET, {"session_id": "s-1"}) == 204
        assert (await receiver.result())["session_id"] == "s-1"


async def test_unsigned_result_is_refused() -> None:
    async with receiving(SECRET) as (receiver, url), httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(url, json={})).status_code == 401
        assert receiver.refused == 1
