"""A plain SIP caller over UDP: nothing of the product in it but G.711, so that it can judge it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from bridges.audio.g711 import A_LAW

FRAME_S = 0.02
FRAME_SAMPLES = 160
LOUD = 8000
"""What a pulse has, and no line noise."""
AUDIBLE = 300
_SILENCE = b"\xd5" * FRAME_SAMPLES
_PULSE = b"\xaa\x2a" * (FRAME_SAMPLES // 2)
"""The loudest A-law has, at half the rate: no codec or level control mistakes it for noise."""
_ANSWER_TIMEOUT_S = 20.0


class CallFailed(Exception):
    """The call was not answered with 200."""


@dataclass(slots=True)
class SipCaller:
    """One call. Times are `time.monotonic()` seconds."""

    target: tuple[str, int]
    number: str
    invited_at: float = 0.0
    answered_at: float = 0.0
    pulses: list[float] = field(default_factory=list)
    """When each pulse was sent."""
    loud: list[float] = field(default_factory=list)
    """When each loud packet came that followed a silent one."""
    heard_at: float = 0.0
    """When the first packet came in which anything is to be heard."""
    arrivals: list[tuple[int, float]] = field(default_factory=list)
    """Sequence number and time of every packet."""
    _call_id: str = field(default_factory=lambda: secrets.token_hex(8))
    _tag: str = field(default_factory=lambda: secrets.token_hex(4))
    _to: str = ""
    _contact: str = ""
    _remote_rtp: tuple[str, int] = ("", 0)
    _sip: asyncio.DatagramTransport | None = None
    _rtp: asyncio.DatagramTransport | None = None
    _final: asyncio.Future[str] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    _was_loud: bool = False
    _sending: asyncio.Task[None] | None = None
    is_pulsing: bool = False

    async def call(self) -> Self:
        """Call, and return once it is answered and acknowledged.

        Raises:
            CallFailed: it was refused, or not answered in time.
        """
        loop = asyncio.get_running_loop()
        local = ("127.0.0.1", 0)
        self._sip, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self._on_sip), local_addr=local
        )
        self._rtp, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self._on_rtp), local_addr=local
        )
        rtp_port = self._rtp.get_extra_info("sockname")[1]
        sdp = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {rtp_port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n"
        )
        self.invited_at = time.monotonic()
        self._send("INVITE", 1, f"Content-Type: application/sdp\r\n{self._length(sdp)}", sdp)
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                answer = await self._final
        except TimeoutError:
            raise CallFailed("no final response") from None
        self.answered_at = time.monotonic()
        if not answer.startswith("SIP/2.0 200"):
            raise CallFailed(answer.partition("\r\n")[0])
        self._to = _header(answer, "To")
        self._contact = _found(r"<([^>]+)>", _header(answer, "Contact"))
        host, port = _found(r"c=IN IP4 (\S+)", answer), _found(r"m=audio (\d+)", answer)
        self._remote_rtp = (host, int(port))
        self._send("ACK", 1, self._length(""))
        self._sending = asyncio.create_task(self._talk())
        return self

    async def hang_up(self) -> None:
        """Say BYE and close."""
        if self._sending is not None:
            self._sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sending
            self._send("BYE", 2, self._length(""))
            await asyncio.sleep(0.1)
        for transport in (self._sip, self._rtp):
            if transport is not None:
                transport.close()

    async def _talk(self) -> None:
        due, sequence, frame = time.monotonic(), 1, 0
        ssrc = secrets.randbits(32)
        while True:
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            payload = _SILENCE
            # An odd number, so that pulses fall on either half of a packet to the agent.
            if self.is_pulsing and frame % 37 == 0:
                payload = _PULSE
                self.pulses.append(time.monotonic())
            head = struct.pack(">BBHII", 0x80, 8, sequence & 0xFFFF, sequence * 160, ssrc)
            assert self._rtp is not None
            self._rtp.sendto(head + payload, self._remote_rtp)
            sequence, frame = sequence + 1, frame + 1

    def _on_rtp(self, data: bytes) -> None:
        now = time.monotonic()
        if len(data) < 12 or data[1] & 0x7F != 8:
            return
        self.arrivals.append((struct.unpack_from(">H", data, 2)[0], now))
        samples = memoryview(A_LAW.decode(data[12:])).cast("h")
        loudest = max(map(abs, samples))
        if not self.heard_at and loudest > AUDIBLE:
            self.heard_at = now
        is_loud = loudest > LOUD
        if is_loud and not self._was_loud:
            self.loud.append(now)
        self._was_loud = is_loud

    def _on_sip(self, data: bytes) -> None:
        text = data.decode()
        if text.startswith("SIP/2.0"):
            is_final = not text.startswith("SIP/2.0 1")
            if is_final and "INVITE" in _header(text, "CSeq") and not self._final.done():
                self._final.set_result(text)
            return
        echoed = [line for line in text.split("\r\n") if _ECHOED.match(line)]
        answer = "\r\n".join(["SIP/2.0 200 OK", *echoed, self._length(""), "", ""])
        assert self._sip is not None
        self._sip.sendto(answer.encode(), self.target)

    def _send(self, method: str, cseq: int, more: str, body: str = "") -> None:
        assert self._sip is not None
        port = self._sip.get_extra_info("sockname")[1]
        host, remote_port = self.target
        uri = self._contact or f"sip:{self.number}@{host}:{remote_port}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bK{secrets.token_hex(8)}",
            "Max-Forwards: 70",
            f"From: <sip:bench@127.0.0.1:{port}>;tag={self._tag}",
            f"To: {self._to or f'<{uri}>'}",
            f"Call-ID: {self._call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:bench@127.0.0.1:{port}>",
            more,
        ]
        self._sip.sendto(("\r\n".join(lines) + f"\r\n\r\n{body}").encode(), self.target)

    @staticmethod
    def _length(body: str) -> str:
        return f"Content-Length: {len(body)}"


_ECHOED = re.compile(r"(via|from|to|call-id|cseq):", re.IGNORECASE)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise CallFailed(f"no {pattern} in the answer")
    return match[1]


def _header(message: str, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*?)\r$", message, re.IGNORECASE | re.MULTILINE)
    return found[1] if found else ""


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, _: object) -> None:
        """Hand it on."""
        self._take(data)
