"""LiveKit behind our own words: requests, tokens, failures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from aiohttp import web
from livekit import api

from contracts.ids import AGENT_NAME
from sidecar.rooms import Attendance, LiveKitRooms, RoomError, RoomRefused, RoomUnavailable

SECRET = "secret-of-at-least-32-characters!"
CALL_ID = "5f0b1c9e-8a52-4b7e-9f53-0c5a3c1d2e4f"


async def serve(
    answer: Callable[[web.Request], Awaitable[web.Response]],
    use: Callable[[LiveKitRooms], Awaitable[None]],
) -> None:
    app = web.Application()
    app.router.add_post("/twirp/{service}/{method}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    rooms = LiveKitRooms(f"ws://{host}:{port}", "devkey", SECRET)
    try:
        await use(rooms)
    finally:
        await rooms.aclose()
        await runner.cleanup()


async def test_room_is_made_with_its_agent_in_one_request() -> None:
    seen: list[tuple[str, bytes]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.match_info["method"], await request.read()))
        return web.Response(body=b"", content_type="application/protobuf")

    async def use(rooms: LiveKitRooms) -> None:
        await rooms.create(f"ws-{CALL_ID}", CALL_ID, 1)
        await rooms.dispatch(f"ws-{CALL_ID}", CALL_ID, 2)

    await serve(answer, use)
    (create, create_body), (dispatch, dispatch_body) = seen
    assert (create, dispatch) == ("CreateRoom", "CreateDispatch")
    room = api.CreateRoomRequest.FromString(create_body)
    assert (room.name, room.empty_timeout, room.departure_timeout) == (f"ws-{CALL_ID}", 20, 20)
    (agent,) = room.agents
    assert (agent.agent_name, agent.metadata) == (AGENT_NAME, f"{CALL_ID} 1")
    again = api.CreateAgentDispatchRequest.FromString(dispatch_body)
    assert (again.room, again.metadata) == (f"ws-{CALL_ID}", f"{CALL_ID} 2")


@pytest.mark.parametrize(("code", "is_fine"), [("not_found", True), ("unauthenticated", False)])
async def test_room_that_is_gone_already_is_fine(code: str, is_fine: bool) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"code": code, "msg": "m"}, status=404 if is_fine else 401)

    async def use(rooms: LiveKitRooms) -> None:
        if is_fine:
            await rooms.delete("ws-1")
        else:
            with pytest.raises(RoomRefused):
                await rooms.delete("ws-1")

    await serve(answer, use)


_KIND = api.ParticipantInfo.Kind
_PHONE = api.ParticipantInfo(identity="sip_+1", kind=_KIND.SIP)
_OTHER = api.ParticipantInfo(identity="other", kind=_KIND.STANDARD)
_AGENT = api.ParticipantInfo(identity="agent-1", kind=_KIND.AGENT)
_COME = [
    api.ParticipantInfo(identity=f"user-{at_ms}", joined_at=at_ms // 1000, joined_at_ms=at_ms)
    for at_ms in (2100, 2050, 1900)
]


@pytest.mark.parametrize(
    ("there", "called", "attendance"),
    [
        ([], None, Attendance()),
        ([_OTHER, _PHONE], [], Attendance(("other", "sip_+1"), "sip_+1")),
        ([_PHONE, _AGENT], [], Attendance(("sip_+1",), "sip_+1", has_agent=True)),
        ([_PHONE], [AGENT_NAME], Attendance(("sip_+1",), "sip_+1", has_agent=True)),
        ([_OTHER], ["somebody-elses"], Attendance(("other",))),
        (_COME, [], Attendance(("user-1900", "user-2050", "user-2100"))),
    ],
)
async def test_attendance_is_who_is_there_and_which_agent_was_called(
    there: list[api.ParticipantInfo], called: list[str] | None, attendance: Attendance
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.match_info["method"] == "ListParticipants":
            body = api.ListParticipantsResponse(participants=there).SerializeToString()
        else:
            # A server answers this question with an error for a room that is not there.
            assert called is not None
            dispatches = [api.AgentDispatch(agent_name=name) for name in called]
            body = api.ListAgentDispatchResponse(agent_dispatches=dispatches).SerializeToString()
        return web.Response(body=body, content_type="application/protobuf")

    async def use(rooms: LiveKitRooms) -> None:
        assert await rooms.attendance("call-1") == attendance

    await serve(answer, use)


@pytest.mark.parametrize(
    ("code", "status", "ours"),
    [("unavailable", 503, RoomUnavailable), ("unauthenticated", 401, RoomRefused)],
)
async def test_failure_says_whether_trying_again_may_help(
    code: str, status: int, ours: type[RoomError]
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"code": code, "msg": "of +15550100"}, status=status)

    async def use(rooms: LiveKitRooms) -> None:
        with pytest.raises(ours) as caught:
            await rooms.listed()
        # The server's text may hold a caller's number.
        assert str(caught.value) == code

    await serve(answer, use)


async def test_server_that_is_away_is_unavailable() -> None:
    rooms = LiveKitRooms("ws://127.0.0.1:1", "devkey", SECRET)
    with pytest.raises(RoomUnavailable):
        await rooms.delete("ws-1")
    await rooms.aclose()


async def test_closing_unused_rooms_is_fine() -> None:
    await LiveKitRooms("ws://127.0.0.1:1", "devkey", SECRET).aclose()


def test_token_opens_one_room_to_data_and_a_voice() -> None:
    rooms = LiveKitRooms("ws://127.0.0.1:1", "devkey", SECRET)
    claims = jwt.decode(
        rooms.caller_token("ws-1", f"caller-{CALL_ID}"), SECRET, algorithms=["HS256"]
    )
    assert claims["sub"] == f"caller-{CALL_ID}"
    assert claims["video"] == {
        "roomJoin": True,
        "room": "ws-1",
        "canPublish": True,
        "canPublishSources": ["microphone"],
        "canPublishData": True,
        "canSubscribe": True,
        "canUpdateOwnMetadata": True,
    }


def claims_of_visitor(*, text_only: bool) -> dict[str, Any]:
    rooms = LiveKitRooms("ws://127.0.0.1:1", "devkey", SECRET)
    token = rooms.visitor_token(
        "web-1", f"caller-{CALL_ID}", text_only=text_only, ttl=timedelta(minutes=5)
    )
    claims: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"])
    return claims


def test_visitors_token_opens_one_room_to_a_microphone_and_no_attributes() -> None:
    claims = claims_of_visitor(text_only=False)
    assert claims["video"] == {
        "roomJoin": True,
        "room": "web-1",
        "canPublish": True,
        "canPublishSources": ["microphone"],
        "canPublishData": True,
        "canSubscribe": True,
        "canUpdateOwnMetadata": False,
    }
    who = (claims["sub"], claims["name"], claims["exp"] - claims["nbf"])
    assert who == (f"caller-{CALL_ID}", "Website Visitor", 300)
    assert not {"attributes", "metadata", "kind", "roomConfig", "sip"} & {
        key for key, value in claims.items() if value
    }


def test_visitor_who_types_publishes_nothing() -> None:
    video = claims_of_visitor(text_only=True)["video"]
    assert (video["canPublish"], video["canPublishSources"]) == (False, [])
    assert (video["canPublishData"], video["canUpdateOwnMetadata"]) == (True, False)
