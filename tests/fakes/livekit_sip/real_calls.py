"""Real phones before a real `livekit-sip`, with the double's words: whom it calls, who calls it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from livekit import api

from tests.fakes.livekit_sip.behaviour import Callee, Unreachable
from tests.fakes.livekit_sip.phone_script import callee_script, caller_script
from tests.fakes.livekit_sip.sipp_phone import SippPhone, sipp_phone
from tests.fakes.ports import free_port

_LOOK_S = 0.05
_SIP = api.ParticipantInfo.Kind.SIP


@dataclass(frozen=True, slots=True)
class RealLine:
    """A phone and its leg in a room."""

    phone: SippPhone
    identity: str
    room_name: str

    @property
    def ended(self) -> asyncio.Event:
        """Set once it is hung up, by whomever."""
        return self.phone.over

    @property
    def ended_by(self) -> str:
        """`phone`, or `room` for everybody else."""
        return self.phone.ended_by

    @property
    def referred_to(self) -> str:
        """Where it was last referred to."""
        return self.phone.referred_to

    async def hang_up(self) -> None:
        """The phone says goodbye (BYE)."""
        await self.phone.tell()


class RealCaller:
    """A phone that calls in.

    Attributes:
        joined: set once its leg is in its room.
        answered: set with the 200.
        over: set with the call's end.
        line: its leg, once there is one.
    """

    def __init__(self, number: str) -> None:
        self.number = number
        self.joined = asyncio.Event()
        self.answered = asyncio.Event()
        self.over = asyncio.Event()
        self.line: RealLine | None = None
        self._phone: SippPhone | None = None
        self._words: set[asyncio.Task[None]] = set()

    @property
    def statuses(self) -> list[int]:
        """Every response to its INVITE, in order, each once."""
        return self._phone.statuses if self._phone is not None else []

    def cancel(self) -> None:
        """Give up while it rings (CANCEL)."""
        assert self._phone is not None
        word = asyncio.create_task(self._phone.tell())
        self._words.add(word)
        word.add_done_callback(self._words.discard)

    async def call(self, phone: SippPhone, legs: Legs) -> None:
        """Follow the phone's call until it is over."""
        self._phone = phone
        watches = [
            asyncio.create_task(self._see_answer(phone)),
            asyncio.create_task(self._see_leg(phone, legs)),
        ]
        try:
            await phone.over.wait()
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
            self.over.set()

    async def _see_answer(self, phone: SippPhone) -> None:
        await phone.says(200)
        self.answered.set()

    async def _see_leg(self, phone: SippPhone, legs: Legs) -> None:
        leg = await legs.next(self.number)
        self.line = RealLine(phone, leg.identity, leg.room_name)
        self.joined.set()


@dataclass(frozen=True, slots=True)
class Leg:
    """A phone in a room; `call_id` is the service's own name of its call."""

    room_name: str
    identity: str
    call_id: str


class Legs:
    """The phones in a LiveKit server's rooms, each shown once."""

    def __init__(self, livekit: api.LiveKitAPI) -> None:
        self._livekit = livekit
        self._known: set[str] = set()

    async def next(self, number: str) -> Leg:
        """Wait for a leg of a caller that was not shown before."""
        while True:
            for room in (await self._livekit.room.list_rooms(api.ListRoomsRequest())).rooms:
                asked = api.ListParticipantsRequest(room=room.name)
                for who in (await self._livekit.room.list_participants(asked)).participants:
                    is_theirs = who.kind == _SIP and who.identity == f"sip_{number}"
                    if is_theirs and who.sid not in self._known:
                        self._known.add(who.sid)
                        return Leg(room.name, who.identity, who.attributes["sip.callID"])
            await asyncio.sleep(_LOOK_S)


class RealSip:
    """A real LiveKit SIP.

    Attributes:
        url: the LiveKit server's address.
        lines: the phones that were called, by their identity.
        sip_port: where the service is called.
        legs: the phones in rooms.
    """

    def __init__(
        self, url: str, sip_port: int, folder: Path, legs: Legs, phones: AsyncExitStack
    ) -> None:
        self.url = url
        self.lines: dict[str, RealLine] = {}
        self.sip_port = sip_port
        self._folder = folder
        self.legs = legs
        self._phones = phones
        self._calls: set[asyncio.Task[None]] = set()

    def call(
        self,
        number: str,
        dialled: str,
        headers: Mapping[str, str] | None = None,
        *,
        username: str = "",
        password: str = "",
    ) -> RealCaller:
        """Let a phone call in."""
        credentials = (username, password) if username else None
        script = caller_script(number, dialled, headers or {}, credentials)
        caller = RealCaller(number)
        task = asyncio.create_task(self._call(caller, script))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return caller

    async def phone(self, identity: str, room_name: str, callee: Callee) -> tuple[str, str]:
        """Have a phone wait for one call; return the address and transport of its trunk."""
        if isinstance(callee.does, Unreachable):
            return f"127.0.0.1:{free_port()}", callee.does.transport
        script = callee_script(callee)
        phone = await self._phones.enter_async_context(sipp_phone(script, self._folder))
        self.lines[identity] = RealLine(phone, identity, room_name)
        return f"127.0.0.1:{phone.port}", "udp"

    async def aclose(self) -> None:
        """Take every phone that calls off the line."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _call(self, caller: RealCaller, script: str) -> None:
        try:
            async with sipp_phone(script, self._folder, to=self.sip_port) as phone:
                await caller.call(phone, self.legs)
        finally:
            caller.over.set()


@asynccontextmanager
async def real_sip(
    livekit: tuple[str, str, str], sip_port: int, folder: Path
) -> AsyncIterator[RealSip]:
    """Have phones before a service that runs at `sip_port` beside a LiveKit server."""
    async with api.LiveKitAPI(*livekit) as server, AsyncExitStack() as phones:
        real = RealSip(livekit[0], sip_port, folder, Legs(server), phones)
        try:
            yield real
        finally:
            await real.aclose()
