"""The internal API over HTTP, through the client that agents and bridges use."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.plan import Claim, Plan, PlanRequest
from contracts.report import (
    AgentEnded,
    AgentJoined,
    Heartbeat,
    LegAnswered,
    LegEnded,
    Report,
    Source,
)
from sidecar.client import Refused, SidecarClient
from sidecar.clock import utc_now
from tests.fakes.control_plane import BOT
from tests.fakes.recordings import offer_of, wav_of
from tests.fakes.sidecar_app import SidecarApp

REQUEST = PlanRequest(channel=Channel.WEBSOCKET, bot_id="desk", idempotency_key="k1")


async def make_ready(sidecar: SidecarApp, client: SidecarClient) -> None:
    async with sidecar.operator() as operator:
        await operator.post("/api/v1/bots", json=BOT)
    await client.heartbeat(
        Heartbeat(
            kind="agent", id="w1", host="h", pid=1, ready=True, max_calls=2, started_at=utc_now()
        )
    )


async def planned(sidecar: SidecarApp, client: SidecarClient) -> Plan:
    await make_ready(sidecar, client)
    return await client.plan(REQUEST)


async def refused(client: SidecarClient, call_id: str, report: Report) -> Refused:
    with pytest.raises(Refused) as caught:
        await client.report(call_id, report)
    return caught.value


async def test_a_whole_call_over_http(sidecar: SidecarApp, tmp_path: Path) -> None:
    async with sidecar.service() as client:
        plan = await planned(sidecar, client)
        await client.claim(plan.call_id, Claim(incarnation=1, worker_id="w1"))
        now = utc_now()
        leg = [LegAnswered(at=now), LegEnded(at=now, reason=Reason.CALLER_HUNG_UP)]
        agent = [AgentJoined(at=now), AgentEnded(at=now, reason=Reason.CALLER_HUNG_UP)]
        for source, facts in ((Source.BRIDGE, leg), (Source.AGENT, agent)):
            report = Report(source=source, incarnation=1, seq=1, facts=facts)
            assert (await client.report(plan.call_id, report)).applied_seq == 2
        wav = tmp_path / "call.wav"
        wav.write_bytes(wav_of((0.5, 1)))
        offer = offer_of(wav.read_bytes())
        target = await client.offer_recording(plan.call_id, offer)
        assert not target.url
        await client.put_recording(plan.call_id, wav, offer)
        await sidecar.rooms.reached(deleted=1)
    assert target.key == f"recordings/{now:%Y/%m/%d}/{plan.session_id}.wav"


async def test_old_incarnation_is_refused_on_the_wire(sidecar: SidecarApp) -> None:
    async with sidecar.service() as client:
        plan = await planned(sidecar, client)
        await sidecar.rooms.reached(dispatches=2)
        with pytest.raises(Refused) as caught:
            await client.claim(plan.call_id, Claim(incarnation=1, worker_id="w1"))
        facts = [AgentJoined(at=utc_now())]
        report = Report(source=Source.AGENT, incarnation=1, seq=1, facts=facts)
        refusal = await refused(client, plan.call_id, report)
    assert (caught.value.status, caught.value.code) == (409, "stale_incarnation")
    assert (refusal.status, refusal.code) == (409, "stale_incarnation")


async def test_gap_tells_where_to_go_on(sidecar: SidecarApp) -> None:
    async with sidecar.service() as client:
        plan = await planned(sidecar, client)
        facts = [LegAnswered(at=utc_now())]
        report = Report(source=Source.BRIDGE, incarnation=1, seq=9, facts=facts)
        refusal = await refused(client, plan.call_id, report)
    assert (refusal.status, refusal.details) == (409, {"applied_seq": 0})


async def test_refusals_have_their_status_and_retry_after(sidecar: SidecarApp) -> None:
    async with sidecar.service() as client:
        with pytest.raises(Refused) as no_agent:
            await client.plan(REQUEST)
        await make_ready(sidecar, client)
        unknown = REQUEST.model_copy(update={"bot_id": "nobody"})
        with pytest.raises(Refused) as no_bot:
            await client.plan(unknown)
        for number in range(2):
            await make_ready(sidecar, client)  # its word is good for three seconds
            await client.plan(REQUEST.model_copy(update={"idempotency_key": f"fill-{number}"}))
        await make_ready(sidecar, client)
        with pytest.raises(Refused) as full:
            await client.plan(REQUEST)
    assert (no_agent.value.status, no_agent.value.code) == (503, "no_agent")
    assert (no_bot.value.status, no_bot.value.code) == (404, "bot_unknown")
    assert (full.value.status, full.value.code) == (429, "at_capacity")
    assert full.value.retry_after_s == 2


@pytest.mark.parametrize("name", ["X-VoxCore-Secret", "X-CXBCore-Secret", "X-CXB-Core-Secret"])
async def test_secret_is_taken_in_every_spelling(sidecar: SidecarApp, name: str) -> None:
    async with sidecar.http(**{name: "s3cret"}) as http:
        response = await http.post("/internal/v1/calls", content=REQUEST.model_dump_json())
    assert response.json()["error"]["code"] == "no_agent"


@pytest.mark.parametrize("secret", ["", "wrong", "s3cret "])
async def test_wrong_secret_is_refused_everywhere(sidecar: SidecarApp, secret: str) -> None:
    async with sidecar.http(X_VoxCore_Secret=secret.rstrip() + "!") as http:
        for method, path in (
            ("POST", "/internal/v1/calls"),
            ("POST", "/internal/v1/calls/x/claim"),
            ("POST", "/internal/v1/calls/x/reports"),
            ("PUT", "/internal/v1/calls/x/recording"),
            ("POST", "/internal/v1/heartbeats"),
            ("GET", "/api/v1/config/desk"),
            ("GET", "/recordings/x.wav"),
        ):
            response = await http.request(method, path)
            assert (response.status_code, response.json()["error"]["code"]) == (403, "secret_wrong")


async def test_body_that_does_not_fit_names_the_field(sidecar: SidecarApp) -> None:
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        response = await http.post("/internal/v1/calls", json={"bot_id": "desk"})
    assert response.status_code == 422
    fields = {error["loc"][0] for error in response.json()["error"]["details"]["errors"]}
    assert fields == {"channel", "idempotency_key"}
