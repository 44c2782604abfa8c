"""LiveKit SIP as the control plane sees it: keeps trunks and rules by its rules, calls phones."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from typing import TypeVar

from livekit import api

from sidecar.livekit_sip import SipDial, SipError, SipObjects, SipRefused

Item = TypeVar("Item", api.SIPInboundTrunkInfo, api.SIPOutboundTrunkInfo, api.SIPDispatchRuleInfo)


class FakeSip:
    """Stands in for `sidecar.livekit_sip.LiveKitSip`.

    Attributes:
        inbound, outbound, rules: what there is, by LiveKit's name of it.
        requests: the name of every request, in order.
        failure: raised by every request while set.
        lose_answers: objects are made, but nobody hears of it.
        dialled: every phone called.
        transfers: every `(room, identity, to)`.
        statuses: how phones' calls stand, by `(room, identity)`; None: not there.
        on_dial, on_transfer: run within such a request; what they raise it raises.
    """

    def __init__(self) -> None:
        self.inbound: dict[str, api.SIPInboundTrunkInfo] = {}
        self.outbound: dict[str, api.SIPOutboundTrunkInfo] = {}
        self.rules: dict[str, api.SIPDispatchRuleInfo] = {}
        self.requests: list[str] = []
        self.failure: SipError | None = None
        self.lose_answers = False
        self.dialled: list[SipDial] = []
        self.transfers: list[tuple[str, str, str]] = []
        self.statuses: dict[tuple[str, str], str | None] = {}
        self.on_dial: Callable[[SipDial], Awaitable[None]] | None = None
        self.on_transfer: Callable[[], Awaitable[None]] | None = None
        self._made = 0
        self._asked = asyncio.Condition()

    async def asked_for(self, name: str) -> None:
        """Wait until there has been such a request."""
        async with self._asked:
            await self._asked.wait_for(lambda: name in self.requests)

    async def objects(self) -> SipObjects:
        await self._requested("objects")
        return SipObjects(
            [copy.deepcopy(item) for item in self.inbound.values()],
            [copy.deepcopy(item) for item in self.outbound.values()],
            [copy.deepcopy(item) for item in self.rules.values()],
        )

    async def save_inbound(self, wanted: api.SIPInboundTrunkInfo, trunk_id: str) -> str:
        await self._requested("save_inbound")
        for other_id, other in self.inbound.items():
            if other_id != trunk_id and set(other.numbers) & set(wanted.numbers):
                raise SipRefused("invalid_argument", "Conflicting inbound SIP Trunks")
        return self._saved(self.inbound, wanted, trunk_id, "ST_")

    async def save_outbound(self, wanted: api.SIPOutboundTrunkInfo, trunk_id: str) -> str:
        await self._requested("save_outbound")
        return self._saved(self.outbound, wanted, trunk_id, "ST_")

    async def save_rule(self, wanted: api.SIPDispatchRuleInfo, rule_id: str) -> str:
        await self._requested("save_rule")
        trunk_ids = set(wanted.trunk_ids) or {""}
        for other_id, other in self.rules.items():
            if other_id != rule_id and (set(other.trunk_ids) or {""}) & trunk_ids:
                raise SipRefused("invalid_argument", "Dispatch rule already exists")
        return self._saved(self.rules, wanted, rule_id, "SDR_")

    async def delete_trunk(self, trunk_id: str) -> None:
        await self._requested("delete_trunk")
        self.inbound.pop(trunk_id, None)
        self.outbound.pop(trunk_id, None)

    async def delete_rule(self, rule_id: str) -> None:
        await self._requested("delete_rule")
        self.rules.pop(rule_id, None)

    async def dial(self, dial: SipDial) -> None:
        await self._requested("dial")
        self.dialled.append(dial)
        if self.on_dial is not None:
            await self.on_dial(dial)

    async def transfer(self, room_name: str, identity: str, to: str, timeout_s: float) -> None:
        self.transfers.append((room_name, identity, to))
        await self._requested("transfer")
        if self.on_transfer is not None:
            await self.on_transfer()

    async def call_status(self, room_name: str, identity: str) -> str | None:
        await self._requested("call_status")
        return self.statuses.get((room_name, identity))

    def _saved(self, kept: dict[str, Item], wanted: Item, known_id: str, prefix: str) -> str:
        if known_id and known_id not in kept:
            raise SipRefused("not_found", "object cannot be found")
        self._made += not known_id
        item_id = known_id or f"{prefix}{self._made}"
        item = copy.deepcopy(wanted)
        if isinstance(item, api.SIPDispatchRuleInfo):
            item.sip_dispatch_rule_id = item_id
        else:
            item.sip_trunk_id = item_id
        # The service notes things of its own beside.
        item.created_at.GetCurrentTime()
        kept[item_id] = item
        if self.lose_answers:
            raise SipRefused("lost")
        return item_id

    async def _requested(self, name: str) -> None:
        async with self._asked:
            self.requests.append(name)
            self._asked.notify_all()
        if self.failure is not None:
            raise self.failure
