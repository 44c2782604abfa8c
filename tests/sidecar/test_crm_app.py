"""The whole application and a CRM, asked and told; and results that go to an external API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from contracts.plan import Claim, PlanRequest
from contracts.report import AgentEnded, LegAnswered, LegEnded, Report, Source
from sidecar.client import Refused
from sidecar.clock import utc_now
from sidecar.store.database import Database
from sidecar.store.tables import bot_versions, calls, metadata
from tests.fakes.sidecar_app import SidecarApp, running_app

NUMBER, NAME = "+15550142", "Asha-the-seeded"
KEY = "Bearer the-seeded-key"
BEAT = {"kind": "agent", "id": "w1", "host": "h", "pid": 1, "ready": True, "max_calls": 4}
BOT: dict[str, Any] = {
    "bot_id": "desk",
    "stream_anonymous": True,
    "opening_message": "Hello {{crm.customer_name}}.",
    "crm_prefetch": {"url": "http://localhost/customers?phone={{call.caller_id}}", "token": KEY},
    "post_call_push": {
        "url": "http://localhost/push",
        "token": KEY,
        "method": "PUT",
        "headers": {"X-Team": "the-seeded-header"},
        "key_mapper": {"NAME": "{{crm.customer_name}}", "SECONDS": "{{call.duration}}"},
    },
}


async def held(
    sidecar: SidecarApp,
    key: str = "k1",
    *,
    meanwhile: Mapping[str, httpx.Response] = MappingProxyType({}),
    **asked: Any,
) -> str:
    """Plan a call, let an agent claim it, answer it and end it; return the opening line.

    From the claim on, others answer as they do `meanwhile`.
    """
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        beat = {**BEAT, "started_at": utc_now().isoformat()}
        assert (await http.post("/internal/v1/heartbeats", json=beat)).status_code == 200
    async with sidecar.service() as client:
        request = {"channel": "websocket", "bot_id": "desk", "idempotency_key": key, **asked}
        plan = await client.plan(PlanRequest.model_validate({"caller_id": NUMBER, **request}))
        agent = await client.claim(plan.call_id, Claim(incarnation=1, worker_id="w1"))
        sidecar.answers.update(meanwhile)
        now = utc_now()
        ended = AgentEnded(at=now, reason="bot_ended")
        left = [LegAnswered(at=now), LegEnded(at=now, reason="bot_ended")]
        for source, facts in ((Source.BRIDGE, left), (Source.AGENT, [ended])):
            report = {"source": source, "incarnation": 1, "seq": 1, "facts": facts}
            await client.report(plan.call_id, Report.model_validate(report))
    return agent.config.opening_message


@pytest.fixture
async def sidecar(sqlite: Database, tmp_path: Path) -> AsyncIterator[SidecarApp]:
    async with running_app(sqlite, tmp_path) as sidecar:
        async with sidecar.operator() as operator:
            assert (await operator.post("/api/v1/bots", json=BOT)).status_code == 201
        customer = {"customer_name": NAME}
        sidecar.answers["/customers"] = httpx.Response(200, json=customer)
        yield sidecar


async def test_crm_is_asked_before_and_told_after(sidecar: SidecarApp) -> None:
    assert await held(sidecar) == f"Hello {NAME}."
    asked = await sidecar.sent_to("/customers")
    assert asked.url.params["phone"] == NUMBER
    told = await sidecar.sent_to("/push")
    assert (told.method, told.headers["Authorization"]) == ("PUT", KEY)
    assert told.headers["X-Team"] == "the-seeded-header"
    assert json.loads(told.content) == {"NAME": NAME, "SECONDS": "0.0"}


async def test_skipped_push_is_not_sent(sidecar: SidecarApp) -> None:
    await held(sidecar, "k1", connected_event={"_skip_post_push": True})
    await held(sidecar, "k2")
    await sidecar.sent_to("/push")
    async with sidecar.operator() as operator:
        listed = (await operator.get("/api/v1/deliveries")).json()["deliveries"]
    assert len(listed) == 1


async def test_no_key_and_nobodys_name_is_where_it_may_not_be(
    sidecar: SidecarApp, tmp_path: Path
) -> None:
    with capture_logs() as logs:
        await held(sidecar)
        sidecar.answers["/customers"] = httpx.Response(500)
        await held(sidecar, "k2")
        await sidecar.sent_to("/push")
    told = json.dumps(logs, default=str)
    assert "crm_prefetched" in told
    assert "crm_prefetch_failed" in told
    assert not any(word in told for word in (NUMBER, NAME, "seeded-key", "seeded-header"))
    async with sidecar.operator() as operator:
        for path in ("/api/v1/bots", "/api/v1/calls", "/api/v1/deliveries"):
            shown = (await operator.get(path)).text
            assert "seeded-key" not in shown
            assert "seeded-header" not in shown


async def test_nothing_of_an_ended_call_keeps_the_crms_keys(
    sidecar: SidecarApp, sqlite: Database
) -> None:
    await held(sidecar)
    await sidecar.sent_to("/push")
    async with sqlite.read() as connection:
        for table in set(metadata.sorted_tables) - {bot_versions}:
            stored = repr((await connection.execute(table.select())).all())
            assert "seeded-key" not in stored, table.name
            assert "seeded-header" not in stored, table.name
        assert NAME in repr((await connection.execute(calls.select())).all())


async def test_receivers_cookies_are_not_kept(sidecar: SidecarApp) -> None:
    cookie = {"Set-Cookie": "session=of-another-tenant; Path=/"}
    sidecar.answers["/customers"] = httpx.Response(200, json={}, headers=cookie)
    await held(sidecar)
    assert "Cookie" not in (await sidecar.sent_to("/push")).headers


def fetched(sqlite: Database, folder: Path, **settings: Any) -> Any:
    """Run a sidecar whose bots come from elsewhere."""
    url = "http://localhost/api/v1/config"
    return running_app(sqlite, folder, config_url=url, **settings)


async def test_result_goes_beside_the_config_it_was_fetched_with(
    sqlite: Database, tmp_path: Path
) -> None:
    async with fetched(sqlite, tmp_path, trusted_api_origins="http://localhost") as sidecar:
        config = {"session_id": "theirs", "stream_anonymous": True, "webhook_url": ""}
        sidecar.answers["/api/v1/config/desk"] = httpx.Response(200, json=config)
        await held(sidecar)
        sent = await sidecar.sent_to("/api/v1/call-results")
    assert json.loads(sent.content)["session_id"] == "theirs"
    assert sent.headers["X-VoxCore-Secret"] == "s3cret"


async def test_push_is_owed_by_a_bot_that_could_not_be_called_any_more(
    sqlite: Database, tmp_path: Path
) -> None:
    async with fetched(sqlite, tmp_path) as sidecar:
        config = {**BOT, "crm_prefetch": None}
        broken = httpx.Response(200, json={**config, "tts": {"provider": "nobody"}})
        path = "/api/v1/config/desk"
        sidecar.answers[path] = httpx.Response(200, json=config)
        await held(sidecar, meanwhile={path: broken})
        assert (await sidecar.sent_to("/push")).headers["Authorization"] == KEY


async def test_origin_that_is_not_trusted_gets_no_secret_with_a_result(
    sqlite: Database, tmp_path: Path
) -> None:
    async with fetched(sqlite, tmp_path) as sidecar:
        config = {"session_id": "theirs", "stream_anonymous": True}
        sidecar.answers["/api/v1/config/desk"] = httpx.Response(200, json=config)
        await held(sidecar)
        sent = await sidecar.sent_to("/api/v1/call-results")
    assert "X-VoxCore-Secret" not in sent.headers


async def test_call_whose_config_did_not_come_is_told_of_under_its_campaigns_name(
    sqlite: Database, tmp_path: Path
) -> None:
    async with fetched(sqlite, tmp_path) as sidecar:
        sidecar.answers["/api/v1/config/desk"] = httpx.Response(500)
        with pytest.raises(Refused) as caught:
            await held(sidecar, connected_event={"_campaign_session_id": "campaign-7"})
        result = json.loads((await sidecar.sent_to("/api/v1/call-results")).content)
    assert caught.value.code == "config_unavailable"
    assert (result["session_id"], result["disconnected_by"]) == ("campaign-7", "error")
    assert result["call_duration_seconds"] == 0.0


async def test_another_of_our_own_takes_such_results(sqlite: Database, tmp_path: Path) -> None:
    """One sidecar's bots served to another, whose results come back."""
    (tmp_path / "theirs").mkdir()
    other = Database(f"sqlite:///{tmp_path}/theirs/voicefleet.db")
    async with (
        running_app(other, tmp_path / "theirs") as theirs,
        fetched(sqlite, tmp_path, trusted_api_origins="http://localhost") as ours,
    ):
        async with theirs.operator() as operator:
            await operator.post("/api/v1/bots", json={**BOT, "crm_prefetch": None})
        async with theirs.http(X_VoxCore_Secret="s3cret") as http:
            config = await http.get("/api/v1/config/desk")
            ours.answers["/api/v1/config/desk"] = httpx.Response(200, json=config.json())
            await held(ours)
            sent = await ours.sent_to("/api/v1/call-results")
            taken = await http.post("/api/v1/call-results", content=sent.content)
        assert taken.json() == {"status": "ok", "session_id": config.json()["session_id"]}
    await other.aclose()
