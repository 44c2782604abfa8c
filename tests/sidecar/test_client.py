"""The client's answers and errors, over a transport that is a function."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from contracts.bot import BotConfig
from contracts.ids import Channel
from contracts.plan import AgentPlan, Claim, Plan, PlanRequest, Wait
from contracts.recording import RecordingOffer, RecordingTarget
from contracts.report import Heartbeat
from sidecar.client import Refused, SidecarClient, Unavailable
from sidecar.standby import HOLD_S
from tests.fakes.recordings import offer_of

CALL_ID = "5f0b1c9e-8a52-4b7e-9f53-0c5a3c1d2e4f"
AT = datetime(2026, 6, 5, 10, 0, tzinfo=UTC)
REQUEST = PlanRequest(channel=Channel.WEBSOCKET, bot_id="demo", idempotency_key="k1")
PLAN = Plan(
    call_id=CALL_ID,
    session_id="s1",
    room_name=f"ws-{CALL_ID}",
    livekit_url="ws://127.0.0.1:7880",
    token="jwt",
    caller_identity=f"caller-{CALL_ID}",
)


def client_of(answer: Callable[[httpx.Request], httpx.Response]) -> SidecarClient:
    return SidecarClient("http://sidecar", "s3cret", transport=httpx.MockTransport(answer))


def refusal(status: int, code: str, **headers: str) -> httpx.Response:
    body = {"error": {"code": code, "message": "no", "details": {"applied_seq": 3}}}
    return httpx.Response(status, json=body, headers=headers)


async def test_plan_sends_the_secret_and_returns_the_plan() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["X-VoxCore-Secret"] == "s3cret"
        assert (request.method, request.url.path) == ("POST", "/internal/v1/calls")
        assert json.loads(request.content)["bot_id"] == "demo"
        return httpx.Response(200, text=PLAN.model_dump_json())

    async with client_of(answer) as client:
        assert await client.plan(REQUEST) == PLAN


async def test_claim_returns_the_agents_plan() -> None:
    plan = AgentPlan(
        call_id=CALL_ID,
        session_id="s1",
        incarnation=2,
        channel=Channel.WEBSOCKET,
        call_direction="incoming",
        caller_identity=f"caller-{CALL_ID}",
        config=BotConfig(bot_id="demo"),
    )

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == f"/internal/v1/calls/{CALL_ID}/claim"
        return httpx.Response(200, text=plan.model_dump_json())

    async with client_of(answer) as client:
        assert await client.claim(CALL_ID, Claim(incarnation=2, worker_id="w1")) == plan


async def test_heartbeat_takes_an_empty_answer() -> None:
    async with client_of(lambda _: httpx.Response(204)) as client:
        await client.heartbeat(
            Heartbeat(
                kind="agent", id="w1", host="h", pid=1, ready=True, max_calls=8, started_at=AT
            )
        )


async def test_wait_that_brought_no_call_says_so() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/internal/v1/standbys/s1/wait"
        assert request.extensions["timeout"]["read"] > HOLD_S
        return httpx.Response(204)

    async with client_of(answer) as client:
        assert await client.wait("s1", Wait(worker_id="w1")) is None


async def test_fleet_returns_the_object() -> None:
    async with client_of(lambda _: httpx.Response(200, json={"status": "ok"})) as client:
        assert await client.fleet() == {"status": "ok"}


async def test_put_recording_streams_the_file_with_its_length(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(b"x" * 600_000)
    offer = offer_of(path.read_bytes(), 2)

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Content-Length"] == "600000"
        assert request.headers["Content-Type"] == "audio/wav"
        assert "Transfer-Encoding" not in request.headers
        assert RecordingOffer.model_validate(dict(request.url.params)) == offer
        assert len(request.content) == 600_000
        return httpx.Response(204)

    async with client_of(answer) as client:
        await client.put_recording(CALL_ID, path, offer)


async def test_recording_is_offered_and_confirmed_by_its_key() -> None:
    offer, target = offer_of(bytes(100)), RecordingTarget(key="a/b.wav", url="http://s3/b.wav")
    asked: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert RecordingOffer.model_validate_json(request.content) == offer
        asked.append((request.url.path.rpartition("/")[2], request.url.params.get("key", "")))
        return httpx.Response(200, text=target.model_dump_json())

    async with client_of(answer) as client:
        assert await client.offer_recording(CALL_ID, offer) == target
        await client.confirm_recording(CALL_ID, offer, target.key)
    assert asked == [("recording", ""), ("stored", "a/b.wav")]


async def test_refused_carries_what_the_sidecar_said() -> None:
    async with client_of(lambda _: refusal(429, "at_capacity", **{"Retry-After": "2"})) as client:
        with pytest.raises(Refused) as caught:
            await client.plan(REQUEST)
    error = caught.value
    assert (error.status, error.code, error.retry_after_s) == (429, "at_capacity", 2.0)
    assert error.details == {"applied_seq": 3}


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(502, text="<html>bad gateway</html>"), Unavailable),
        (httpx.Response(500, json={"detail": "x"}), Unavailable),
        (httpx.Response(404, text="not ours"), Refused),
        (httpx.Response(200, text="not a plan"), Unavailable),
        (httpx.Response(503, json={"error": {"code": "no_agent", "message": "m"}}), Refused),
    ],
)
async def test_answers_that_are_not_ours_are_classified(
    response: httpx.Response, error: type[Exception]
) -> None:
    async with client_of(lambda _: response) as client:
        with pytest.raises(error):
            await client.plan(REQUEST)


async def test_no_connection_is_unavailable() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async with client_of(answer) as client:
        with pytest.raises(Unavailable):
            await client.plan(REQUEST)


async def test_fleet_that_is_not_an_object_is_unavailable() -> None:
    async with client_of(lambda _: httpx.Response(200, text="[1")) as client:
        with pytest.raises(Unavailable):
            await client.fleet()
