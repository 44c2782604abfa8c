"""The whole application: a call in, a signed result out, with an external config API if set."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from standardwebhooks.webhooks import Webhook

from contracts.outcome import Reason
from contracts.report import LegEnded, Report, Source
from sidecar.clock import utc_now
from sidecar.store.database import Database
from tests.fakes.control_plane import START, ControlPlane
from tests.fakes.sidecar_app import SidecarApp, running_app

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1wbGF0Zm9ybQ=="


async def planned_and_gone(sidecar: SidecarApp, plane: ControlPlane) -> None:
    async with sidecar.service() as client, sidecar.http(X_VoxCore_Secret="s3cret") as http:
        beat = {"kind": "agent", "id": "w1", "host": "h", "pid": 1, "ready": True, "max_calls": 1}
        at = START.isoformat()
        await http.post("/internal/v1/heartbeats", json={**beat, "started_at": at})
        asked = {"channel": "websocket", "bot_id": "desk", "idempotency_key": "k1"}
        plan = (await http.post("/internal/v1/calls", json=asked)).json()
        facts = [LegEnded(at=utc_now(), reason=Reason.CALLER_HUNG_UP)]
        report = Report(source=Source.BRIDGE, incarnation=1, seq=1, facts=facts)
        await client.report(plan["call_id"], report)


async def test_result_is_delivered_and_signed(sqlite: Database, tmp_path: Path) -> None:
    plane = ControlPlane(sqlite, tmp_path)
    await plane.add_bot(webhook_url="http://localhost/results")
    async with running_app(sqlite, tmp_path, result_signing_secret=SECRET) as sidecar:
        await planned_and_gone(sidecar, plane)
        request = await sidecar.sent_to("/results")
    body = Webhook(SECRET).verify(request.content, dict(request.headers))
    assert body["disconnected_by"] == "customer"


async def test_config_comes_from_the_api_that_is_set(sqlite: Database, tmp_path: Path) -> None:
    plane = ControlPlane(sqlite, tmp_path)
    url = "https://crm.example/config"
    async with running_app(sqlite, tmp_path, config_url=url, stream_anonymous=True) as sidecar:
        config = {"session_id": "theirs", "webhook_url": "http://localhost/results"}
        sidecar.answers["/config/desk"] = httpx.Response(200, json=config)
        await planned_and_gone(sidecar, plane)
        assert b'"session_id":"theirs"' in (await sidecar.sent_to("/results")).content


async def test_background_tasks_end_with_the_application(sqlite: Database, tmp_path: Path) -> None:
    before = len(asyncio.all_tasks())
    async with running_app(sqlite, tmp_path):
        assert len(asyncio.all_tasks()) > before
    assert len(asyncio.all_tasks()) == before
