"""A fleet behind a LiveKit SIP, the double or a real one, and the phones that talk with bots."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from sidecar.livekit_sip import SipObjects, SipService
from tests.fakes.livekit_sip import Answers, Callee, Line, SipDouble, running_double
from tests.fakes.livekit_sip.real import running_service
from tests.fakes.livekit_sip.real_calls import RealSip, real_sip
from tests.fakes.livekit_sip.voice import Voice, voice
from tests.fakes.livekit_sip_choice import named_binary
from tests.fakes.redis import running_redis
from tests.integration.platform import Platform
from tests.integration.waiting import until
from voicefleet.fleet import Fleet

_ANSWER_S = 15.0


class Desk:
    """A fleet behind a LiveKit SIP.

    Attributes:
        telephony: the LiveKit SIP.
        platform: the fleet.
        voices: what callers say, made before there is a call.
        calls: long calls, which are held side by side; each has a test that waits for it.
    """

    def __init__(self, folder: Path) -> None:
        self.telephony: SipDouble | RealSip
        self.platform: Platform
        self.voices: dict[str, bytes] = {}
        self.calls: dict[str, asyncio.Task[None]] = {}
        self._folder = folder
        self._phones = 100
        self._called: dict[str, Voice] = {}
        self._held = AsyncExitStack()

    @property
    def double(self) -> SipDouble:
        """The double, for what a real one cannot be made to do (`double_only`)."""
        assert isinstance(self.telephony, SipDouble)
        return self.telephony

    @asynccontextmanager
    async def before(self, fleet: Fleet) -> AsyncIterator[str]:
        """Stand before a fleet's LiveKit server."""
        binary = named_binary()
        environ = fleet.environ
        livekit = (fleet.livekit_url, environ["LIVEKIT_API_KEY"], environ["LIVEKIT_API_SECRET"])
        # LiveKit SIP's rooms are made by the joining of their callers.
        config: dict[str, Any] = {"room": {"auto_create": True}}
        if binary is None:
            _configure(fleet, config)
            async with running_double(*livekit) as double:
                self.telephony = double
                yield double.url
            return
        with running_redis(self._folder) as redis:
            _configure(fleet, {**config, "redis": {"address": redis}})
            async with (
                running_service(binary, self._folder, livekit, redis) as sip_port,
                real_sip(livekit, sip_port, self._folder) as real,
                self._held,
            ):
                self.telephony = real
                yield real.url

    async def add(self, path: str, **body: Any) -> None:
        answer = await self.platform.api.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == 201, answer.text

    async def add_trunk(self, trunk_id: str, **body: Any) -> None:
        """Make a trunk."""
        await self.add("trunks", trunk_id=trunk_id, name=trunk_id, cps=50, burst=50, **body)

    async def is_told(self, trunk_id: str) -> None:
        """Wait until LiveKit SIP has been told of a trunk."""

        async def is_ok() -> bool:
            trunk = await self.platform.api.get(f"/api/v1/trunks/{trunk_id}")
            return bool(trunk.json()["lk_sync_status"] == "ok")

        await until(is_ok, 15.0)

    async def objects(self) -> SipObjects:
        """Return what LiveKit SIP has been told."""
        environ = self.platform.fleet.environ
        key, secret = environ["LIVEKIT_API_KEY"], environ["LIVEKIT_API_SECRET"]
        sip = SipService(self.telephony.url, key, secret)
        try:
            return await sip.objects()
        finally:
            await sip.aclose()

    async def call_in(self, number: str, dialled: str) -> Line | Voice:
        """Let a phone that talks call in; return it once it is answered."""
        if isinstance(self.telephony, SipDouble):
            caller = self.telephony.call(number, dialled)
            async with asyncio.timeout(_ANSWER_S):
                await caller.answered.wait()
            assert caller.statuses == [100, 180, 200]
            assert caller.line is not None
            return caller.line
        phone = await self._held.enter_async_context(voice(self._folder / number, number))
        async with asyncio.timeout(_ANSWER_S):
            await phone.phone.dial(f"sip:{dialled}@127.0.0.1:{self.telephony.sip_port}")
            phone.call_id = (await self.telephony.legs.next(number)).call_id
            await phone.answered.wait()
        return phone

    async def dial(self, callee: Callee) -> str:
        """Have a phone called that behaves so; return the call's id."""
        self._phones += 1
        number = f"+1415555{self._phones:04}"
        asked = {"bot_id": "talker", "to_number": number}
        phone: Voice | None = None
        if isinstance(self.telephony, SipDouble):
            self.telephony.callees[number] = callee
        else:
            if isinstance(callee.does, Answers):
                phone = await self._held.enter_async_context(voice(self._folder / number, number))
                phone.picks_up(callee.does)
                address = f"127.0.0.1:{phone.phone.port}"
            else:
                address, _ = await self.telephony.phone(number, "", callee)
            # Each phone is a carrier of its own.
            asked["from_number"] = f"+91114000{self._phones:04}"
            trunk_id = f"phone-{self._phones}"
            await self.add_trunk(trunk_id, address=address, numbers=[asked["from_number"]])
            await self.is_told(trunk_id)
        answer = await self.platform.api.post("/api/v1/sip/dialout", json=asked)
        assert answer.status_code == 200, answer.text
        call_id: str = answer.json()["call_id"]
        if phone is not None:
            self._called[call_id] = phone
        return call_id

    async def talks(self, call_id: str) -> Line | Voice:
        """Wait for a call's phone to be answered, and return it."""

        def line() -> Line | Voice | None:
            if isinstance(self.telephony, SipDouble):
                return self.telephony.lines.get(f"caller-{call_id}")
            return self._called[call_id]

        async def is_answered() -> bool:
            found = line()
            return found is not None and found.is_active

        await until(is_answered, _ANSWER_S)
        found = line()
        assert found is not None
        return found

    async def line_of(self, call_id: str) -> Line:
        """Wait for a call's phone to be answered, and return the double's leg."""
        line = await self.talks(call_id)
        assert isinstance(line, Line)
        return line

    async def result(self, call_id: str) -> dict[str, Any]:
        """Wait for a call's result."""
        path = f"/api/v1/calls/{call_id}/result"

        async def is_there() -> bool:
            return (await self.platform.api.get(path)).status_code == 200

        await until(is_there, 20.0)
        result: dict[str, Any] = (await self.platform.api.get(path)).json()
        return result

    async def has_told(self, call_id: str, fact: str) -> bool:
        """Return whether a fact of this type was reported of a call."""
        answer = await self.platform.api.get(f"/api/v1/calls/{call_id}/events")
        return any(event["data"].get("type") == fact for event in answer.json()["events"])


def _configure(fleet: Fleet, changes: dict[str, Any]) -> None:
    """Change the fleet's LiveKit server before it starts, section by section."""
    path = fleet.home / "run" / "livekit.yaml"
    config = yaml.safe_load(path.read_text())
    for section, values in changes.items():
        config[section] = {**config.get(section, {}), **values}
    path.write_text(yaml.safe_dump(config))
