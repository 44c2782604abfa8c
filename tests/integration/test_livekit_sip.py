"""LiveKit SIP as measured, row by row: its API, calls out, transfers.

Run on the double before a real LiveKit server, or on a real `livekit-sip` where `LIVEKIT_SIP_BIN`
names one. What only the service itself can show is left out: its death, and the codecs of its RTP.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from livekit import api

from sidecar import sip_objects
from sidecar.livekit_sip import SipError, SipRefused, SipUnavailable
from tests.fakes.livekit_sip import Answers, Callee, RefersTo, Refuses, Unreachable
from tests.integration.livekit_server import LiveKitServer
from tests.integration.sip_desk import LIMITS, TRUNK, SipDesk, sip_desk

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.livekit_sip]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(
    livekit_server: LiveKitServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SipDesk]:
    """One trunk both ways with its rule, and the catch-all."""
    async with sip_desk(livekit_server, tmp_path_factory.mktemp("telephony")) as desk:
        yield desk


async def test_what_is_told_is_listed_as_it_was_told(desk: SipDesk) -> None:
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


async def test_what_cannot_be_is_refused(desk: SipDesk) -> None:
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


async def test_json_is_understood_and_a_missing_grant_refused(desk: SipDesk) -> None:
    url = f"{desk.telephony.url.replace('ws', 'http', 1)}/twirp/livekit.SIP/ListSIPInboundTrunk"
    token = api.AccessToken(desk.server.key, desk.server.secret)
    async with aiohttp.ClientSession() as http:
        for grants, status in ((api.SIPGrants(admin=True), 200), (api.SIPGrants(), 401)):
            head = {"Authorization": f"Bearer {token.with_sip_grants(grants).to_jwt()}"}
            async with http.post(url, json={}, headers=head) as answer:
                body = await answer.json()
                assert answer.status == status
        assert body["msg"] == "permissions denied"


async def test_phone_that_answers_becomes_active(desk: SipDesk) -> None:
    room_name = desk.room()
    async with desk.watch(room_name, speaks=True) as watcher:
        identity = await desk.dial(room_name, Callee(Answers(after_s=0.3)))
        assert await desk.sip.call_status(room_name, identity) == "active"
        await watcher.saw(lambda seen: seen.statuses == ["dialing", "ringing", "active"])
        assert watcher.attributes["sip.callIDFull"]
        line = desk.line(identity)
        await line.hang_up()
        assert await watcher.saw_leave(identity) == api.DisconnectReason.CLIENT_INITIATED
        assert watcher.statuses[-1] == "hangup"


async def test_fast_answer_skips_the_ringing(desk: SipDesk) -> None:
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
    desk: SipDesk, status_code: int, code: str, reason: int
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
    desk: SipDesk, callee: Callee, statuses: list[str]
) -> None:
    room_name = desk.room()
    async with desk.watch(room_name) as watcher:
        with pytest.raises(SipRefused) as caught:
            await desk.dial(room_name, callee, ringing_timeout_s=1.0)
        assert (caught.value.code, caught.value.sip_status_code) == ("canceled", None)
        await watcher.saw(lambda seen: bool(seen.left))
        assert watcher.statuses == statuses
        assert list(watcher.left.values()) == [api.DisconnectReason.USER_UNAVAILABLE]


async def test_closed_tcp_port_is_noticed_at_once(desk: SipDesk) -> None:
    with pytest.raises(SipRefused) as caught:
        await desk.dial(desk.room(), Callee(Unreachable("tcp")))
    assert (caught.value.code, caught.value.sip_status_code) == ("failed_precondition", None)


async def test_phone_removed_while_it_rings_is_cancelled(desk: SipDesk) -> None:
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


@pytest.mark.double_only(reason="takes the service or its Redis away")
@pytest.mark.parametrize(
    ("state", "code"), [("is_running", "unavailable"), ("has_redis", "internal")]
)
async def test_livekit_without_its_sip_service_is_unavailable(
    desk: SipDesk, state: str, code: str
) -> None:
    setattr(desk.double, state, False)
    try:
        with pytest.raises(SipUnavailable) as caught:
            await desk.dial(desk.room(), Callee())
    finally:
        setattr(desk.double, state, True)
    assert caught.value.code == code


async def test_unknown_trunk_dials_nobody(desk: SipDesk) -> None:
    with pytest.raises(SipRefused) as caught:
        await desk.dial(desk.room(), Callee(), trunk_id="ST_unknown")
    assert (caught.value.code, caught.value.sip_status_code) == ("not_found", None)


async def test_longest_call_is_over_by_itself(desk: SipDesk) -> None:
    room_name = desk.room()
    async with desk.watch(room_name) as watcher:
        identity = await desk.dial(room_name, Callee(Answers(0.0)), max_duration_s=1.0)
        assert await watcher.saw_leave(identity) == api.DisconnectReason.CLIENT_INITIATED
        assert watcher.statuses[-1] == "hangup"


async def talking(desk: SipDesk, callee: Callee) -> tuple[str, str]:
    room_name = desk.room()
    identity = await desk.dial(room_name, Callee(Answers(0.0), callee.refers, callee.refer_s))
    return room_name, identity


async def transfer(desk: SipDesk, room_name: str, identity: str, timeout_s: float = 5.0) -> None:
    await desk.sip.transfer(room_name, identity, "tel:+14155550123", timeout_s)


async def test_transferred_phone_is_there_when_the_api_says_so_and_gone_a_second_later(
    desk: SipDesk,
) -> None:
    room_name, identity = await talking(desk, Callee())
    await transfer(desk, room_name, identity)
    began = time.monotonic()
    assert await desk.sip.call_status(room_name, identity) == "active"
    line = desk.line(identity)
    assert line.referred_to == "tel:+14155550123"
    async with asyncio.timeout(5):
        await line.ended.wait()
    assert 0.8 <= time.monotonic() - began <= 3.0


async def test_phone_that_hangs_up_meanwhile_counts_as_transferred_but_is_gone(
    desk: SipDesk,
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
    desk: SipDesk, refers: RefersTo, code: str, status_code: int | None
) -> None:
    room_name, identity = await talking(desk, Callee(refers=refers))
    with pytest.raises(SipRefused) as caught:
        await transfer(desk, room_name, identity, timeout_s=1.0)
    assert (caught.value.code, caught.value.sip_status_code) == (code, status_code)
    assert await desk.sip.call_status(room_name, identity) == "active"
    await desk.line(identity).hang_up()


async def test_transfer_needs_a_scheme_a_participant_and_an_answered_call(desk: SipDesk) -> None:
    room_name, identity = await talking(desk, Callee())
    wrong = [
        (desk.sip.transfer(room_name, identity, "+14155550123", 1.0), "invalid_argument"),
        (desk.sip.transfer(room_name, "nobody", "tel:+1", 1.0), "not_found"),
    ]
    for attempt, code in wrong:
        with pytest.raises(SipError) as caught:
            await attempt
        assert caught.value.code == code
    await desk.line(identity).hang_up()
    caller, room_name, identity = await desk.ring()
    with pytest.raises(SipRefused) as refused:
        await transfer(desk, room_name, identity)
    assert refused.value.code == "failed_precondition"
    caller.cancel()
    await caller.over.wait()
