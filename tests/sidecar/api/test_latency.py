"""How fast a bot answers, for those who may see it; figures for Prometheus, for administrators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.report import STAGES, Source, TurnMeasured
from sidecar.store.database import Database
from tests.fakes.control_plane import START, ControlPlane
from tests.fakes.sidecar_app import SidecarApp, running_app


@pytest.fixture
async def measured(sqlite: Database, tmp_path: Path) -> AsyncIterator[SidecarApp]:
    """A bot with three turns an hour apart, and one without any."""
    plane = ControlPlane(sqlite, tmp_path / "recordings")
    await plane.ready()
    await plane.add_bot(bot_id="other")
    call_id = await plane.talking("k1")
    facts = [
        TurnMeasured(at=START + timedelta(hours=n), turn=n, response_ms=100 * n, stt_ms=10 * n)
        for n in (1, 2, 3)
    ]
    await plane.report(call_id, Source.AGENT, 3, *facts)
    async with running_app(sqlite, tmp_path, clock=plane.clock) as sidecar:
        yield sidecar


async def test_bot_shows_the_spread_of_its_newest_turns(measured: SidecarApp) -> None:
    async with measured.operator() as operator:
        shown = (await operator.get("/api/v1/bots/desk/latency")).json()
        newest = (await operator.get("/api/v1/bots/desk/latency?limit=1")).json()
        since = {"since": (START + timedelta(hours=2)).isoformat()}
        later = (await operator.get("/api/v1/bots/desk/latency", params=since)).json()
    assert shown["turns"] == 3
    assert set(shown["stages"]) == {"response_ms", *STAGES}
    assert shown["stages"]["response_ms"] == {"p50": 200, "p95": 300}
    assert shown["stages"]["tool_ms"] == {"p50": None, "p95": None}
    assert (newest["turns"], newest["stages"]["stt_ms"]["p50"]) == (1, 30)
    assert later["turns"] == 2


async def test_bot_that_never_talked_has_no_turns_and_an_unknown_one_is_none(
    measured: SidecarApp,
) -> None:
    async with measured.operator() as operator:
        assert (await operator.get("/api/v1/bots/other/latency")).json()["turns"] == 0
        unknown = await operator.get("/api/v1/bots/nobody/latency")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "bot_unknown")


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "since=yesterday"])
async def test_bad_parameter_is_refused(measured: SidecarApp, query: str) -> None:
    async with measured.operator() as operator:
        answer = await operator.get(f"/api/v1/bots/desk/latency?{query}")
    assert answer.json()["error"]["code"] == "body_invalid"


async def test_key_sees_its_own_bots_alone(measured: SidecarApp) -> None:
    async with measured.operator() as operator:
        made = await operator.post("/api/v1/api-keys", json={"name": "k", "bot_ids": ["other"]})
    async with measured.operator(made.json()["key"]) as client:
        assert (await client.get("/api/v1/bots/other/latency")).status_code == 200
        assert (await client.get("/api/v1/bots/desk/latency")).status_code == 404
        assert (await client.get("/metrics")).status_code == 403
    async with measured.http() as stranger:
        assert (await stranger.get("/api/v1/bots/desk/latency")).status_code == 401


async def test_metrics_take_the_admin_key_as_header_or_bearer(measured: SidecarApp) -> None:
    async with measured.operator() as operator:
        by_header = await operator.get("/metrics")
    async with measured.http(Authorization="Bearer admin") as prometheus:
        by_bearer = await prometheus.get("/metrics")
    for answer in (by_header, by_bearer):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'sidecar_live_calls{state="talking"} 1.0' in answer.text
    for headers in ({}, {"Authorization": "Basic admin"}, {"Authorization": "Bearer wrong"}):
        async with measured.http(**headers) as stranger:
            assert (await stranger.get("/metrics")).status_code == 401
