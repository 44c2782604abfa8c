"""Agents have a line without a bridge hung up by HTTP; nobody else does."""

from __future__ import annotations

import pytest

from contracts.command import CallCommand, HangUp
from contracts.ids import Channel
from contracts.plan import Claim, PlanRequest
from sidecar.client import Refused
from tests.fakes.sidecar_app import SidecarApp
from tests.sidecar.api.test_internal import make_ready

ASKED = CallCommand(incarnation=1, command=HangUp())


async def planned(sidecar: SidecarApp) -> str:
    async with sidecar.service() as client:
        await make_ready(sidecar, client)
        asked = PlanRequest(
            channel=Channel.DIALOUT, bot_id="desk", idempotency_key="k", media="tracks"
        )
        call_id = (await client.plan(asked)).call_id
        await client.claim(call_id, Claim(incarnation=1, worker_id="w"))
    return call_id


async def test_agent_has_its_caller_s_line_hung_up(sidecar: SidecarApp) -> None:
    call_id = await planned(sidecar)
    async with sidecar.service() as client:
        assert (await client.command(call_id, ASKED)).done
    assert sidecar.rooms.removed == [(f"dialout-{call_id}", f"caller-{call_id}")]


async def test_commands_need_the_service_s_secret_and_a_known_call(sidecar: SidecarApp) -> None:
    async with sidecar.http() as http:
        answer = await http.post("/internal/v1/calls/c/command", json=ASKED.model_dump())
    assert answer.status_code == 403
    async with sidecar.service() as client:
        with pytest.raises(Refused) as refused:
            await client.command("c", ASKED)
    assert (refused.value.status, refused.value.code) == (404, "call_unknown")


async def test_command_that_cannot_be_read_is_refused(sidecar: SidecarApp) -> None:
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        answer = await http.post(
            "/internal/v1/calls/c/command", json={"incarnation": 1, "command": {"type": "shout"}}
        )
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "body_invalid")
