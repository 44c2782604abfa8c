"""LiveKit SIP as measured, row by row: what its API answers, what a phone and a room get to see.

Run on the double before a real LiveKit server. What only the service itself can show is left out:
its death, and the codecs of its RTP.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from livekit import api

from contracts.trunk import Trunk
from sidecar import sip_objects
from sidecar.livekit_sip import SipDial, SipError, SipRefused, SipService, SipUnavailable
from sidecar.rooms import LiveKitRooms
from sidecar.sip_objects import Limits
from tests.fakes.livekit_sip import (
    Answers,
    Callee,
    Caller,
    RefersTo,
    Refuses,
    SipDouble,
    Unreachable,
    running_double,
)
from tests.integration.livekit_server import LiveKitServer
from tests.integration.room_watcher import RoomWatcher, watching

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBER = "+911140000000"
CALLER = "+15550100"
LIMITS = Limits(ringing_s=1, call_s=60)
TRUNK = Trunk(trunk_id="t1", name="Carrier", address="carrier.example", numbers=[NUMBER])


@dataclass
class Desk:
    """A LiveKit with telephony, and what the control plane uses of it."""

    server: LiveKitServer
    double: SipDouble
    sip: SipService
    rooms: LiveKitRooms
    trunk_id: str = ""
    inbound_id: str = ""
    rooms_made: list[str] = field(default_factory=list)

    def watch(self, room_name: str, **how: Any) -> AbstractAsyncContextManager[RoomWatcher]:
        server = self.server
        return watching(server.url, server.key, server.secret, room_name, **how)

    def room(self) -> str:
        return f"dialout-{uuid4()}"

    async def dial(self, room_name: str, callee: Callee, **changes: Any) -> str:
        """Call a phone that behaves so; return its identity."""
        identity = f"caller-{uuid4()}"
        self.double.callees[CALLER] = callee
        given: dict[str, Any] = {
            "trunk_id": self.trunk_id,
            "to_number": CALLER,
            "from_number": NUMBER,
            "room_name": room_name,
            "identity": identity,
            "ringing_timeout_s": 5.0,
            "max_duration_s": 60.0,
            **changes,
        }
        await self.sip.dial(SipDial(**given))
        return identity

    async def ring(self, dialled: str = NUMBER, **how: Any) -> tuple[Caller, str, str]:
        """Let a phone call in; return it, its room and its identity once it is there."""
        caller = self.double.call(CALLER, dialled, **how)
        async with asyncio.timeout(5):
            await caller.joined.wait()
        assert caller.line is not None
        return caller, caller.line.room_name, caller.line.identity


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(livekit_server: LiveKitServer) -> AsyncIterator[Desk]:
    """One trunk both ways with its rule, and the catch-all."""
    server = livekit_server
    credentials = (server.key, server.secret)
    async with running_double(server.url, *credentials) as double:
        print("LiveKit SIP: the double")  # noqa: T201 (which one was used)
        sip, rooms = SipService(double.url, *credentials), LiveKitRooms(double.url, *credentials)
        desk = Desk(server, double, sip, rooms)
        outbound = sip_objects.outbound("vf", TRUNK)
        inbound = sip_objects.inbound("vf", TRUNK, [], LIMITS)
        assert outbound is not None
        assert inbound is not None
        desk.trunk_id = await sip.save_outbound(outbound, "")
        desk.inbound_id = await sip.save_inbound(inbound, "")
        await sip.save_rule(sip_objects.rule("vf", TRUNK, desk.inbound_id), "")
        await sip.save_rule(sip_objects.catch_all("vf"), "")
        yield desk
        await sip.aclose()
        await rooms.aclose()


async def test_what_is_told_is_listed_as_it_was_told(desk: Desk) -> None:
    found = await desk.sip.objects()
    rules = {rule.name: rule for rule in found.rules}
    (outbound,), (inbound,) = found.outbound, found.inbound
    wanted = sip_objects.outbound("vf", TRUNK)
    assert wanted is not None
    assert sip_objects.is_as_wanted(outbound, wanted)
    wanted_in = sip_objects.inbound("vf", TRUNK, [], LIMITS)
    assert wanted_in is not None
    assert sip_objects.is_as_wanted(inbound, wanted_in)
    rule = sip_objects.rule("vf", TRUNK, desk.inbound_id)
    assert sip_objects.is_as_wanted(rules["vf/t1"], rule)
    assert sip_objects.is_as_wanted(rules["vf/catch-all"], sip_objects.catch_all("vf"))


async def test_what_cannot_be_is_refused(desk: Desk) -> None:
    inbound = sip_objects.inbound("vf", TRUNK, [], LIMITS)
    assert inbound is not None
    saves = [
        desk.sip.save_inbound(inbound, ""),
        desk.sip.save_inbound(api.SIPInboundTrunkInfo(name="open"), ""),
        desk.sip.save_outbound(api.SIPOutboundTrunkInfo(name="x", address="a"), ""),
        desk.sip.save_rule(sip_objects.catch_all("other"), ""),
    ]
    for save in saves:
        with pytest.raises(SipRefused) as caught:
            await save
        assert caught.value.code == "invalid_argument"
    with pytest.raises(SipRefused) as caught:
        await desk.sip.save_rule(sip_objects.catch_all("vf"), "SDR_unknown")
    assert caught.value.code == "not_found"
    await desk.sip.delete_trunk("ST_unknown")
    await desk.sip.delete_rule("SDR_unknown")


async def test_json_is_understood_and_a_missing_grant_refused(desk: Desk) -> None:
    url = f"{desk.double.url.replace('ws', 'http', 1)}/twirp/livekit.SIP/ListSIPInboundTrunk"
    token = api.AccessToken(desk.server.key, desk.server.secret)
    async with aiohttp.ClientSession() as http:
        for grants, status in ((api.SIPGrants(admin=True), 200), (api.SIPGrants(), 401)):
            head = {"Authorization": f"Bearer {token.with_sip_grants(grants).to_jwt()}"}
            async with http.post(url, json={}, headers=head) as answer:
                body = await answer.json()
                assert answer.status == status
        assert body["msg"] == "permissions denied"


async def test_phone_that_answers_becomes_active(desk: Desk) -> None:
    room_name = desk.room()
    async with desk.watch(room_name, speaks=True) as watcher:
        identity = await desk.dial(room_name, Callee(Answers(after_s=0.3)))
        assert await desk.sip.call_status(room_name, identity) == "active"
        await watcher.saw(lambda seen: seen.statuses == ["dialing", "ringing", "active"])
        assert watcher.attributes["sip.callIDFull"]
        line = desk.double.lines[identity]
        await line.hang_up()
        assert await watcher.saw_leave(identity) == api.DisconnectReason.CLIENT_INITIATED
        assert watcher.statuses[-1] == "hangup"


async def test_fast_answer_skips_the_ringing(desk: Desk) -> None:
    room_name = desk.room()
    async with desk.watch(room_name) as watcher:
        await desk.dial(room_name, Callee(Answers(after_s=0.0, rings=False)))
        await watcher.saw(lambda seen: seen.statuses == ["dialing", "active"])


@pytest.mark.parametrize(
    ("status_code", "code", "reason"),
    [
        (486, "resource_exhausted", api.DisconnectReason.USER_REJECTED),
        (600, "resource_exhausted", api.DisconnectReason.USER_REJECTED),
        (603, "permission_denied", api.DisconnectReason.USER_REJECTED),
        (480, "resource_exhausted", api.DisconnectReason.USER_UNAVAILABLE),
        (404, "not_found", api.DisconnectReason.USER_UNAVAILABLE),
        (408, "deadline_exceeded", api.DisconnectReason.USER_UNAVAILABLE),
        (503, "failed_precondition", api.DisconnectReason.CLIENT_INITIATED),
    ],
)
async def test_refusal_carries_the_carrier_s_status(
    desk: Desk, status_code: int, code: str, reason: int
) -> None:
    room_name = desk.room()
    async with desk.watch(room_name) as watcher:
        with pytest.raises(SipRefused) as caught:
            await desk.dial(room_name, Callee(Refuses(status_code, after_s=0.1)))
        assert (caught.value.code, caught.value.sip_status_code) == (code, status_code)
        await watcher.saw(lambda seen: bool(seen.left))
        assert list(watcher.left.values()) == [reason]


@pytest.mark.parametrize(
    ("callee", "statuses"),
    [
        (Callee(Answers(after_s=None)), ["dialing", "ringing"]),
        (Callee(Unreachable("udp")), ["dialing"]),
    ],
)
async def test_no_answer_and_a_dead_peer_differ_by_the_ringing_alone(
    desk: Desk, callee: Callee, statuses: list[str]
) -> None:
    room_name = desk.room()
    async with desk.watch(room_name) as watcher:
        with pytest.raises(SipRefused) as caught:
            await desk.dial(room_name, callee, ringing_timeout_s=1.0)
        assert (caught.value.code, caught.value.sip_status_code) == ("canceled", None)
        await watcher.saw(lambda seen: bool(seen.left))
        assert watcher.statuses == statuses
        assert list(watcher.left.values()) == [api.DisconnectReason.USER_UNAVAILABLE]


async def test_closed_tcp_port_is_noticed_at_once(desk: Desk) -> None:
    with pytest.raises(SipRefused) as caught:
        await desk.dial(desk.room(), Callee(Unreachable("tcp")))
    assert (caught.value.code, caught.value.sip_status_code) == ("failed_precondition", None)


async def test_phone_removed_while_it_rings_is_cancelled(desk: Desk) -> None:
    room_name = desk.room()
    async with desk.watch(room_name) as watcher:
        dialling = asyncio.create_task(desk.dial(room_name, Callee(Answers(after_s=None))))
        await watcher.saw(lambda seen: "ringing" in seen.statuses)
        (identity,) = watcher.room.remote_participants
        await desk.rooms.remove(room_name, identity)
        with pytest.raises(SipRefused) as caught:
            await dialling
        assert (caught.value.code, caught.value.sip_status_code) == ("canceled", None)
        assert await watcher.saw_leave(identity) == api.DisconnectReason.PARTICIPANT_REMOVED


@pytest.mark.parametrize(
    ("state", "code"), [("is_running", "unavailable"), ("has_redis", "internal")]
)
async def test_livekit_without_its_sip_service_is_unavailable(
    desk: Desk, state: str, code: str
) -> None:
    setattr(desk.double, state, False)
    try:
        with pytest.raises(SipUnavailable) as caught:
            await desk.dial(desk.room(), Callee())
    finally:
        setattr(desk.double, state, True)
    assert caught.value.code == code


async def test_unknown_trunk_dials_nobody(desk: Desk) -> None:
    with pytest.raises(SipRefused) as caught:
        await desk.dial(desk.room(), Callee(), trunk_id="ST_unknown")
    assert (caught.value.code, caught.value.sip_status_code) == ("not_found", None)


async def test_phone_that_calls_in_rings_until_somebody_speaks(desk: Desk) -> None:
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
    desk: Desk,
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


async def test_call_without_any_rule_never_hears_a_final_word(desk: Desk) -> None:
    rules = dict(desk.double.registry.rules)
    desk.double.registry.rules.clear()
    try:
        caller = desk.double.call(CALLER, "+4930999999")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await caller.over.wait()
        assert caller.statuses == [100, 180]
        caller.cancel()
        await caller.over.wait()
    finally:
        desk.double.registry.rules.update(rules)


async def test_caller_to_whom_nobody_comes_hears_busy(desk: Desk) -> None:
    caller, room_name, identity = await desk.ring()
    async with desk.watch(room_name) as watcher:
        assert await watcher.saw_leave(identity) == api.DisconnectReason.CLIENT_INITIATED
        assert watcher.statuses == ["ringing"]
    await caller.over.wait()
    assert caller.statuses == [100, 180, 486]


async def test_caller_who_gives_up_leaves_at_once(desk: Desk) -> None:
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
    desk: Desk, credentials: dict[str, Any], statuses: list[int]
) -> None:
    number = "+4940123456"
    trunk = TRUNK.model_copy(
        update={"numbers": [number], "inbound_username": "u", "inbound_password": "p"}
    )
    wanted = sip_objects.inbound("vf", trunk, [], LIMITS)
    assert wanted is not None
    trunk_id = await desk.sip.save_inbound(wanted, "")
    caller = desk.double.call(CALLER, number, **credentials)
    ends = [asyncio.create_task(event.wait()) for event in (caller.over, caller.joined)]
    await asyncio.wait(ends, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert caller.statuses == statuses
    caller.cancel()
    await caller.over.wait()
    for end in ends:
        end.cancel()
    await desk.sip.delete_trunk(trunk_id)


async def test_removed_from_a_call_a_phone_stays_active_to_the_end(desk: Desk) -> None:
    caller, room_name, identity = await desk.ring()
    async with desk.watch(room_name, speaks=True) as watcher:
        await watcher.saw(lambda seen: "active" in seen.statuses)
        await desk.rooms.remove(room_name, identity)
        assert await watcher.saw_leave(identity) == api.DisconnectReason.PARTICIPANT_REMOVED
        assert watcher.statuses[-1] == "active"
        await caller.over.wait()
        assert caller.line is not None
        assert caller.line.ended_by == "room"


async def test_deleted_room_hangs_its_phone_up(desk: Desk) -> None:
    caller, room_name, _ = await desk.ring()
    async with desk.watch(room_name, speaks=True) as watcher:
        await watcher.saw(lambda seen: "active" in seen.statuses)
        await desk.rooms.delete(room_name)
        async with asyncio.timeout(5):
            await caller.over.wait()
        await watcher.is_out.wait()


async def test_call_ended_by_rpc_leaves_the_agent_there(desk: Desk) -> None:
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


async def test_longest_call_is_over_by_itself(desk: Desk) -> None:
    room_name = desk.room()
    async with desk.watch(room_name) as watcher:
        identity = await desk.dial(room_name, Callee(Answers(0.0)), max_duration_s=1.0)
        assert await watcher.saw_leave(identity) == api.DisconnectReason.CLIENT_INITIATED
        assert watcher.statuses[-1] == "hangup"


async def test_phone_without_rtp_is_active_later_and_hung_up_in_the_end(desk: Desk) -> None:
    _, room_name, identity = await desk.ring(sends_rtp=False, no_rtp_s=0.2)
    began = time.monotonic()
    async with desk.watch(room_name, speaks=True) as watcher:
        await watcher.saw(lambda seen: "active" in seen.statuses)
        assert time.monotonic() - began >= 1.0
        assert await watcher.saw_leave(identity) == api.DisconnectReason.CLIENT_INITIATED
        assert watcher.statuses[-1] == "hangup"


async def talking(desk: Desk, callee: Callee) -> tuple[str, str]:
    room_name = desk.room()
    identity = await desk.dial(room_name, Callee(Answers(0.0), callee.refers, callee.refer_s))
    return room_name, identity


async def transfer(desk: Desk, room_name: str, identity: str, timeout_s: float = 5.0) -> None:
    await desk.sip.transfer(room_name, identity, "tel:+14155550123", timeout_s)


async def test_transferred_phone_is_there_when_the_api_says_so_and_gone_a_second_later(
    desk: Desk,
) -> None:
    room_name, identity = await talking(desk, Callee())
    await transfer(desk, room_name, identity)
    began = time.monotonic()
    assert await desk.sip.call_status(room_name, identity) == "active"
    line = desk.double.lines[identity]
    assert line.referred_to == "tel:+14155550123"
    async with asyncio.timeout(5):
        await line.ended.wait()
    assert 0.8 <= time.monotonic() - began <= 3.0


async def test_phone_that_hangs_up_meanwhile_counts_as_transferred_but_is_gone(
    desk: Desk,
) -> None:
    room_name, identity = await talking(desk, Callee(refers=RefersTo.HANGS_UP))
    await transfer(desk, room_name, identity)
    assert await desk.sip.call_status(room_name, identity) != "active"


@pytest.mark.parametrize(
    ("refers", "code", "status_code"),
    [
        (RefersTo.BUSY, "resource_exhausted", 486),
        (RefersTo.NOT_ALLOWED, "invalid_argument", 405),
        (RefersTo.SILENCE, "deadline_exceeded", None),
    ],
)
async def test_transfer_that_fails_leaves_the_phone_where_it_is(
    desk: Desk, refers: RefersTo, code: str, status_code: int | None
) -> None:
    room_name, identity = await talking(desk, Callee(refers=refers))
    with pytest.raises(SipRefused) as caught:
        await transfer(desk, room_name, identity, timeout_s=1.0)
    assert (caught.value.code, caught.value.sip_status_code) == (code, status_code)
    assert await desk.sip.call_status(room_name, identity) == "active"
    await desk.double.lines[identity].hang_up()


async def test_transfer_needs_a_scheme_a_participant_and_an_answered_call(desk: Desk) -> None:
    room_name, identity = await talking(desk, Callee())
    wrong = [
        (desk.sip.transfer(room_name, identity, "+14155550123", 1.0), "invalid_argument"),
        (desk.sip.transfer(room_name, "nobody", "tel:+1", 1.0), "not_found"),
    ]
    for attempt, code in wrong:
        with pytest.raises(SipError) as caught:
            await attempt
        assert caught.value.code == code
    await desk.double.lines[identity].hang_up()
    caller, room_name, identity = await desk.ring()
    with pytest.raises(SipRefused) as refused:
        await transfer(desk, room_name, identity)
    assert refused.value.code == "failed_precondition"
    caller.cancel()
    await caller.over.wait()


async def test_keys_travel_both_ways_and_hold_is_not_to_be_seen(desk: Desk) -> None:
    caller, room_name, identity = await desk.ring()
    async with desk.watch(room_name, speaks=True) as watcher:
        await watcher.saw(lambda seen: "active" in seen.statuses)
        line = caller.line
        assert line is not None
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
