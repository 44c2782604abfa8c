"""Phones called through signalling, with a real `sipp` picking up or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridges.sip import ipc
from bridges.sip.leg_table import LegTable
from bridges.wire.sip.endpoint import Endpoint
from contracts.trunk import Trunk
from tests.bridges.sip.exchange import Exchange, eventually, exchange
from tests.fakes import sipp
from tests.fakes.ports import free_port
from tests.fakes.sip_media import SDP
from tests.fakes.sipp_script import (
    SDP as PEER_SDP,
)
from tests.fakes.sipp_script import (
    expect_request,
    hung_up_by_us,
    pause,
    respond,
    scenario,
)

CERTIFICATE = Path(__file__).parents[2] / "vectors" / "tls" / "localhost.pem"
TRANSPORTS = pytest.mark.parametrize(("transport", "option"), [("udp", "u1"), ("tcp", "t1")])
PICKED_UP = [
    expect_request("INVITE"),
    respond("180 Ringing"),
    respond("200 OK", sdp=True),
    expect_request("ACK"),
]


def dial(running: Exchange, port: int, *, ringing_timeout_s: float = 10.0, **trunk: object) -> str:
    """Have the media process call the peer; return the leg."""
    values = {"trunk_id": "t", "name": "t", "kind": "bridge", "address": f"127.0.0.1:{port}"}
    order = ipc.Dial(
        leg="out-1",
        to_number="+919876543210",
        from_number="+914422220000",
        trunk=Trunk.model_validate(values | trunk),
        sdp=SDP,
        ringing_timeout_s=ringing_timeout_s,
        headers={"X-Campaign": "diwali"},
    )
    running.media.tell(order)
    return order.leg


@TRANSPORTS
async def test_phone_rings_is_picked_up_and_hung_up(
    tmp_path: Path, transport: str, option: str
) -> None:
    script = scenario(
        '<recv request="INVITE"><action>'
        '<ereg regexp="INVITE sip:\\+919876543210@127.0.0.1:[0-9]+;user=phone SIP/2.0"'
        ' search_in="msg" check_it="true" assign_to="uri"/>'
        '<ereg regexp="sip:\\+914422220000@desk.example" search_in="hdr" header="From:"'
        ' check_it="true" assign_to="from"/>'
        '<ereg regexp="diwali" search_in="hdr" header="X-Campaign:" check_it="true"'
        ' assign_to="campaign"/>'
        "</action></recv>",
        PICKED_UP[1:],
        hung_up_by_us(),
        '<Reference variables="uri,from,campaign"/>',
    )
    async with (
        exchange(tmp_path / "state", sip_domain="desk.example") as running,
        sipp.running(script, tmp_path, transport=option) as phone,
    ):
        leg = dial(running, phone.port, transport=transport)
        accepted = await running.media.hear(ipc.Accepted)
        assert "PCMA/8000" in accepted.sdp
        assert [each.call for each in running.store.left()] != []
        running.media.tell(ipc.Bye(leg=leg))
        await phone.succeeds()
        assert running.media.kinds() == ["rings", "accepted", "over"]
        assert (await running.media.hear(ipc.Over)).how == "bye"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("486 Busy Here", 486),
        ("603 Decline", 603),
        ("404 Not Found", 404),
        ("480 Temporarily Unavailable", 480),
        ("302 Moved Temporarily", 302),
    ],
)
async def test_refusal_is_told_with_its_status(tmp_path: Path, line: str, status: int) -> None:
    script = scenario(expect_request("INVITE"), respond(line), expect_request("ACK"))
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(script, tmp_path) as phone,
    ):
        dial(running, phone.port)
        over = await running.media.hear(ipc.Over)
        assert (over.how, over.status_code, over.rang) == ("failed", status, False)
        await phone.succeeds()


@TRANSPORTS
async def test_phone_that_nobody_picks_up_is_cancelled(
    tmp_path: Path, transport: str, option: str
) -> None:
    script = scenario(
        expect_request("INVITE"),
        respond("180 Ringing"),
        expect_request("CANCEL"),
        respond("200 OK"),
        respond("487 Request Terminated").replace("[last_CSeq:]", "CSeq: 1 INVITE"),
        expect_request("ACK"),
    )
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(script, tmp_path, transport=option) as phone,
    ):
        dial(running, phone.port, ringing_timeout_s=0.2, transport=transport)
        over = await running.media.hear(ipc.Over)
        assert (over.how, over.status_code, over.rang) == ("unanswered", None, True)
        await phone.succeeds()


async def test_call_given_up_while_it_rings_is_cancelled(tmp_path: Path) -> None:
    script = scenario(
        expect_request("INVITE"),
        respond("180 Ringing"),
        expect_request("CANCEL"),
        respond("200 OK"),
        respond("487 Request Terminated").replace("[last_CSeq:]", "CSeq: 1 INVITE"),
        expect_request("ACK"),
    )
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(script, tmp_path) as phone,
    ):
        leg = dial(running, phone.port)
        await running.media.hear(ipc.Rings)
        running.media.tell(ipc.Bye(leg=leg))
        assert (await running.media.hear(ipc.Over)).how == "cancelled"
        await phone.succeeds()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_peer_that_is_not_there_is_unreachable_at_once(
    tmp_path: Path, transport: str
) -> None:
    async with exchange(tmp_path / "state") as running:
        dial(running, free_port(), transport=transport)
        over = await running.media.hear(ipc.Over, timeout_s=2)
        assert (over.how, over.status_code, over.rang) == ("unreachable", None, False)
        assert over.detail


@pytest.mark.parametrize(
    ("line", "header"),
    [("401 Unauthorized", "WWW-Authenticate"), ("407 Proxy Authentication", "Proxy-Authenticate")],
)
async def test_credentials_are_shown_to_who_asks(tmp_path: Path, line: str, header: str) -> None:
    challenge = f'{header}: Digest realm="pbx", nonce="f00", algorithm=MD5, qop="auth"\n'
    answer = "Authorization" if line.startswith("401") else "Proxy-Authorization"
    # sipp can verify the answer to a 401 alone.
    verify = (
        '<verifyauth assign_to="valid" username="desk" password="s3cret"/>'
        if answer == "Authorization"
        else '<assignstr assign_to="valid" value="unverified"/>'
    )
    script = scenario(
        expect_request("INVITE"),
        respond(line, headers=challenge),
        expect_request("ACK"),
        '<recv request="INVITE" next="proven" test="valid"><action><ereg regexp="desk"'
        f' search_in="hdr" header="{answer}:" check_it="true" assign_to="proof"/>'
        f"{verify}</action></recv>",
        respond("403 Forbidden"),
        '<label id="proven"/>',
        respond("200 OK", sdp=True),
        expect_request("ACK"),
        hung_up_by_us(),
        '<Reference variables="proof"/>',
    )
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(script, tmp_path) as phone,
    ):
        leg = dial(running, phone.port, username="desk", password="s3cret")
        await running.media.hear(ipc.Accepted)
        running.media.tell(ipc.Bye(leg=leg))
        await phone.succeeds()


async def test_early_media_is_passed_on(tmp_path: Path) -> None:
    script = scenario(
        expect_request("INVITE"),
        respond("183 Session Progress", sdp=True),
        pause(50),
        respond("200 OK", sdp=True),
        expect_request("ACK"),
        hung_up_by_us(),
    )
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(script, tmp_path) as phone,
    ):
        leg = dial(running, phone.port)
        rings = await running.media.hear(ipc.Rings)
        assert rings.sdp is not None
        assert rings.sdp.splitlines()[0] == PEER_SDP.splitlines()[0]
        await running.media.hear(ipc.Accepted)
        running.media.tell(ipc.Bye(leg=leg))
        await phone.succeeds()


async def test_number_that_cannot_be_dialled_is_lost(tmp_path: Path) -> None:
    async with exchange(tmp_path / "state") as running:
        dial(running, 5060, address="not a host!")
        over = await running.media.hear(ipc.Over)
        assert (over.how, over.detail) == ("lost", "the trunk's address is none")


@pytest.mark.parametrize(("part", "step"), [(Endpoint, "invite"), (LegTable, "add")])
async def test_dial_that_fails_for_no_foreseen_cause_is_over_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: type, step: str
) -> None:
    usual = getattr(part, step)

    def fail(*given: object, **named: object) -> object:
        usual(*given, **named)
        raise RuntimeError("not foreseen")

    async with exchange(tmp_path / "state") as running:
        monkeypatch.setattr(part, step, fail)
        dial(running, free_port())
        over = await running.media.hear(ipc.Over)
        assert (over.how, over.detail) == ("lost", "signalling has failed over it")
        assert running.media.kinds() == ["over"]
        assert len(running.board.legs) == 0


@pytest.mark.parametrize("hangs_up", ["caller", "callee"])
async def test_call_by_tls_ends_at_both_ends(tmp_path: Path, hangs_up: str) -> None:
    tls: dict[str, Any] = {"sip_tls_cert": CERTIFICATE, "sip_tls_ca": CERTIFICATE}
    async with (
        exchange(tmp_path / "callee", **tls) as callee,
        exchange(tmp_path / "caller", **tls) as caller,
    ):
        dial(caller, callee.tls_port, transport="tls")
        await caller.media.hear(ipc.Accepted)
        leg = (await callee.media.hear(ipc.Acked)).leg
        if hangs_up == "caller":
            caller.media.tell(ipc.Bye(leg="out-1"))
        else:
            callee.media.tell(ipc.Bye(leg=leg))
        for end in (caller, callee):
            assert (await end.media.hear(ipc.Over)).how == "bye"
        await eventually(lambda: caller.store.left() == callee.store.left() == [])
