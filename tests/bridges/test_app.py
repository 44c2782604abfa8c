"""The server: plain HTTP, refusals before the upgrade, refusals after it, draining."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bridges import fleet
from bridges.app import Bridge
from bridges.clock import Clock
from bridges.exotel_softphone import ExotelSoftphone
from bridges.phone import Phone
from bridges.settings import Settings
from contracts.ids import Channel
from contracts.outcome import Reason
from tests.fakes.sidecar import FakeSidecar

FLEET_REGEX = re.compile(r'"fleet_available":([1-9]|1[0-6])[,}]')


@asynccontextmanager
async def running(
    sidecar: FakeSidecar | None = None, **settings: Any
) -> AsyncIterator[tuple[Bridge, FakeSidecar]]:
    sidecar = sidecar or FakeSidecar()
    async with (
        sidecar.client() as client,
        Bridge(Settings(bridge_port=0, **settings), client, Clock()) as bridge,
    ):
        yield bridge, sidecar


async def get(bridge: Bridge, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://127.0.0.1:{bridge.port}{path}")


def stream_url(bridge: Bridge, path: str = "/ws/desk") -> str:
    return f"ws://127.0.0.1:{bridge.port}{path}"


async def fleet_of(bridge: Bridge, available: int) -> str:
    """Wait until the bridge tells so many free slots."""
    async with asyncio.timeout(5):
        while True:
            text = (await get(bridge, "/health/fleet")).text
            if f'"fleet_available":{available},' in text:
                return text
            await asyncio.sleep(0.01)


async def all_slots_free(bridge: Bridge) -> None:
    async with asyncio.timeout(5):
        while True:
            if not (await get(bridge, "/health")).json()["worker_calls"]:
                return
            await asyncio.sleep(0.01)


async def test_health_is_answered_beside_the_streams() -> None:
    async with running(bridge_max_calls=3) as (bridge, _):
        answer = await get(bridge, "/health")

    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert (body["status"], body["worker_calls"], body["worker_max"]) == ("ok", 0, 3)
    assert (body["total_capacity"], body["total_available"], body["workers"]) == (3, 3, 1)
    assert body["worker_id"] == bridge.bridge_id
    assert isinstance(body["worker_pid"], int)


async def test_fleet_is_the_sidecars_capped_by_our_own_slots() -> None:
    async with running(bridge_max_calls=3) as (bridge, sidecar):
        text = await fleet_of(bridge, 3)

    assert FLEET_REGEX.search(text)
    assert " " not in text
    body = json.loads(text)
    assert (body["fleet_calls"], body["fleet_max"], len(body["workers"])) == (3, 8, 1)
    beat = sidecar.heartbeats[0]
    assert (beat.kind, beat.id, beat.ready) == ("bridge", bridge.bridge_id, True)
    assert (beat.max_calls, beat.calls) == (3, [])


@pytest.mark.parametrize("broken", ["away", "fleet_available"])
async def test_fleet_without_a_sidecar_is_full(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "INTERVAL_S", 0.01)
    async with running() as (bridge, sidecar):
        await fleet_of(bridge, 5)
        setattr(sidecar, broken, True if broken == "away" else None)
        text = await fleet_of(bridge, 0)
        assert json.loads(text)["status"] == "ok"

        sidecar.away, sidecar.fleet_available = False, 2
        await fleet_of(bridge, 2)


async def test_metrics_are_in_prometheus_format() -> None:
    async with running() as (bridge, _):
        text = (await get(bridge, "/metrics")).text

    assert "bridge_active_calls 0.0" in text
    assert 'bridge_frame_lateness_seconds_bucket{le="+Inf"} 0.0' in text
    assert 'bridge_endings_total{reason="peer_stalled"} 0.0' in text


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/a/b", "/exotel", "/exotel/a/b"])
async def test_unknown_path_is_not_found(path: str) -> None:
    async with running() as (bridge, _):
        answer = await get(bridge, path)

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


async def test_plan_request_of_exotels_door_carries_all_that_is_known() -> None:
    async with running() as (bridge, sidecar):
        sidecar.refusal = (503, "outside_hours", "closed")
        async with ExotelSoftphone.call(
            stream_url(bridge, "/exotel/desk"),
            caller_id="+10000000001",
            did="2",
            stream_id="s-1",
            fields={"campaign": "renewals"},
            token="t0ken",
            rate_hz=24000,
        ) as phone:
            assert await phone.wait_closed() == 4403
        await all_slots_free(bridge)
        text = (await get(bridge, "/metrics")).text

    (request,) = sidecar.requests
    assert (request.channel, request.bot_id) == (Channel.EXOTEL, "desk")
    assert (request.caller_id, request.did, request.stream_id) == ("+10000000001", "2", "s-1")
    assert (request.presented_token, request.media_rate_hz) == ("t0ken", 24000)
    assert request.answered
    assert request.connected_event == {
        "campaign": "renewals",
        "stream_sid": "s-1",
        "call_sid": "call-s-1",
        "account_sid": "softphone",
        "from": "+10000000001",
        "to": "2",
    }
    assert 'bridge_calls_total{door="exotel"} 1.0' in text


async def test_call_above_the_limit_is_refused_before_the_upgrade() -> None:
    async with running(bridge_max_calls=1) as (bridge, sidecar):
        sidecar.gate.clear()
        async with connect(stream_url(bridge)) as first:
            with pytest.raises(InvalidStatus) as refused:
                await connect(stream_url(bridge))
            await first.close()
        sidecar.gate.set()
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "5"
        assert b'"code":"at_capacity"' in refused.value.response.body
        assert (
            'bridge_refused_total{cause="at_capacity"} 1.0' in (await get(bridge, "/metrics")).text
        )

        await all_slots_free(bridge)
        async with connect(stream_url(bridge)):
            pass


async def test_request_that_never_upgrades_keeps_no_slot() -> None:
    async with running(bridge_max_calls=1) as (bridge, _):
        assert (await get(bridge, "/ws/desk")).status_code == 426

        async with connect(stream_url(bridge)):
            pass


@pytest.mark.parametrize(
    ("status", "code", "close_code"),
    [
        (401, "unauthorised", 4401),
        (404, "bot_unknown", 4404),
        (429, "at_capacity", 4429),
        (503, "outside_hours", 4403),
        (503, "no_agent", 1013),
        (422, "config_invalid", 4503),
    ],
)
async def test_refused_plan_closes_with_its_code_and_reports_nothing(
    status: int, code: str, close_code: int
) -> None:
    async with running() as (bridge, sidecar):
        sidecar.refusal = (status, code, f"because {code}")
        async with Phone.call(stream_url(bridge), ring_s=5.0) as phone:
            pass

        assert (phone.close_code, phone.close_reason) == (close_code, f"because {code}")
        assert phone.hung_up is None
        assert sidecar.facts == {}


async def test_sidecar_that_is_away_closes_with_unavailable() -> None:
    async with running() as (bridge, sidecar):
        sidecar.away = True
        async with Phone.call(stream_url(bridge), ring_s=5.0) as phone:
            pass

        assert phone.close_code == 4503


async def test_plan_request_carries_all_that_is_known() -> None:
    async with running(trusted_proxies="127.0.0.1") as (bridge, sidecar):
        sidecar.refusal = (404, "bot_unknown", "no")
        async with Phone.call(
            stream_url(bridge, "/ws/my%20bot"),
            caller_id="+10000000001",
            did="2",
            direction="outgoing",
            stream_id="s-1",
            fields={"campaign": "renewals"},
            token="t0ken",
            ring_s=5.0,
        ):
            pass

    (request,) = sidecar.requests
    assert (request.bot_id, request.caller_id, request.did) == ("my bot", "+10000000001", "2")
    assert (request.call_direction, request.stream_id) == ("outgoing", "s-1")
    assert (request.presented_token, request.peer_ip) == ("t0ken", "127.0.0.1")
    assert request.bridge_id == bridge.bridge_id
    assert request.connected_event["campaign"] == "renewals"


async def test_broken_protocol_is_counted_and_hurts_no_other_call() -> None:
    async with running() as (bridge, sidecar):
        sidecar.gate.clear()
        async with connect(stream_url(bridge)) as healthy, connect(stream_url(bridge)) as broken:
            await healthy.send('{"event":"connected","callerId":"1"}')
            await broken.send("hello")
            await broken.wait_closed()
            assert (broken.close_code, broken.close_reason) == (4400, "message is not JSON")
            await healthy.send('{"event":"start","streamId":"s"}')
            await healthy.ping()
            assert healthy.close_code is None
        sidecar.refusal = (404, "bot_unknown", "no")
        sidecar.gate.set()
        text = (await get(bridge, "/metrics")).text
        assert 'bridge_protocol_errors_total{reason="malformed"} 1.0' in text


async def test_draining_refuses_new_calls_and_ends_the_rest_with_a_report() -> None:
    async with running(bridge_max_calls=4) as (bridge, sidecar):
        sidecar.gate.clear()
        async with Phone.call(stream_url(bridge)) as phone:
            draining = asyncio.create_task(bridge.drain(0.3))
            await asyncio.sleep(0)
            with pytest.raises(InvalidStatus) as refused:
                await connect(stream_url(bridge))
            assert refused.value.response.status_code == 503
            assert json.loads((await get(bridge, "/health")).text)["total_available"] == 0

            sidecar.gate.set()  # the plan comes while the call is being ended
            assert await phone.wait_closed() in {1011, 1012}
            await draining
        ended = await sidecar.ended()

    assert ended.reason in {Reason.BRIDGE_LOST, Reason.ROOM_LOST}


async def test_draining_waits_for_calls_that_end_by_themselves() -> None:
    async with running() as (bridge, sidecar):
        sidecar.gate.clear()
        async with connect(stream_url(bridge)) as peer:
            draining = asyncio.create_task(bridge.drain(10.0))
            await asyncio.sleep(0.05)
            assert not draining.done()
            await peer.close()
            sidecar.gate.set()
            await asyncio.wait_for(draining, 5)


async def test_peer_that_pings_without_reading_is_let_go() -> None:
    async with running() as (bridge, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", bridge.port, limit=1024)
        writer.write(
            b"GET /ws/desk HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        ping = b"\x89\xfd" + bytes(4) + b"x" * 125

        async def flood() -> None:
            while True:
                writer.write(ping * 500)
                await writer.drain()

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(flood(), 10)
        await all_slots_free(bridge)
        writer.transport.abort()
