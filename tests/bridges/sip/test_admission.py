"""Who may call in: unknown peers, credentials, and calls that move between a carrier's nodes."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridges.sip import ipc
from contracts.trunk import Trunk
from tests.bridges.sip.exchange import Exchange, eventually, exchange
from tests.fakes import sipp
from tests.fakes.sip_media import SDP
from tests.fakes.sipp_script import (
    answered,
    hung_up_by_caller,
    refused,
    scenario,
)

ELSEWHERE: dict[str, Any] = {"sip_allowed_peers": "192.0.2.0/24"}
DESK = Trunk(
    trunk_id="desk",
    name="desk",
    kind="bridge",
    inbound_username="1001",
    inbound_password="s3cret",
    codecs=["PCMU"],
)


def message(method: str, *, tag: str = "", cseq: int = 1, body: str = "") -> bytes:
    """Return a request as a peer of 127.0.0.1 sends it by TCP."""
    lines = [
        f"{method} sip:42@127.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/TCP 127.0.0.1:5099;branch=z9hG4bK{method}{cseq};rport",
        "From: <sip:1001@127.0.0.1>;tag=peer",
        f"To: <sip:42@127.0.0.1>{f';tag={tag}' if tag else ''}",
        "Call-ID: a-call",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:1001@127.0.0.1:5099;transport=tcp>",
        "Max-Forwards: 70",
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", body]).encode()


class Wire:
    """A peer's TCP connection, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, running: Exchange, address: str = "127.0.0.1") -> Wire:
        return cls(
            *await asyncio.open_connection("127.0.0.1", running.port, local_addr=(address, 0))
        )

    async def response(self, status: int) -> str:
        """Return the head of the next response that is not provisional, or of that status."""
        while True:
            head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 5)).decode()
            length = int(head.lower().partition("content-length:")[2].split("\r\n")[0])
            await self._reader.readexactly(length)
            got = int(head.split(" ")[1])
            if got == status:
                return head
            assert got < 200, head

    async def is_closed(self) -> bool:
        return await asyncio.wait_for(self._reader.read(1), 5) == b""


def tag_of(head: str) -> str:
    return head.partition("\r\nTo:")[2].partition("tag=")[2].split("\r\n")[0]


async def test_bye_on_another_connection_from_another_node_ends_the_call(tmp_path: Path) -> None:
    carrier = Trunk(name="c", trunk_id="c", inbound_addresses=["127.0.0.1"])
    async with exchange(tmp_path / "state", trunks=[carrier], **ELSEWHERE) as running:
        first = await Wire.to(running)
        first.writer.write(message("INVITE", body=SDP))
        tag = tag_of(await first.response(200))
        first.writer.write(message("ACK", tag=tag))
        await running.media.hear(ipc.Acked)
        first.writer.close()
        # A node whose address no trunk lists.
        second = await Wire.to(running, "127.0.0.7")
        second.writer.write(message("BYE", tag=tag, cseq=2))
        await second.response(200)
        assert (await running.media.hear(ipc.Over)).how == "bye"
        second.writer.close()


async def test_caller_whose_name_is_no_utf_8_is_answered(tmp_path: Path) -> None:
    invite = message("INVITE", body=SDP).replace(b"From: ", b'From: "Jos\xe9" ')
    async with exchange(tmp_path / "state") as running:
        phone = await Wire.to(running)
        phone.writer.write(invite.replace(b"a-call", b"a-call\xe9"))
        incoming = await running.media.hear(ipc.Incoming)
        assert incoming.display_name == "Jos\ufffd"
        assert incoming.sip_call_id == "a-call\ufffd"
        phone.writer.close()


async def test_unknown_peer_is_not_answered(tmp_path: Path) -> None:
    async with exchange(tmp_path / "state", **ELSEWHERE) as running:
        stranger = await Wire.to(running)
        stranger.writer.write(message("INVITE", body=SDP))
        assert await stranger.is_closed()
        stranger.writer.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.setblocking(False)
            phone.connect(("127.0.0.1", running.port))
            for method in ("OPTIONS", "INVITE", "REGISTER"):
                phone.send(message(method))
            await eventually(lambda: running.driver.dropped["unknown_peer"] == 4)
            with pytest.raises(BlockingIOError):
                phone.recv(100)
        assert running.media.heard == []


async def test_unknown_peer_is_told_403_where_that_is_wanted(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path / "state", sip_unknown_peers="403", **ELSEWHERE) as running,
        sipp.running(scenario(refused(403)), tmp_path, to=running.port) as phone,
    ):
        await phone.succeeds()
        assert running.media.heard == []


def dial(caller: Exchange, port: int, leg: str, password: str) -> None:
    """Have another exchange call us with credentials."""
    trunk = Trunk(
        name="us", address=f"127.0.0.1:{port};transport=tcp", username="1001", password=password
    )
    caller.media.tell(
        ipc.Dial(
            leg=leg,
            to_number="42",
            from_number="7",
            trunk=trunk,
            sdp=SDP,
            ringing_timeout_s=5,
        )
    )


def _is_of(leg: str, over: ipc.Over) -> bool:
    return over.leg == leg


@pytest.mark.parametrize("addresses", [[], ["127.0.0.0/8"]])
async def test_caller_that_knows_the_password_gets_in(tmp_path: Path, addresses: list[str]) -> None:
    trunk = DESK.model_copy(update={"inbound_addresses": addresses})
    async with (
        exchange(tmp_path / "state", trunks=[trunk], **ELSEWHERE) as running,
        exchange(tmp_path / "caller") as caller,
    ):
        dial(caller, running.port, "out", "s3cret")
        await caller.media.hear(ipc.Accepted)
        caller.media.tell(ipc.Bye(leg="out"))
        await running.media.hear(ipc.Over)


async def test_caller_that_guesses_is_asked_again_and_then_refused(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path / "state", trunks=[DESK], **ELSEWHERE) as running,
        exchange(tmp_path / "caller") as caller,
    ):
        statuses: list[int | None] = []
        for number in range(11):
            leg = f"out-{number}"
            dial(caller, running.port, leg, f"guess-{number}")
            over = await caller.media.hear(ipc.Over, partial(_is_of, leg))
            statuses.append(over.status_code)
        assert statuses == [401] * 10 + [403]
        assert running.media.heard == []


async def test_flood_of_nonsense_leaves_calls_alone(tmp_path: Path) -> None:
    nonsense = [b"\0" * 200, b"INVITE\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n", b"x" * 60_000]
    script = scenario(answered(), hung_up_by_caller())
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(
            script, tmp_path, *("-r", "40", "-l", "8"), to=running.port, calls=40, transport="t1"
        ) as phones,
    ):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            flood.bind(("127.0.0.9", 0))
            flood.setblocking(False)
            for _ in range(50):
                for data in nonsense:
                    for _ in range(5):
                        try:
                            flood.sendto(data, ("127.0.0.1", running.port))
                        except BlockingIOError:
                            break
                await asyncio.sleep(0.01)
        await phones.succeeds()
        assert running.media.kinds().count("over") == 40
