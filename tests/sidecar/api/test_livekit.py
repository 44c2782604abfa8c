"""LiveKit's webhooks: the signature over the raw body, and what follows from them."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import httpx
import pytest
from livekit import api

from contracts.ids import agent_identity
from sidecar.denial import Code, Denied
from sidecar.rooms import Attendance, RoomUnavailable
from sidecar.sip_caller import SipCaller
from sidecar.webhook import (
    ParticipantLeft,
    PersonJoined,
    PhoneJoined,
    RoomFinished,
    WebhookReader,
)
from tests.fakes.control_plane import BOT
from tests.fakes.sidecar_app import SidecarApp
from tests.sidecar.api.test_hostile import BEAT, EVERYTHING

KEY, SECRET = "devkey", "secret-of-at-least-32-characters!"
PATH = "/api/v1/livekit/webhook"
AT_END = "2030-06-05T10:00:00Z"
CALL_ID = "6f1c7d52-92a4-4c5e-9a39-0d3c1f0a7b11"
LEFT: dict[str, Any] = {
    "event": "participant_left",
    "room": {"name": f"ws-{CALL_ID}"},
    "participant": {"identity": agent_identity(CALL_ID, 1)},
}


def signed(body: bytes, secret: str = SECRET) -> str:
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return api.AccessToken(KEY, secret).with_sha256(digest).to_jwt()


def read(event: dict[str, Any]) -> object:
    body = json.dumps(event).encode()
    return WebhookReader(KEY, SECRET).read(body, f"Bearer {signed(body)}")


def left(reason: str) -> dict[str, Any]:
    return {**LEFT, "participant": {**LEFT["participant"], "disconnectReason": reason}}


def test_room_that_finished_is_told() -> None:
    event = {"event": "room_finished", "room": {"name": "ws-1"}, "futureField": 1}
    assert read(event) == RoomFinished("ws-1")


@pytest.mark.parametrize("reason", ["CONNECTION_TIMEOUT", "CLIENT_INITIATED", "USER_REJECTED"])
def test_participant_that_left_is_told_with_its_reason(reason: str) -> None:
    told = ParticipantLeft(f"ws-{CALL_ID}", agent_identity(CALL_ID, 1), reason)
    assert read(left(reason)) == told
    aborted = {**left(reason), "event": "participant_connection_aborted"}
    assert read(aborted) == told


def test_reason_of_a_newer_server_is_told_as_unknown() -> None:
    event = {**LEFT, "participant": {**LEFT["participant"], "disconnectReason": 4711}}
    assert read(event) == ParticipantLeft(
        f"ws-{CALL_ID}", agent_identity(CALL_ID, 1), "UNKNOWN_REASON"
    )


JOINED: dict[str, Any] = {
    "event": "participant_joined",
    "room": {"name": "call-_+919876543210_abc"},
    "participant": {
        "identity": "sip_+15550100",
        "kind": "SIP",
        "attributes": {
            "sip.phoneNumber": "+15550100",
            "sip.trunkPhoneNumber": "+919876543210",
            "sip.trunkID": "ST_in",
            "sip.callID": "SCL_1",
        },
    },
}


def test_phone_that_a_rule_let_in_is_told() -> None:
    assert read(JOINED) == PhoneJoined(
        SipCaller(
            room_name="call-_+919876543210_abc",
            identity="sip_+15550100",
            caller_id="+15550100",
            dialled="+919876543210",
            livekit_trunk_id="ST_in",
            call_ref="SCL_1",
            connected_event={},
        )
    )


@pytest.mark.parametrize("attributes", [{}, JOINED["participant"]["attributes"]])
@pytest.mark.parametrize("room", ["web-1", "call-1", "shop"])
def test_person_that_joins_is_no_phone_whatever_they_say_of_themselves(
    room: str, attributes: dict[str, str]
) -> None:
    who = {"identity": "caller-1", "kind": "STANDARD", "attributes": attributes}
    told = read({**JOINED, "room": {"name": room}, "participant": who})
    assert told == PersonJoined(room, "caller-1")


def test_others_that_join_are_no_concern_of_ours() -> None:
    assert read({**JOINED, "room": {"name": "dialout-1"}}) is None
    assert read({**JOINED, "participant": {"identity": "agent-1", "kind": "AGENT"}}) is None


def test_other_events_are_no_concern_of_ours() -> None:
    assert read({"event": "track_published"}) is None


@pytest.mark.parametrize(
    ("body", "authorization", "message"),
    [
        (b"{}", "", "Missing auth"),
        (b"{}", "Bearer ", "Missing auth"),
        (b"{}", "Bearer nonsense", "Invalid signature"),
        (b"{}", signed(b"{}", "another-secret-of-32-characters!!"), "Invalid signature"),
        (b"{ }", signed(b"{}"), "Invalid signature"),
        (b"\xff", signed(b"\xff"), "Invalid signature"),
        (b"{}", api.AccessToken(KEY, SECRET).to_jwt(), "Invalid signature"),
    ],
)
def test_what_nobody_signed_is_refused(body: bytes, authorization: str, message: str) -> None:
    with pytest.raises(Denied) as denied:
        WebhookReader(KEY, SECRET).read(body, authorization)
    assert (denied.value.code, denied.value.message) == (Code.UNAUTHORISED, message)


def test_signed_nonsense_is_refused() -> None:
    with pytest.raises(Denied) as denied:
        WebhookReader(KEY, SECRET).read(b"nonsense", signed(b"nonsense"))
    assert denied.value.code is Code.BODY_INVALID


NUMBER = "+919876543210"
ROOM = "call-_+919876543210_abc"
PHONE = "sip_+15550100"
DISPATCH = {"room_name": ROOM, "caller_number": "+15550100", "dialed_number": NUMBER}


async def open_desk(sidecar: SidecarApp, *, max_calls: int = 2, ready: bool = True) -> None:
    """A bot behind a number, agents, and a phone in its room."""
    async with sidecar.http(**EVERYTHING) as http:
        await http.post("/api/v1/bots", json=BOT)
        await http.post("/api/v1/numbers", json={"number": NUMBER, "bot_id": "desk"})
        beat = {**BEAT, "max_calls": max_calls, "ready": ready}
        assert (await http.post("/internal/v1/heartbeats", json=beat)).status_code == 200
    sidecar.rooms.attendances[ROOM] = Attendance((PHONE,), PHONE)


async def post(sidecar: SidecarApp, event: dict[str, Any]) -> httpx.Response:
    body = json.dumps(event).encode()
    async with sidecar.http() as http:
        return await http.post(PATH, content=body, headers={"Authorization": signed(body)})


async def dispatched(sidecar: SidecarApp, **changed: Any) -> httpx.Response:
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        return await http.post("/livekit/dispatch", json={**DISPATCH, **changed})


async def test_dispatch_calls_an_agent_and_answers_at_once(sidecar: SidecarApp) -> None:
    await open_desk(sidecar)
    answer = await dispatched(sidecar)
    call_id = answer.json()["call_id"]
    assert (answer.status_code, answer.json()) == (
        200, {"status": "accepted", "call_id": call_id},
    )  # fmt: skip
    await sidecar.rooms.reached(dispatches=1)
    assert sidecar.rooms.dispatches == [(ROOM, call_id, 1)]


async def test_dispatch_keeps_the_callers_name_of_the_call(sidecar: SidecarApp) -> None:
    await open_desk(sidecar)
    answer = await dispatched(sidecar, call_id="SCL_1")
    assert answer.json() == {"status": "accepted", "call_id": "SCL_1"}
    await sidecar.rooms.reached(dispatches=1)
    async with sidecar.operator() as operator:
        [call] = (await operator.get("/api/v1/calls")).json()["calls"]
    assert call["stream_id"] == "SCL_1"


@pytest.mark.parametrize(
    ("desk", "changed", "status", "error", "removed"),
    [
        ({}, {"dialed_number": "+918000000000"}, 404, "no bot answers the dialled number", True),
        ({"max_calls": 0}, {}, 429, "At capacity", True),
        ({"ready": False}, {}, 503, "no agent worker is ready; start one", False),
    ],
)
async def test_dispatch_that_is_refused_sends_the_phone_away(
    sidecar: SidecarApp,
    desk: dict[str, Any],
    changed: dict[str, Any],
    status: int,
    error: str,
    removed: bool,
) -> None:
    await open_desk(sidecar, **desk)
    answer = await dispatched(sidecar, **changed)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["detail"] == error
    assert sidecar.rooms.removed == ([(ROOM, PHONE)] if removed else [])
    assert sidecar.rooms.dispatches == []


async def test_dispatch_needs_the_secret_and_a_body(sidecar: SidecarApp) -> None:
    async with sidecar.http() as http:
        assert (await http.post("/livekit/dispatch", json=DISPATCH)).status_code == 403
    assert (await dispatched(sidecar, room_name="")).status_code == 422
    assert (await dispatched(sidecar, call_id="x" * 201)).status_code == 422


async def test_livekit_that_is_away_is_unavailable(sidecar: SidecarApp) -> None:
    await open_desk(sidecar)
    sidecar.rooms.failure = RoomUnavailable("down")
    assert (await dispatched(sidecar)).status_code == 503


async def test_phone_that_joins_gets_an_agent_once(sidecar: SidecarApp) -> None:
    await open_desk(sidecar)
    for _ in range(2):
        answer = await post(sidecar, JOINED)
        assert (answer.status_code, answer.json()) == (200, {"ok": True})
        await sidecar.rooms.reached(dispatches=1)
    assert len(sidecar.rooms.dispatches) == 1


@pytest.mark.parametrize(
    ("desk", "status", "error", "removed"),
    [
        ({"max_calls": 0}, 429, "At capacity", True),
        ({"ready": False}, 503, "No healthy fleet", False),
    ],
)
async def test_phone_that_cannot_be_served_is_told_to_livekit(
    sidecar: SidecarApp, desk: dict[str, Any], status: int, error: str, removed: bool
) -> None:
    await open_desk(sidecar, **desk)
    answer = await post(sidecar, JOINED)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert bool(sidecar.rooms.removed) is removed


async def test_phone_that_leaves_ends_its_call(sidecar: SidecarApp) -> None:
    await open_desk(sidecar)
    claim = {
        "room_name": ROOM,
        "worker_id": "w1",
        "caller_identity": PHONE,
        "attributes": JOINED["participant"]["attributes"],
    }
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        plan = (await http.post("/internal/v1/rooms/claim", json=claim)).json()
        assert (plan["media"], plan["caller_identity"]) == ("tracks", PHONE)
        # Its webhook comes late, and calls nobody.
        assert (await post(sidecar, JOINED)).json() == {"ok": True}
        assert sidecar.rooms.dispatches == []
        lost = {**claim, "worker_id": "w2"}
        assert (await http.post("/internal/v1/rooms/claim", json=lost)).status_code == 409
        gone = {**LEFT, "room": {"name": ROOM}, "participant": {"identity": PHONE}}
        gone["participant"]["disconnectReason"] = "CLIENT_INITIATED"
        assert (await post(sidecar, gone)).json() == {"ok": True}
        over = {
            "source": "agent",
            "incarnation": 1,
            "seq": 1,
            "facts": [{"type": "agent_ended", "at": AT_END, "reason": "caller_hung_up"}],
        }
        path = f"/internal/v1/calls/{plan['call_id']}/reports"
        assert (await http.post(path, json=over)).status_code == 200
    async with sidecar.operator() as operator:
        call = (await operator.get(f"/api/v1/calls/{plan['call_id']}")).json()
    assert (call["state"], call["reason"]) == ("ended", "caller_hung_up")


async def test_webhook_is_taken_by_its_signature_alone(sidecar: SidecarApp) -> None:
    body = json.dumps({"event": "room_finished", "room": {"name": "ws-unknown"}}).encode()
    async with sidecar.http() as http:
        answer = await http.post(PATH, content=body, headers={"Authorization": signed(body)})
        unsigned = await http.post(PATH, content=body)
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert (unsigned.status_code, unsigned.json()["detail"]) == (401, "Missing auth")
