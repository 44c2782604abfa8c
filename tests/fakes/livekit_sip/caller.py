"""Phones that call in: what they see, and the room their call is put into."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from livekit import api

from contracts.ids import SIP_CALL_STATUS
from tests.fakes.livekit_sip.line import Line
from tests.fakes.livekit_sip.registry import Registry, room_of

RINGING_TIMEOUT_S = 180.0
NO_RTP_S = 30.0
BRIDGING_S = 0.05
"""From the 200 to the first RTP of a phone that sends some."""
_SILENT_BRIDGING_S = 1.0


class Caller:
    """A phone that calls in.

    Attributes:
        statuses: every response to its INVITE, in order; 180s once.
        joined: set once its leg is in its room.
        answered: set with the 200.
        over: set with a final response that is no 200, or the call's end.
        line: its leg, once there is one.
        no_rtp_s: how long the service waits for a phone that sends no RTP.
    """

    def __init__(self, number: str, dialled: str, headers: Mapping[str, str] | None = None) -> None:
        self.number = number
        self.dialled = dialled
        self.statuses: list[int] = []
        self.joined = asyncio.Event()
        self.answered = asyncio.Event()
        self.over = asyncio.Event()
        self.line: Line | None = None
        self.no_rtp_s = NO_RTP_S
        self._headers = {name.lower(): value for name, value in (headers or {}).items()}
        self._cancelled = asyncio.Event()

    async def call(
        self,
        registry: Registry,
        server: tuple[str, str, str],
        *,
        username: str = "",
        password: str = "",
        sends_rtp: bool = True,
    ) -> None:
        """Call, and stay until the call is over; `server` is its URL, key and secret."""
        try:
            await self._call(registry, server, username, password, sends_rtp)
        finally:
            if self.line is not None:
                await self.line.aclose()
            self.over.set()

    def cancel(self) -> None:
        """Give up while it rings (CANCEL)."""
        self._cancelled.set()

    async def _call(
        self,
        registry: Registry,
        server: tuple[str, str, str],
        username: str,
        password: str,
        sends_rtp: bool,
    ) -> None:
        self.statuses.append(100)
        trunk = registry.trunk_of(self.dialled)
        if trunk is not None and (trunk.auth_username or trunk.auth_password):
            self.statuses.append(407)
            if (username, password) != (trunk.auth_username, trunk.auth_password):
                if username:
                    self.statuses.append(401)
                return
        self.statuses.append(180)
        rule = registry.rule_of(trunk)
        if rule is None:
            # No final response, ever.
            await self._cancelled.wait()
            self.statuses.append(487)
            return
        line = self.line = await self._join(server, trunk, rule)
        self.joined.set()
        ringing_s = trunk.ringing_timeout.seconds if trunk is not None else 0
        longest_s = trunk.max_call_duration.seconds if trunk is not None else 0
        if longest_s:
            line.end_after(longest_s)
        if not await self._is_answered(line, ringing_s or RINGING_TIMEOUT_S):
            return
        self.statuses.append(200)
        self.answered.set()
        await asyncio.sleep(BRIDGING_S if sends_rtp else _SILENT_BRIDGING_S)
        await line.become_active()
        if not sends_rtp:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.no_rtp_s):
                    await line.ended.wait()
            await line.leave("service")
        await line.ended.wait()

    async def _join(
        self,
        server: tuple[str, str, str],
        trunk: api.SIPInboundTrunkInfo | None,
        rule: api.SIPDispatchRuleInfo,
    ) -> Line:
        line = Line(f"sip_{self.number}", room_of(rule, self.number, self.dialled))
        attributes = {
            **rule.attributes,
            SIP_CALL_STATUS: "ringing",
            "sip.callIDFull": f"{line.call_id}@double",
            "sip.callTag": "tag",
            "sip.hostname": "127.0.0.1",
            "sip.phoneNumber": self.number,
            "sip.trunkPhoneNumber": self.dialled,
            "sip.ruleID": rule.sip_dispatch_rule_id,
        }
        if trunk is not None:
            attributes["sip.trunkID"] = trunk.sip_trunk_id
            if trunk.include_headers == api.SIPHeaderOptions.SIP_X_HEADERS:
                for name, value in self._headers.items():
                    if name.startswith("x-"):
                        attributes[f"sip.h.{name}"] = value
        await line.join(
            *server,
            attributes,
            name=f"Phone {self.number}",
            room_config=rule.room_config,
            metadata=rule.metadata,
        )
        return line

    async def _is_answered(self, line: Line, ringing_s: float) -> bool:
        events = (line.hears_agent, line.ended, self._cancelled)
        waits = [asyncio.create_task(event.wait()) for event in events]
        await asyncio.wait(waits, timeout=ringing_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if self._cancelled.is_set():
            self.statuses.append(487)
            await line.hang_up()
        elif line.ended.is_set():
            self.statuses.append(486)
        elif line.hears_agent.is_set():
            return True
        else:
            self.statuses.append(486)
            await line.leave("service", status="")
        return False
