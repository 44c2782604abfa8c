"""Calls both ways through signalling, with a real `sipp` at the far end."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from bridges.sip import ipc
from contracts.trunk import Trunk
from tests.bridges.sip.exchange import eventually, exchange
from tests.fakes import sipp
from tests.fakes.sip_media import SDP, FakeMedia
from tests.fakes.sipp_script import (
    ack,
    answered,
    expect,
    expect_request,
    hung_up_by_caller,
    hung_up_by_us,
    invite,
    pause,
    refused,
    request,
    respond,
    scenario,
)

TRANSPORTS = pytest.mark.parametrize("transport", ["u1", "t1"])


@TRANSPORTS
async def test_call_is_answered_and_hung_up_by_its_caller(tmp_path: Path, transport: str) -> None:
    script = scenario(answered(), pause(50), hung_up_by_caller())
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(
            script, tmp_path, "-s", "+914422220000", to=running.port, transport=transport
        ) as phone,
    ):
        await phone.succeeds()
        over = await running.media.hear(ipc.Over)
        assert over.how == "bye"
        assert running.media.kinds() == ["incoming", "acked", "over"]
        incoming = await running.media.hear(ipc.Incoming)
        assert (incoming.did, incoming.caller) == ("+914422220000", "1001")
        assert incoming.sdp is not None
        assert "PCMA/8000" in incoming.sdp
        assert running.store.left() == []
        assert len(running.board.legs) == 0


@pytest.mark.parametrize(("number", "status"), [("busy", 486), ("decline", 603), ("full", 503)])
async def test_call_is_refused_as_its_media_process_says(
    tmp_path: Path, number: str, status: int
) -> None:
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(scenario(refused(status)), tmp_path, "-s", number, to=running.port) as phone,
    ):
        await phone.succeeds()
        over = await running.media.hear(ipc.Over)
        assert (over.how, over.status_code) == ("refused", status)


@TRANSPORTS
async def test_caller_who_gives_up_is_answered_487(tmp_path: Path, transport: str) -> None:
    script = scenario(
        invite(),
        expect(100),
        expect(180),
        request("CANCEL", same_branch=True),
        expect(200),
        expect(487),
        ack(refused=True),
    )
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(
            script, tmp_path, "-s", "silent", to=running.port, transport=transport
        ) as phone,
    ):
        await phone.succeeds()
        assert (await running.media.hear(ipc.Over)).how == "cancelled"


async def test_call_is_hung_up_by_its_media_process(tmp_path: Path) -> None:
    script = scenario(answered(), hung_up_by_us())
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(script, tmp_path, to=running.port) as phone,
    ):
        acked = await running.media.hear(ipc.Acked)
        running.media.tell(ipc.Bye(leg=acked.leg))
        await phone.succeeds()
        assert (await running.media.hear(ipc.Over)).how == "bye"
        assert running.store.left() == []


async def test_caller_is_refused_while_every_media_process_is_full(tmp_path: Path) -> None:
    script = scenario(
        invite(),
        expect(100, optional=True),
        '<recv response="486"><action><ereg regexp="5" search_in="hdr" header="Retry-After:"'
        ' check_it="true" assign_to="after"/></action></recv>',
        ack(refused=True),
        '<Reference variables="after"/>',
    )
    async with (
        exchange(tmp_path / "state", max_calls=1) as running,
        sipp.running(scenario(answered(), hung_up_by_us()), tmp_path, to=running.port) as first,
    ):
        acked = await running.media.hear(ipc.Acked)
        async with sipp.running(script, tmp_path, to=running.port) as second:
            await second.succeeds()
        running.media.tell(ipc.Bye(leg=acked.leg))
        await first.succeeds()


async def test_calls_go_to_the_media_process_with_most_room(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path / "state", media=2) as running,
        sipp.running(
            scenario(answered(), pause(50), hung_up_by_caller()),
            tmp_path,
            *("-r", "50", "-l", "6"),
            to=running.port,
            calls=6,
        ) as phones,
    ):
        await phones.succeeds()
        shares = [fake.kinds().count("incoming") for fake in running.medias]
        assert sum(shares) == 6
        assert min(shares) >= 1


async def test_hold_is_offered_and_answered_again_and_again(tmp_path: Path) -> None:
    directions = itertools.islice(itertools.cycle(["sendonly", "inactive", "sendrecv"]), 30)
    storm = [
        step
        for number, direction in enumerate(directions, 2)
        for step in (
            invite(number, in_dialog=True, direction=direction),
            expect(100, optional=True),
            expect(200),
            ack(number),
        )
    ]
    bye = [request("BYE", 99, in_dialog=True), expect(200)]
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(
            scenario(answered(), storm, bye), tmp_path, to=running.port, transport="t1"
        ) as phone,
    ):
        await phone.succeeds()
        await running.media.hear(ipc.Over)
        offers = [each.sdp for each in running.media.heard if isinstance(each, ipc.Reoffered)]
        assert len(offers) == 30
        assert offers[0] is not None
        assert "sendonly" in offers[0]


async def test_digit_by_info_is_told(tmp_path: Path) -> None:
    info = request(
        "INFO",
        2,
        in_dialog=True,
        headers="Content-Type: application/dtmf-relay\n",
        body="Signal=5\nDuration=160\n",
    )
    bye = [request("BYE", 3, in_dialog=True), expect(200)]
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(
            scenario(answered(), info, expect(200), bye), tmp_path, to=running.port
        ) as phone,
    ):
        digit = await running.media.hear(ipc.DigitInfo)
        assert (digit.digit, digit.duration_ms) == ("5", 160)
        await phone.succeeds()


async def test_keys_are_pressed_by_info_one_after_another(tmp_path: Path) -> None:
    def key(digit: str) -> str:
        return (
            f'<recv request="INFO"><action><ereg regexp="Signal={digit}" search_in="body"'
            f' check_it="true" assign_to="key{digit}"/></action></recv>' + respond("200 OK", tag="")
        )

    bye = [request("BYE", 2, in_dialog=True), expect(200)]
    script = scenario(answered(), key("4"), key("2"), bye, '<Reference variables="key4,key2"/>')
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(script, tmp_path, to=running.port) as phone,
    ):
        acked = await running.media.hear(ipc.Acked)
        for digit in "42":
            running.media.tell(ipc.SendDigit(leg=acked.leg, digit=digit))
        await phone.succeeds()


async def test_refer_of_a_caller_is_refused(tmp_path: Path) -> None:
    refer = request("REFER", 2, in_dialog=True, headers="Refer-To: <sip:2@127.0.0.1>\n")
    bye = [request("BYE", 3, in_dialog=True), expect(200)]
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(
            scenario(answered(), refer, expect(603), bye), tmp_path, to=running.port
        ) as phone,
    ):
        await phone.succeeds()


async def test_caller_is_referred_and_says_how_it_fares(tmp_path: Path) -> None:
    def notify(cseq: int, status: str, state: str) -> str:
        return request(
            "NOTIFY",
            cseq,
            in_dialog=True,
            headers=f"Event: refer\nSubscription-State: {state}\n"
            "Content-Type: message/sipfrag;version=2.0\n",
            body=f"SIP/2.0 {status}\n",
        )

    script = scenario(
        answered(),
        '<recv request="REFER"><action><ereg regexp="sip:9876543210@127.0.0.1;user=phone"'
        ' search_in="hdr" header="Refer-To:" check_it="true" assign_to="to"/></action></recv>',
        respond("202 Accepted", tag=""),
        *(notify(2, "100 Trying", "active"), expect(200)),
        *(notify(3, "200 OK", "terminated;reason=noresource"), expect(200)),
        hung_up_by_us(),
        '<Reference variables="to"/>',
    )
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(script, tmp_path, to=running.port) as phone,
    ):
        acked = await running.media.hear(ipc.Acked)
        running.media.tell(ipc.Refer(leg=acked.leg, to="9876543210", timeout_s=5))
        await running.media.hear(ipc.Referred, lambda each: each.is_final)
        fared = [each.status_code for each in running.media.heard if isinstance(each, ipc.Referred)]
        assert fared == [202, 100, 200]
        running.media.tell(ipc.Bye(leg=acked.leg))
        await phone.succeeds()


async def test_transfer_to_nobody_is_told_at_once(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(scenario(answered(), hung_up_by_us()), tmp_path, to=running.port) as phone,
    ):
        acked = await running.media.hear(ipc.Acked)
        running.media.tell(ipc.Refer(leg=acked.leg, to="sip:not an address", timeout_s=5))
        told = await running.media.hear(ipc.Referred)
        assert (told.status_code, told.is_final) == (400, True)
        running.media.tell(ipc.Bye(leg=acked.leg))
        await phone.succeeds()


async def test_media_process_that_dies_takes_its_calls_along_and_no_others(
    tmp_path: Path,
) -> None:
    script = scenario(answered(), hung_up_by_us())
    async with (
        exchange(tmp_path / "state", media=2) as running,
        sipp.running(script, tmp_path, to=running.port) as one,
        sipp.running(script, tmp_path, to=running.port) as other,
    ):
        first, second = [await fake.hear(ipc.Acked) for fake in running.medias]
        running.medias[0].close()
        hung_up, staying = (one, other) if await _is_of(running.medias[0], one) else (other, one)
        await hung_up.succeeds()
        assert running.board.legs.named(first.leg) is None
        assert running.board.legs.named(second.leg) is not None
        running.medias[1].tell(ipc.Bye(leg=second.leg))
        await staying.succeeds()


async def _is_of(fake: FakeMedia, phone: sipp.Sipp) -> bool:
    """Tell whether the phone's call is that media process's: it has the phone's Call-ID."""
    incoming = await fake.hear(ipc.Incoming)
    return incoming.sip_call_id in phone.trace()


