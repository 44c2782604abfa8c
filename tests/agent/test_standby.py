"""Waiting without a call: asked again, let go, left alone, woken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import structlog

from agent.standby import ALONE_S, rehearse_conversation, wait_for_call
from contracts.bot import BotConfig
from contracts.ids import Channel
from contracts.plan import AgentPlan
from sidecar.client import SidecarClient
from tests.fakes.phone_room import PhoneRoom
from tests.fakes.virtual_time import virtual_time

PLAN = AgentPlan(
    call_id="c1",
    session_id="c1",
    incarnation=1,
    channel=Channel.WEBSOCKET,
    call_direction="incoming",
    caller_identity="caller-s1",
    config=BotConfig(),
)
GONE = {"error": {"code": "standby_gone", "message": "leave", "details": {}}}


async def waited(answer: Callable[[int], httpx.Response]) -> tuple[AgentPlan | None, int]:
    """Wait for a sidecar that answers so, the questions numbered; return the plan and how often."""
    asked = 0

    async def respond(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return answer(asked)

    room = PhoneRoom("caller-s1")
    async with SidecarClient("http://s", "s", transport=httpx.MockTransport(respond)) as client:
        return await wait_for_call(client, room, "s1", "w1"), asked  # type: ignore[arg-type]


def away(_: int) -> httpx.Response:
    raise httpx.ConnectError("away")


@virtual_time
async def test_agent_asks_until_there_is_a_call() -> None:
    def answer(number: int) -> httpx.Response:
        return httpx.Response(204) if number < 3 else httpx.Response(200, text=plan)

    plan = PLAN.model_dump_json()
    assert await waited(answer) == (PLAN, 3)


@virtual_time
async def test_agent_nobody_wants_leaves() -> None:
    assert await waited(lambda _: httpx.Response(410, json=GONE)) == (None, 1)


@virtual_time
async def test_agent_outlives_a_sidecar_that_starts_again() -> None:
    text = PLAN.model_dump_json()
    answer = await waited(lambda n: away(n) if n < 50 else httpx.Response(200, text=text))
    assert answer == (PLAN, 50)


@virtual_time
async def test_agent_whose_sidecar_stays_away_leaves() -> None:
    began = asyncio.get_running_loop().time()
    plan, _ = await waited(away)
    assert plan is None
    assert ALONE_S <= asyncio.get_running_loop().time() - began < ALONE_S + 1


@virtual_time
async def test_agent_whose_room_is_gone_leaves() -> None:
    never = asyncio.Event()

    async def respond(_: httpx.Request) -> httpx.Response:
        room.emit("disconnected", None)
        await never.wait()
        raise AssertionError

    room = PhoneRoom("caller-s1")
    async with SidecarClient("http://s", "s", transport=httpx.MockTransport(respond)) as client:
        assert await wait_for_call(client, room, "s1", "w1") is None  # type: ignore[arg-type]


async def test_rehearsal_holds_a_whole_conversation_with_nobody() -> None:
    await rehearse_conversation()
    assert "call_id" not in structlog.contextvars.get_contextvars()
