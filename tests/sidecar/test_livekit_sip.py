"""LiveKit SIP behind our own words: what is asked, and how it fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from google.protobuf.message import Message
from livekit import api

from sidecar.livekit_sip import (
    SipDial,
    SipRefused,
    SipService,
    SipUnavailable,
)
from tests.sidecar.test_rooms import SECRET

DIAL = SipDial(
    trunk_id="ST_1",
    to_number="+911140000000",
    from_number="+15550100",
    room_name="dialout-1",
    identity="caller-1",
    ringing_timeout_s=45.0,
    max_duration_s=14_400.0,
)
BUSY = {"sip_status_code": "486", "sip_status": "Busy Here"}


class Service:
    """Answers Twirp requests, and remembers them."""

    def __init__(self, answers: dict[str, Message | tuple[int, dict[str, Any]]]) -> None:
        self._answers = answers
        self.asked: list[tuple[str, bytes]] = []

    async def answer(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        self.asked.append((method, await request.read()))
        answer = self._answers.get(method, api.SIPTrunkInfo())
        if isinstance(answer, tuple):
            return web.json_response(answer[1], status=answer[0])
        return web.Response(body=answer.SerializeToString(), content_type="application/protobuf")

    async def use(self, work: Callable[[SipService], Awaitable[None]]) -> None:
        app = web.Application()
        app.router.add_post("/twirp/{service}/{method}", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        sip = SipService(f"ws://{host}:{port}", "devkey", SECRET)
        try:
            await work(sip)
        finally:
            await sip.aclose()
            await runner.cleanup()


def error(code: str, status: int, **meta: str) -> tuple[int, dict[str, Any]]:
    return status, {"code": code, "msg": "twirp error", "meta": meta}


async def test_dial_waits_for_the_answer_with_every_limit_set() -> None:
    service = Service({"CreateSIPParticipant": api.SIPParticipantInfo()})
    await service.use(lambda sip: sip.dial(DIAL))
    ((_, body),) = service.asked
    asked = api.CreateSIPParticipantRequest.FromString(body)
    assert asked.wait_until_answered
    assert (asked.sip_trunk_id, asked.sip_call_to) == ("ST_1", "+911140000000")
    assert (asked.sip_number, asked.room_name) == ("+15550100", "dialout-1")
    assert (asked.participant_identity, asked.participant_name) == ("caller-1", "caller-1")
    assert (asked.ringing_timeout.seconds, asked.max_call_duration.seconds) == (45, 14_400)
    assert asked.include_headers == api.SIPHeaderOptions.SIP_X_HEADERS


async def test_busy_phone_is_refused_with_the_carrier_s_word() -> None:
    service = Service({"CreateSIPParticipant": error("resource_exhausted", 429, **BUSY)})

    async def work(sip: SipService) -> None:
        with pytest.raises(SipRefused) as caught:
            await sip.dial(DIAL)
        assert (caught.value.sip_status_code, caught.value.text) == (486, "Busy Here")
        assert str(caught.value) == "486 Busy Here"

    await service.use(work)


@pytest.mark.parametrize(
    ("status", "is_fine"),
    [
        (api.SIPTransferStatus.STS_TRANSFER_ONGOING, True),  # what livekit-sip leaves it at
        (api.SIPTransferStatus.STS_TRANSFER_SUCCESSFUL, True),
        (api.SIPTransferStatus.STS_TRANSFER_FAILED, False),
    ],
)
async def test_transfer_is_done_unless_the_answer_says_that_it_failed(
    status: api.SIPTransferStatus, is_fine: bool
) -> None:
    answer = api.TransferSIPParticipantResponse(status=status)
    service = Service({"TransferSIPParticipant": answer})

    async def work(sip: SipService) -> None:
        transfer = sip.transfer("call-1", "sip_1", "tel:+1", 30.0)
        if is_fine:
            await transfer
        else:
            with pytest.raises(SipRefused):
                await transfer

    await service.use(work)
    ((_, body),) = service.asked
    asked = api.TransferSIPParticipantRequest.FromString(body)
    assert (asked.room_name, asked.participant_identity) == ("call-1", "sip_1")
    assert (asked.transfer_to, asked.ringing_timeout.seconds) == ("tel:+1", 30)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (api.ParticipantInfo(attributes={"sip.callStatus": "ringing"}), "ringing"),
        (api.ParticipantInfo(), ""),
        (error("not_found", 404), None),
    ],
)
async def test_call_status_is_the_participant_s(answer: Any, expected: str | None) -> None:
    async def work(sip: SipService) -> None:
        assert await sip.call_status("call-1", "sip_1") == expected

    await Service({"GetParticipant": answer}).use(work)


async def test_status_that_cannot_be_had_is_an_error() -> None:
    async def work(sip: SipService) -> None:
        with pytest.raises(SipRefused):
            await sip.call_status("call-1", "sip_1")

    await Service({"GetParticipant": error("unauthenticated", 401)}).use(work)


async def test_objects_are_made_or_replaced_under_their_name_and_listed() -> None:
    service = Service(
        {
            "CreateSIPInboundTrunk": api.SIPInboundTrunkInfo(sip_trunk_id="ST_1"),
            "UpdateSIPInboundTrunk": api.SIPInboundTrunkInfo(sip_trunk_id="ST_1"),
            "CreateSIPOutboundTrunk": api.SIPOutboundTrunkInfo(sip_trunk_id="ST_2"),
            "UpdateSIPOutboundTrunk": api.SIPOutboundTrunkInfo(sip_trunk_id="ST_2"),
            "CreateSIPDispatchRule": api.SIPDispatchRuleInfo(sip_dispatch_rule_id="SDR_3"),
            "UpdateSIPDispatchRule": api.SIPDispatchRuleInfo(sip_dispatch_rule_id="SDR_3"),
            "ListSIPInboundTrunk": api.ListSIPInboundTrunkResponse(
                items=[api.SIPInboundTrunkInfo(sip_trunk_id="ST_1")]
            ),
            "ListSIPOutboundTrunk": api.ListSIPOutboundTrunkResponse(),
            "ListSIPDispatchRule": api.ListSIPDispatchRuleResponse(),
        }
    )

    async def work(sip: SipService) -> None:
        inbound = api.SIPInboundTrunkInfo(name="vf/t1", numbers=["+1"])
        assert await sip.save_inbound(inbound, "") == "ST_1"
        assert await sip.save_inbound(inbound, "ST_1") == "ST_1"
        outbound = api.SIPOutboundTrunkInfo(name="vf/t1", address="carrier.example")
        assert await sip.save_outbound(outbound, "") == "ST_2"
        assert await sip.save_outbound(outbound, "ST_2") == "ST_2"
        rule = api.SIPDispatchRuleInfo(name="vf/t1")
        assert await sip.save_rule(rule, "") == "SDR_3"
        assert await sip.save_rule(rule, "SDR_3") == "SDR_3"
        (found,) = (await sip.objects()).inbound
        assert found.sip_trunk_id == "ST_1"

    await service.use(work)
    asked = dict(service.asked)
    replaced = api.UpdateSIPInboundTrunkRequest.FromString(asked["UpdateSIPInboundTrunk"])
    assert (replaced.sip_trunk_id, replaced.replace.name) == ("ST_1", "vf/t1")
    made = api.CreateSIPDispatchRuleRequest.FromString(asked["CreateSIPDispatchRule"])
    assert made.dispatch_rule.name == "vf/t1"


@pytest.mark.parametrize(("code", "is_fine"), [("not_found", True), ("unauthenticated", False)])
async def test_object_that_is_gone_already_is_fine(code: str, is_fine: bool) -> None:
    failed = error(code, 404 if is_fine else 401)

    async def work(sip: SipService) -> None:
        if is_fine:
            await sip.delete_trunk("ST_1")
            await sip.delete_rule("SDR_1")
        else:
            with pytest.raises(SipRefused):
                await sip.delete_trunk("ST_1")
            with pytest.raises(SipRefused):
                await sip.delete_rule("SDR_1")

    await Service({"DeleteSIPTrunk": failed, "DeleteSIPDispatchRule": failed}).use(work)


async def test_livekit_without_sip_is_unavailable() -> None:
    answer = error("internal", 500)

    async def work(sip: SipService) -> None:
        with pytest.raises(SipUnavailable) as caught:
            await sip.objects()
        assert caught.value.code == "internal"

    await Service({"ListSIPInboundTrunk": answer}).use(work)


async def test_server_that_is_away_is_unavailable() -> None:
    sip = SipService("ws://127.0.0.1:1", "devkey", SECRET)
    with pytest.raises(SipUnavailable):
        await sip.dial(DIAL)
    await sip.aclose()


async def test_closing_an_unused_service_is_fine() -> None:
    await SipService("ws://127.0.0.1:1", "devkey", SECRET).aclose()