async def test_call_that_cannot_be_hung_up_keeps_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scenario(answered(), hung_up_by_us())
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(script, tmp_path, to=running.port),
    ):
        acked = await running.media.hear(ipc.Acked)

        def fail(*_: object) -> None:
            raise ValueError("a defect of the endpoint's")

        monkeypatch.setattr(running.driver.endpoint, "bye", fail)
        running.media.tell(ipc.Bye(leg=acked.leg))
        await running.media.hear(ipc.Over)
        assert len(running.board.legs) == 0


async def test_new_callers_are_refused_while_draining(tmp_path: Path) -> None:
    async with exchange(tmp_path / "state") as running:
        running.board.drain(5)
        async with sipp.running(scenario(refused(503)), tmp_path, to=running.port) as phone:
            await phone.succeeds()
        assert running.media.kinds() == ["drain"]


async def test_call_left_behind_is_hung_up_with_the_trunks_credentials(tmp_path: Path) -> None:
    script = scenario(
        expect_request("INVITE"),
        respond("200 OK", sdp=True),
        expect_request("ACK"),
        expect_request("BYE"),
        respond(
            "401 Unauthorized",
            headers='WWW-Authenticate: Digest realm="pbx", nonce="1", algorithm=MD5, qop="auth"\n',
            tag="",
        ),
        '<recv request="BYE"><action><ereg regexp="desk" search_in="hdr" header="Authorization:"'
        ' check_it="true" assign_to="proof"/></action></recv>',
        respond("200 OK", tag=""),
        '<Reference variables="proof"/>',
    )
    async with sipp.running(script, tmp_path) as phone:
        trunk = Trunk(
            name="t",
            trunk_id="t",
            address=f"127.0.0.1:{phone.port}",
            username="desk",
            password="s3cret",
        )
        state = tmp_path / "state"
        async with exchange(state, trunks=[trunk]) as first:
            first.media.tell(
                ipc.Dial(
                    leg="out",
                    to_number="1",
                    from_number="2",
                    trunk=trunk,
                    sdp=SDP,
                    ringing_timeout_s=5,
                )
            )
            await first.media.hear(ipc.Accepted)
            port = first.port
            first.crash()
        async with exchange(state, trunks=[trunk], sip_port=port) as second:
            assert len(second.store.left()) == 1
            second.board.hang_up_leftovers()
            await phone.succeeds()
            await eventually(lambda: second.store.left() == [])


async def test_order_that_comes_too_late_leaves_the_call_alone(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(scenario(answered(), hung_up_by_us()), tmp_path, to=running.port) as phone,
    ):
        leg = (await running.media.hear(ipc.Acked)).leg
        for order in (
            ipc.Answer(leg=leg, sdp=SDP),
            ipc.Refuse(leg=leg, status_code=486),
            ipc.Reanswer(leg=leg, sdp=SDP),
            ipc.RefuseReoffer(leg=leg),
            ipc.Answer(leg="of nobody", sdp=SDP),
        ):
            running.media.tell(order)
        running.media.tell(ipc.Bye(leg=leg))
        await phone.succeeds()
        assert (await running.media.hear(ipc.Over)).how == "bye"
        assert running.media.kinds() == ["incoming", "acked", "over"]


async def test_caller_whom_nobody_answers_is_refused_in_the_end(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path / "state", guard_s=0.2) as running,
        sipp.running(scenario(refused(503)), tmp_path, "-s", "silent", to=running.port) as phone,
    ):
        await phone.succeeds()
        assert (await running.media.hear(ipc.Over)).how == "lost"
        assert len(running.board.legs) == 0
