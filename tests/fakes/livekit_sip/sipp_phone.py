"""Real phones of tests: a `sipp` each, which can be told to give up or to hang up."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fakes import sipp
from tests.fakes.livekit_sip.phone_script import WORD

_CALL_ID = re.compile(r"^Call-ID: *(\S+)", re.MULTILINE)
_REFERRED = re.compile(r"^Refer-To: *<?([^>\r\n]+)", re.MULTILINE | re.IGNORECASE)
_STATUS = re.compile(r"^SIP/2\.0 (\d{3})", re.MULTILINE)
_MESSAGE = re.compile(r"^-{20,} .*$", re.MULTILINE)
_LOOK_S = 0.02


class SippPhone:
    """One call of a phone.

    Attributes:
        over: set once the call is over, however it ended.
    """

    def __init__(self, peer: sipp.Sipp) -> None:
        self.peer = peer
        self.over = asyncio.Event()
        self._watch = asyncio.create_task(self._see_end())

    @property
    def port(self) -> int:
        """Where it is to be reached."""
        return self.peer.port

    @property
    def statuses(self) -> list[int]:
        """Every response that came to its INVITE, in order, each once."""
        of_invite = (text for text in self._messages("received") if " INVITE" in text)
        found = (_STATUS.search(text) for text in of_invite)
        return list(dict.fromkeys(int(status[1]) for status in found if status))

    @property
    def referred_to(self) -> str:
        """Where it was last referred to."""
        found = _REFERRED.findall("\n".join(self._messages("received")))
        return found[-1] if found else ""

    @property
    def ended_by(self) -> str:
        """`phone`, `room` (by which the service's own doing is meant, too), or "" as yet."""
        if any(text.startswith("BYE ") for text in self._messages("sent")):
            return "phone"
        return "room" if self.over.is_set() else ""

    async def tell(self) -> None:
        """Say the word: give up, hang up."""
        while not (call_id := _CALL_ID.search(self.peer.trace())):  # noqa: ASYNC110 - a file
            await asyncio.sleep(_LOOK_S)
        lines = [
            f"{WORD} sip:phone@127.0.0.1:{self.port} SIP/2.0",
            "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-word",
            "From: <sip:test@127.0.0.1>;tag=test",
            "To: <sip:phone@127.0.0.1>",
            f"Call-ID: {call_id[1]}",
            f"CSeq: 99 {WORD}",
            "Content-Length: 0",
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
            mouth.sendto("\r\n".join([*lines, "", ""]).encode(), ("127.0.0.1", self.port))

    async def says(self, status: int) -> None:
        """Wait until a response to its INVITE has come."""
        while status not in self.statuses:  # noqa: ASYNC110 - a file
            await asyncio.sleep(_LOOK_S)

    async def aclose(self) -> None:
        """Look after it no longer."""
        self._watch.cancel()
        await asyncio.gather(self._watch, return_exceptions=True)

    async def _see_end(self) -> None:
        await self.peer.ended()
        self.over.set()

    def _messages(self, way: str) -> list[str]:
        """Return what was `sent` or `received`."""
        path = self.peer.folder / "messages"
        trace = path.read_text(errors="replace") if path.exists() else ""
        parts = (part.strip() for part in _MESSAGE.split(trace))
        heads = (part.partition("\n") for part in parts if part)
        return [text.strip() for head, _, text in heads if way in head]


@asynccontextmanager
async def sipp_phone(
    script: str, folder: Path, *, to: int | None = None, transport: str = "u1"
) -> AsyncIterator[SippPhone]:
    """Run a phone for one call: to a port, or the first that comes to its own."""
    limits = ("-timeout", "120", "-deadcall_wait", "0")
    async with sipp.running(script, folder, *limits, to=to, transport=transport) as peer:
        phone = SippPhone(peer)
        try:
            yield phone
        finally:
            await phone.aclose()
