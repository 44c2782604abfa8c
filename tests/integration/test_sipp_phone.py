"""The phones of tests against each other: what a scenario says is what goes over the wire."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fakes.livekit_sip import Answers, Callee, RefersTo, Refuses
from tests.fakes.livekit_sip.phone_script import callee_script, caller_script
from tests.fakes.livekit_sip.sipp_phone import SippPhone, sipp_phone
from tests.fakes.sipp_script import (
    answered,
    expect,
    expect_request,
    hung_up_by_us,
    request,
    respond,
    scenario,
)

NUMBER, DIALLED = "+15550100", "+911140000000"
CHALLENGE = 'Proxy-Authenticate: Digest realm="LiveKit",nonce="abc",algorithm=MD5\n'
HANG_UP = [request("BYE", 3, in_dialog=True), expect(200)]


def caller(**how: str) -> str:
    return caller_script(NUMBER, DIALLED, how)


async def over(*phones: SippPhone) -> None:
    async with asyncio.timeout(10):
        for phone in phones:
            await phone.over.wait()


async def test_caller_hangs_up_when_told(tmp_path: Path) -> None:
    callee = callee_script(Callee(Answers(0.2)))
    async with (
        sipp_phone(callee, tmp_path) as called,
        sipp_phone(caller(**{"X-Account": "7"}), tmp_path, to=called.port) as calling,
    ):
        async with asyncio.timeout(10):
            await calling.says(200)
        assert not calling.over.is_set()
        await calling.tell()
        await over(calling, called)
        assert calling.statuses == [180, 200]
        assert (calling.ended_by, called.ended_by) == ("phone", "room")
        assert "X-Account: 7" in called.peer.trace()
        await calling.peer.succeeds()
        await called.peer.succeeds()


async def test_callee_hangs_up_when_told(tmp_path: Path) -> None:
    async with (
        sipp_phone(callee_script(Callee(Answers(0.0, rings=False))), tmp_path) as called,
        sipp_phone(caller(), tmp_path, to=called.port) as calling,
    ):
        async with asyncio.timeout(10):
            await calling.says(200)
        await called.tell()
        await over(calling, called)
        assert calling.statuses == [200]
        assert (calling.ended_by, called.ended_by) == ("room", "phone")
        await calling.peer.succeeds()
        await called.peer.succeeds()


@pytest.mark.parametrize("after_s", [None, 30.0])
async def test_caller_gives_up_when_told(tmp_path: Path, after_s: float | None) -> None:
    async with (
        sipp_phone(callee_script(Callee(Answers(after_s))), tmp_path) as called,
        sipp_phone(caller(), tmp_path, to=called.port) as calling,
    ):
        async with asyncio.timeout(10):
            await calling.says(180)
        await calling.tell()
        await over(calling, called)
        assert calling.statuses == [180, 487]
        await calling.peer.succeeds()
        await called.peer.succeeds()


@pytest.mark.parametrize("after_s", [0.0, 0.1])
@pytest.mark.parametrize("status", [404, 408, 480, 486, 503, 600, 603])
async def test_callee_refuses(tmp_path: Path, status: int, after_s: float) -> None:
    callee = callee_script(Callee(Refuses(status, after_s=after_s)))
    async with (
        sipp_phone(callee, tmp_path) as called,
        sipp_phone(caller(), tmp_path, to=called.port) as calling,
    ):
        await over(calling, called)
        assert calling.statuses == [status]
        await called.peer.succeeds()


@pytest.mark.parametrize(
    ("again", "statuses"), [("401 Unauthorized", [407, 401]), ("", [407, 200])]
)
async def test_caller_gives_its_name_where_it_is_asked(
    tmp_path: Path, again: str, statuses: list[int]
) -> None:
    asks = scenario(
        expect_request("INVITE"),
        respond("407 Proxy Authentication Required", headers=CHALLENGE),
        expect_request("ACK"),
        expect_request("INVITE"),
        respond(again, headers=CHALLENGE) if again else respond("200 OK", sdp=True),
        expect_request("ACK"),
        [] if again else [expect_request("BYE"), respond("200 OK", tag="")],
    )
    script = caller_script(NUMBER, DIALLED, {}, ("u", "p"))
    async with (
        sipp_phone(asks, tmp_path) as called,
        sipp_phone(script, tmp_path, to=called.port) as calling,
    ):
        async with asyncio.timeout(10):
            await calling.says(statuses[-1])
        if not again:
            await calling.tell()
        await over(calling, called)
        assert calling.statuses == statuses
        assert 'Proxy-Authorization: Digest username="u"' in called.peer.trace()
        await called.peer.succeeds()


def refers_then(*steps: str | list[str]) -> str:
    """Call, refer the phone on, and see what becomes of it."""
    refer = request("REFER", 2, in_dialog=True, headers="Refer-To: <tel:+14155550123>\n")
    return scenario(answered(), refer, *steps)


def notified(times: int) -> list[str]:
    return [expect_request("NOTIFY"), respond("200 OK", tag="")] * times


@pytest.mark.parametrize(
    ("refers", "steps", "said"),
    [
        (RefersTo.SUCCESS, [expect(202), notified(2), HANG_UP], "SIP/2.0 200 OK\n"),
        (RefersTo.BUSY, [expect(202), notified(2), HANG_UP], "SIP/2.0 486 Busy Here\n"),
        (RefersTo.NOT_ALLOWED, [expect(405), HANG_UP], ""),
        (RefersTo.SILENCE, [expect(202), HANG_UP], ""),
        (RefersTo.HANGS_UP, [expect(202), hung_up_by_us()], ""),
    ],
)
async def test_callee_that_is_referred_on(
    tmp_path: Path, refers: RefersTo, steps: list[str | list[str]], said: str
) -> None:
    callee = callee_script(Callee(Answers(0.0, rings=False), refers))
    async with (
        sipp_phone(callee, tmp_path) as called,
        sipp_phone(refers_then(*steps), tmp_path, to=called.port) as calling,
    ):
        await over(calling, called)
        await calling.peer.succeeds()
        await called.peer.succeeds()
        assert called.referred_to == "tel:+14155550123"
        assert said in calling.peer.trace().replace("\r", "")
        assert called.ended_by == ("phone" if refers is RefersTo.HANGS_UP else "room")
