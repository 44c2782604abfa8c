"""LiveKit's webhooks: the signature over the raw body, and what follows from them."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from livekit import api

from contracts.ids import agent_identity
from sidecar.denial import Code, Denied
from sidecar.webhook import ParticipantLost, RoomFinished, WebhookReader
from tests.fakes.sidecar_app import SidecarApp

KEY, SECRET = "devkey", "secret-of-at-least-32-characters!"
PATH = "/api/v1/livekit/webhook"
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


def test_participant_that_vanished_is_told_but_not_one_that_left() -> None:
    told = read(left("CONNECTION_TIMEOUT"))
    assert told == ParticipantLost(
        f"ws-{CALL_ID}", agent_identity(CALL_ID, 1), "CONNECTION_TIMEOUT"
    )
    for reason in ("CLIENT_INITIATED", "ROOM_CLOSED", "ROOM_DELETED", "PARTICIPANT_REMOVED"):
        assert read(left(reason)) is None


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


async def test_webhook_is_taken_by_its_signature_alone(sidecar: SidecarApp) -> None:
    body = json.dumps({"event": "room_finished", "room": {"name": "ws-unknown"}}).encode()
    async with sidecar.http() as http:
        answer = await http.post(PATH, content=body, headers={"Authorization": signed(body)})
        unsigned = await http.post(PATH, content=body)
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    assert (unsigned.status_code, unsigned.json()["detail"]) == (401, "Missing auth")
