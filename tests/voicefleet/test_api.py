"""`voicefleet.api`: the sidecar's answers, its refusals and its event stream."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from contracts.event import EventType
from voicefleet.api import ApiError, ApiUnavailable, SidecarApi

Answer = Callable[[httpx.Request], httpx.Response]
EVENT = {
    "id": "e-1",
    "type": "voicefleet.call.state",
    "subject": "c-1",
    "time": "2026-01-05T09:30:00Z",
    "sequence": 7,
}


def api(answer: Answer) -> SidecarApi:
    return SidecarApi("http://sidecar.test/", "vx_key", httpx.MockTransport(answer))


async def test_key_goes_with_every_request() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"calls": []})

    async with api(answer) as sidecar:
        assert await sidecar.calls(limit=3) == []
    assert seen[0].headers["X-API-Key"] == "vx_key"
    assert str(seen[0].url) == "http://sidecar.test/api/v1/calls?limit=3"


async def test_call_is_found_by_its_session_too() -> None:
    calls = {"call-7": "0198-7"}

    def answer(request: httpx.Request) -> httpx.Response:
        found = calls.get(request.url.params["session_id"])
        return httpx.Response(200, json={"calls": [{"call_id": found}] if found else []})

    async with api(answer) as sidecar:
        assert await sidecar.call_id_of("call-7") == "0198-7"
        assert await sidecar.call_id_of("0198-7") == "0198-7"


async def test_deliveries_are_asked_for_shown_and_replayed() -> None:
    seen: list[tuple[str, str, bytes]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.raw_path.decode(), request.content))
        return httpx.Response(200, json={"deliveries": [{"delivery_id": "d1"}], "replayed": 2})

    async with api(answer) as sidecar:
        assert await sidecar.deliveries(limit=3, state=["dead", "parked"]) == [
            {"delivery_id": "d1"}
        ]
        assert "deliveries" in await sidecar.delivery("d1")
        await sidecar.replay("d1")
        assert await sidecar.replay_those({"states": ["dead"]}) == 2
    assert seen == [
        ("GET", "/api/v1/deliveries?limit=3&state=dead&state=parked", b""),
        ("GET", "/api/v1/deliveries/d1", b""),
        ("POST", "/api/v1/deliveries/d1/replay", b""),
        ("POST", "/api/v1/deliveries/replay", b'{"states":["dead"]}'),
    ]


async def test_refusal_carries_its_code_and_faulty_fields() -> None:
    body = {
        "error": {
            "code": "config_invalid",
            "message": "the bot's config is invalid",
            "details": {"errors": [{"loc": ["vad", "stop_secs"], "msg": "too small"}]},
        }
    }
    async with api(lambda _: httpx.Response(422, json=body)) as sidecar:
        with pytest.raises(ApiError, match=r"invalid\n  vad\.stop_secs: too small") as caught:
            await sidecar.save_bot("desk", {})
    assert (caught.value.status, caught.value.code) == (422, "config_invalid")


async def test_refusal_of_one_field_says_it_once() -> None:
    fault = {"loc": ["bot_id"], "msg": "too long"}
    error = {"code": "c", "message": "bot_id: too long", "details": {"errors": [fault]}}
    async with api(lambda _: httpx.Response(422, json={"error": error})) as sidecar:
        with pytest.raises(ApiError, match=r"^bot_id: too long$"):
            await sidecar.save_bot("desk", {})


@pytest.mark.parametrize("body", [b"", b"gateway", b"[]", b'{"error": 1}'])
async def test_refusal_of_somebody_else_is_still_an_error(body: bytes) -> None:
    async with api(lambda _: httpx.Response(502, content=body)) as sidecar:
        with pytest.raises(ApiError) as caught:
            await sidecar.bots()
    assert (caught.value.status, caught.value.code) == (502, "")


async def test_silence_is_unavailable() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async with api(answer) as sidecar:
        with pytest.raises(ApiUnavailable, match=r"no sidecar answers at http://sidecar.test"):
            await sidecar.fleet()

        stream = sidecar.events()
        with pytest.raises(ApiUnavailable):
            await stream.__aenter__()


async def test_stream_yields_events_and_passes_over_the_rest() -> None:
    lines = f": ping\r\n\r\nid: 7\r\nevent: x\r\ndata: {json.dumps(EVENT)}\r\n\r\ndata: cut off"
    sidecar = api(lambda _: httpx.Response(200, text=lines))
    async with sidecar, sidecar.events() as stream:
        events = [event async for event in stream]
    assert [(event.type, event.sequence) for event in events] == [(EventType.CALL_STATE, 7)]


async def test_stream_that_is_refused_is_an_error() -> None:
    body = {"error": {"code": "key_invalid", "message": "no", "details": {}}}
    async with api(lambda _: httpx.Response(401, json=body)) as sidecar:
        stream = sidecar.events()
        with pytest.raises(ApiError, match="no"):
            await stream.__aenter__()
