"""How the line is told: a bridge by data, LiveKit's through the sidecar."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.line import KEY_S, NOT_SENT, PAUSE_S, BridgeLine, ManagedLine, Taken
from contracts.command import CommandReceipt, HangUp, SendDigits, Transfer
from contracts.ids import Channel
from tests.fakes.call_desk import CallDesk
from tests.fakes.phone_room import PhoneRoom
from tests.fakes.spoken_call import CALL_ID, plan
from tests.fakes.virtual_time import virtual_time

DESK = Transfer(to="tel:+14155550123", target="desk")


async def test_bridge_is_told_and_tells_the_outcome_itself() -> None:
    room: Any = PhoneRoom("caller")
    line = BridgeLine(room, "caller")
    assert await line.transfer(DESK) == Taken(is_final=False)
    assert await line.send_digits("12#")
    await line.hang_up()
    assert room.commands == [DESK, SendDigits(digits="12#"), HangUp()]


async def test_bridge_that_is_gone_takes_nothing() -> None:
    room: Any = PhoneRoom("caller")
    room.is_gone = True
    line = BridgeLine(room, "caller")
    assert await line.transfer(DESK) == Taken(NOT_SENT)
    assert not await line.send_digits("1")
    await line.hang_up()


async def test_sidecar_is_asked_where_there_is_no_bridge() -> None:
    desk, room = CallDesk(), PhoneRoom("caller")
    anything: Any = room
    async with desk.client() as client:
        line = ManagedLine(anything, client, plan(Channel.SIP))
        assert await line.transfer(DESK) == Taken(is_told=True)
        desk.receipt = CommandReceipt(done=False, failed_reason="486 Busy Here")
        assert await line.transfer(DESK) == Taken("486 Busy Here", is_told=True)
        desk.receipt = CommandReceipt(done=False)
        assert await line.transfer(DESK) == Taken(NOT_SENT, is_told=True)
        await line.hang_up()
    assert [asked.command for asked in desk.commands] == [DESK, DESK, DESK, HangUp()]
    assert {asked.incarnation for asked in desk.commands} == {1}
    assert room.commands == []
    assert CALL_ID in desk.paths[-1]


async def test_sidecar_that_is_away_leaves_the_failure_to_be_told() -> None:
    desk, room = CallDesk(), PhoneRoom("caller")
    desk.refusals["command"] = (503, "unavailable")
    anything: Any = room
    async with desk.client() as client:
        line = ManagedLine(anything, client, plan(Channel.SIP))
        assert await line.transfer(DESK) == Taken(NOT_SENT)
        await line.hang_up()


@virtual_time
async def test_keys_go_through_livekit_one_by_one() -> None:
    desk, room = CallDesk(), PhoneRoom("caller")
    anything: Any = room
    loop = asyncio.get_running_loop()
    async with desk.client() as client:
        line = ManagedLine(anything, client, plan(Channel.SIP))
        began = loop.time()
        assert await line.send_digits("1,*#")
        assert room.dtmf == [(1, "1"), (10, "*"), (11, "#")]
        assert loop.time() - began == pytest.approx(PAUSE_S + 3 * KEY_S)
        room.is_gone = True
        assert not await line.send_digits("1")
