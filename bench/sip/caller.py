"""A plain SIP caller over UDP: nothing of the product in it but G.711, so that it can judge it."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from bench.sip.phone_audio import PhoneAudio

_ANSWER_TIMEOUT_S = 20.0
_BYE_TIMEOUT_S = 5.0


class CallFailed(Exception):
    """The call was not answered with 200."""


@dataclass(slots=True)
class SipCaller:
    """One call. Times are `time.monotonic()` seconds.

    Attributes:
        target: where the bridge listens.
        number: what is dialled.
        name: who calls.
        audio: what is said and heard.
        rang_at: when the first 180 came; 0.0 before.
        is_over: set once the far end has said BYE.
    """

    target: tuple[str, int]
    number: str
    name: str = "bench"
    audio: PhoneAudio = field(default_factory=PhoneAudio)
    invited_at: float = 0.0
    rang_at: float = 0.0
    answered_at: float = 0.0
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    call_id: str = field(default_factory=lambda: secrets.token_hex(8))
    _tag: str = field(default_factory=lambda: secrets.token_hex(4))
    _to: str = ""
    _contact: str = ""
    _bye_taken: asyncio.Event = field(default_factory=asyncio.Event)
    _sip: asyncio.DatagramTransport | None = None
    _final: asyncio.Future[str] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    async def call(self) -> Self:
        """Call, and return once it is answered and acknowledged.

        Raises:
            CallFailed: it was refused, or not answered in time.
        """
        self._sip, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Receiver(self._on_sip), local_addr=("127.0.0.1", 0)
        )
        rtp_port = self.audio.open()
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
        self._send("ACK", 1, self._length(""))
        self.audio.start((host, int(port)))
        return self

    async def hang_up(self) -> None:
        """Say BYE, if there is anybody to say it to, and close.

        Raises:
            TimeoutError: nobody took it.
        """
        try:
            if self._contact and not self.is_over.is_set():
                self._send("BYE", 2, self._length(""))
                async with asyncio.timeout(_BYE_TIMEOUT_S):
                    await self._bye_taken.wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """Be gone without a word. Idempotent."""
        await self.audio.close()
        if self._sip is not None:
            self._sip.close()

    def _on_sip(self, data: bytes) -> None:
        text = data.decode()
        if text.startswith("SIP/2.0"):
            is_final = not text.startswith("SIP/2.0 1")
            if text.startswith("SIP/2.0 180") and not self.rang_at:
                self.rang_at = time.monotonic()
            if is_final and "INVITE" in _header(text, "CSeq") and not self._final.done():
                self._final.set_result(text)
            if is_final and "BYE" in _header(text, "CSeq"):
                self._bye_taken.set()
            return
        if text.startswith("BYE "):
            self.is_over.set()
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
            f"From: <sip:{self.name}@127.0.0.1:{port}>;tag={self._tag}",
            f"To: {self._to or f'<{uri}>'}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{self.name}@127.0.0.1:{port}>",
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
