"""LiveKit SIP as measured, row by row: calls in, what ends them, keys and hold.

Run on the double before a real LiveKit server, or on a real `livekit-sip` where `LIVEKIT_SIP_BIN`
names one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from livekit import api

from sidecar import sip_objects
from tests.fakes.livekit_sip import Line
from tests.integration.livekit_server import LiveKitServer
from tests.integration.sip_desk import CALLER, LIMITS, NUMBER, TRUNK, SipDesk, sip_desk

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.livekit_sip]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(
    livekit_server: LiveKitServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SipDesk]:
    """One trunk both ways with its rule, and the catch-all."""
    async with sip_desk(livekit_server, tmp_path_factory.mktemp("telephony")) as desk:
        yield desk


async def test_phone_that_calls_in_rings_until_somebody_speaks(desk: SipDesk) -> None:
    headers = {"X-Account": "7", "User-Agent": "phone"}
    caller, room_name, identity = await desk.ring(headers=headers)
    assert caller.statuses == [100, 180]
    assert room_name.startswith(f"call-_{NUMBER}_")
    assert identity == f"sip_{CALLER}"
    async with desk.watch(room_name, speaks=True) as watcher:
        await watcher.saw(lambda seen: seen.statuses[-1:] == ["active"])
        assert watcher.statuses == ["ringing", "active"]
        seen = watcher.attributes
        assert (seen["sip.trunkID"], seen["sip.phoneNumber"]) == (desk.inbound_id, CALLER)
        assert seen["sip.trunkPhoneNumber"] == NUMBER
        assert seen["sip.h.x-account"] == "7"
        assert "sip.h.user-agent" not in seen
        assert caller.statuses == [100, 180, 200]
        assert caller.line is not None
        await caller.line.hang_up()
        assert await watcher.saw_leave(identity) == api.DisconnectReason.CLIENT_INITIATED
        assert watcher.statuses[-1] == "hangup"
        # The agent is sent home once the departure timeout is over.
        async with asyncio.timeout(8):
            await watcher.is_out.wait()


async def test_call_that_no_trunk_takes_is_caught_and_the_trunk_s_rule_still_wins(
    desk: SipDesk,
) -> None:
    caller, room_name, identity = await desk.ring("+4930999999")
    async with desk.watch(room_name) as watcher:
        assert "sip.trunkID" not in watcher.attributes
        await desk.rooms.remove(room_name, identity)
        await caller.over.wait()
    assert caller.statuses == [100, 180, 486]
    known, room_name, _ = await desk.ring()
    async with desk.watch(room_name) as watcher:
        assert watcher.attributes["sip.trunkID"] == desk.inbound_id
    known.cancel()
    await known.over.wait()


async def test_call_without_any_rule_never_hears_a_final_word(desk: SipDesk) -> None:
    rules = (await desk.sip.objects()).rules
    for rule in rules:
        await desk.sip.delete_rule(rule.sip_dispatch_rule_id)
    try:
        caller = desk.call("+4930999999")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await caller.over.wait()
        assert caller.statuses == [100, 180]
        caller.cancel()
        await caller.over.wait()
    finally:
        for rule in rules:
            rule.ClearField("sip_dispatch_rule_id")
            await desk.sip.save_rule(rule, "")


async def test_caller_to_whom_nobody_comes_hears_busy(desk: SipDesk) -> None:
    caller, room_name, identity = await desk.ring()
    async with desk.watch(room_name) as watcher:
        assert await watcher.saw_leave(identity) == api.DisconnectReason.CLIENT_INITIATED
        assert watcher.statuses == ["ringing"]
    await caller.over.wait()
    assert caller.statuses == [100, 180, 486]


async def test_caller_who_gives_up_leaves_at_once(desk: SipDesk) -> None:
    caller, room_name, identity = await desk.ring()
    async with desk.watch(room_name) as watcher:
        caller.cancel()
        await watcher.saw_leave(identity)
    await caller.over.wait()
    assert caller.statuses == [100, 180, 487]


@pytest.mark.parametrize(
    ("credentials", "statuses"),
    [
        ({}, [100, 407]),
        ({"username": "u", "password": "wrong"}, [100, 407, 401]),
        ({"username": "u", "password": "p"}, [100, 407, 180]),
    ],
)
async def test_trunk_with_credentials_asks_for_them(
    desk: SipDesk, credentials: dict[str, Any], statuses: list[int]
) -> None:
    number = "+4940123456"
    trunk = TRUNK.model_copy(
        update={"numbers": [number], "inbound_username": "u", "inbound_password": "p"}
    )
    wanted = sip_objects.inbound("vf", trunk, [], LIMITS)
    assert wanted is not None
    trunk_id = await desk.sip.save_inbound(wanted, "")
    caller = desk.call(number, **credentials)
    ends = [asyncio.create_task(event.wait()) for event in (caller.over, caller.joined)]
    await asyncio.wait(ends, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert caller.statuses == statuses
    caller.cancel()
    await caller.over.wait()
    for end in ends:
        end.cancel()
    await desk.sip.delete_trunk(trunk_id)


async def test_removed_from_a_call_a_phone_stays_active_to_the_end(desk: SipDesk) -> None:
    caller, room_name, identity = await desk.ring()
    async with desk.watch(room_name, speaks=True) as watcher:
        await watcher.saw(lambda seen: "active" in seen.statuses)
        await desk.rooms.remove(room_name, identity)
        assert await watcher.saw_leave(identity) == api.DisconnectReason.PARTICIPANT_REMOVED
        assert watcher.statuses[-1] == "active"
        await caller.over.wait()
        assert caller.line is not None
        assert caller.line.ended_by == "room"


async def test_deleted_room_hangs_its_phone_up(desk: SipDesk) -> None:
    caller, room_name, _ = await desk.ring()
    async with desk.watch(room_name, speaks=True) as watcher:
        await watcher.saw(lambda seen: "active" in seen.statuses)
        await desk.rooms.delete(room_name)
        async with asyncio.timeout(5):
            await caller.over.wait()
        await watcher.is_out.wait()


async def test_call_ended_by_rpc_leaves_the_agent_there(desk: SipDesk) -> None:
    caller, room_name, identity = await desk.ring()
    async with desk.watch(room_name, speaks=True) as watcher:
        await watcher.saw(lambda seen: "active" in seen.statuses)
        await watcher.room.local_participant.perform_rpc(
            destination_identity=identity, method="lk.sip.EndCall", payload="{}"
        )
        assert await watcher.saw_leave(identity) == api.DisconnectReason.CLIENT_INITIATED
        assert watcher.statuses[-1] == "hangup"
        assert not watcher.is_out.is_set()
    await caller.over.wait()


@pytest.mark.double_only(reason="the service waits for 30 s")
async def test_phone_without_rtp_is_active_later_and_hung_up_in_the_end(desk: SipDesk) -> None:
    _, room_name, identity = await desk.ring(sends_rtp=False, no_rtp_s=0.2)
    began = time.monotonic()
    async with desk.watch(room_name, speaks=True) as watcher:
        await watcher.saw(lambda seen: "active" in seen.statuses)
        assert time.monotonic() - began >= 1.0
        assert await watcher.saw_leave(identity) == api.DisconnectReason.CLIENT_INITIATED
        assert watcher.statuses[-1] == "hangup"


@pytest.mark.double_only(reason="the phones before a real service send no RTP")
async def test_keys_travel_both_ways_and_hold_is_not_to_be_seen(desk: SipDesk) -> None:
    caller, room_name, identity = await desk.ring()
    async with desk.watch(room_name, speaks=True) as watcher:
        await watcher.saw(lambda seen: "active" in seen.statuses)
        line = caller.line
        assert isinstance(line, Line)
        await line.press("12#")
        await watcher.saw(lambda seen: seen.digits == "12#")
        await watcher.press("*9")
        async with asyncio.timeout(5):
            await line.hears_keys("*9")
        before = dict(watcher.attributes)
        line.is_held = True
        assert watcher.attributes == before
        assert await desk.sip.call_status(room_name, identity) == "active"
        await line.hang_up()
    await caller.over.wait()
