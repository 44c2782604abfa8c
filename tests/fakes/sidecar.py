"""A sidecar for bridges, behind the real client: plans by rule, remembers what it was told."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import httpx
from livekit import api

from contracts.ids import Channel, caller_identity, room_name, standby_room
from contracts.outcome import Reason
from contracts.plan import MediaRate, Plan, PlanRequest
from contracts.report import Fact, Heartbeat, HeartbeatReceipt, LegEnded, Report, Seat
from contracts.trunk import BridgeTrunks, DialClaim, DialOrder, DialOrders, Trunk
from sidecar.client import SidecarClient
from sidecar.rooms import LiveKitRooms

SECRET = "s3cret"
CLAIM_S = 0.5
"""How long a question for calls to place is held open."""


class FakeSidecar:
    """Answers what a bridge asks. Its `client` is the real one, on a transport of its own.

    Attributes:
        requests: every plan asked for.
        plans: every plan given, by call id.
        facts: what was reported, by call id.
        heartbeats: every heartbeat.
        refusal: `(status, code, message)` to refuse plans with, or None.
        away: answers nothing while True.
        gate: plans wait until it is set.
        standby_id: the agent that waits for the calls planned from now on, if one does.
        seats: what bridges are told to hold.
        fleet_available: what `/health/fleet` says; None breaks its answer.
        asked: the path of every request.
        claims: every question for calls to place.
        trunks: what the own bridge is told of.
    """

    def __init__(
        self, livekit_url: str = "ws://127.0.0.1:9", key: str = "k", secret: str = 32 * "s"
    ) -> None:
        self.requests: list[PlanRequest] = []
        self.plans: dict[str, Plan] = {}
        self.facts: dict[str, list[Fact]] = {}
        self.heartbeats: list[Heartbeat] = []
        self.refusal: tuple[int, str, str] | None = None
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.standby_id = ""
        self.seats: list[Seat] = []
        self.fleet_available: int | None = 5
        self.asked: list[str] = []
        self.claims: list[DialClaim] = []
        self.trunks: list[Trunk] = []
        self._orders: list[DialOrder] = []
        self.max_call_duration_s = 600
        self.exotel_chunk_bytes = 3200
        self._livekit_url = livekit_url
        self._key = key
        self._secret = secret
        self._changed = asyncio.Condition()

    def client(self) -> SidecarClient:
        """Return a client of this sidecar."""
        return SidecarClient(
            "http://sidecar", SECRET, timeout_s=2.0, transport=httpx.MockTransport(self.answer)
        )

    async def ended(self, call_id: str | None = None, timeout_s: float = 10.0) -> LegEnded:
        """Wait for a call's (or the only call's) one `leg_ended` and return it."""

        def endings() -> list[LegEnded]:
            facts = self.facts.get(call_id or next(iter(self.facts), ""), [])
            return [fact for fact in facts if isinstance(fact, LegEnded)]

        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: bool(endings()))
        (ending,) = endings()
        return ending

    async def planned(self, count: int = 1, timeout_s: float = 10.0) -> list[Plan]:
        """Wait until so many calls are planned and return them."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: len(self.plans) >= count)
        return list(self.plans.values())

    def names(self, call_id: str) -> list[str]:
        """Return the types of a call's facts, in order."""
        return [fact.type for fact in self.facts.get(call_id, [])]

    def reason(self) -> Reason:
        """Return how the only call ended."""
        (facts,) = self.facts.values()
        (ended,) = [fact for fact in facts if isinstance(fact, LegEnded)]
        return ended.reason

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a request as the sidecar would."""
        if self.away:
            raise httpx.ConnectError("away", request=request)
        assert request.headers["X-VoxCore-Secret"] == SECRET
        path = request.url.path
        self.asked.append(path)
        if path == "/health/fleet":
            return httpx.Response(200, json=self._fleet())
        if path == "/internal/v1/heartbeats":
            self.heartbeats.append(Heartbeat.model_validate_json(request.content))
            receipt = HeartbeatReceipt(seats=self.seats)
            return httpx.Response(200, text=receipt.model_dump_json())
        if path == "/internal/v1/trunks":
            return httpx.Response(200, text=BridgeTrunks(trunks=self.trunks).model_dump_json())
        if path == "/internal/v1/dials/claim":
            return await self._claim(DialClaim.model_validate_json(request.content))
        if path == "/internal/v1/calls":
            return await self._plan(PlanRequest.model_validate_json(request.content))
        call_id = path.split("/")[4]
        return await self._report(call_id, Report.model_validate_json(request.content))

    async def order(self, trunk: Trunk, to_number: str) -> DialOrder:
        """Plan a call and let the next bridge that asks place it."""
        plan = self._plan_of(Channel.DIALOUT)
        order = DialOrder(plan=plan, to_number=to_number, from_number="+911140000000", trunk=trunk)
        async with self._changed:
            self.plans[plan.call_id] = plan
            self._orders.append(order)
            self._changed.notify_all()
        return order

    async def _claim(self, claim: DialClaim) -> httpx.Response:
        self.claims.append(claim)
        async with self._changed:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLAIM_S):
                    await self._changed.wait_for(lambda: bool(self._orders))
            taken, self._orders = self._orders[: claim.max_dials], self._orders[claim.max_dials :]
        return httpx.Response(200, text=DialOrders(orders=taken).model_dump_json())

    def _fleet(self) -> dict[str, object]:
        figures: dict[str, object] = {"status": "ok", "fleet_calls": 3, "fleet_max": 8}
        if self.fleet_available is not None:
            figures["fleet_available"] = self.fleet_available
        return {**figures, "workers": [{"id": "a", "calls": 3, "max": 8, "pid": 1}]}

    async def _plan(self, request: PlanRequest) -> httpx.Response:
        self.requests.append(request)
        await self.gate.wait()
        if self.refusal is not None:
            status, code, message = self.refusal
            error = {"code": code, "message": message, "details": {}}
            return httpx.Response(status, json={"error": error})
        plan = self._plan_of(request.channel, request.media_rate_hz)
        async with self._changed:
            self.plans[plan.call_id] = plan
            self._changed.notify_all()
        return httpx.Response(200, json=json.loads(plan.model_dump_json()))

    def _plan_of(self, channel: Channel, rate_hz: MediaRate = 8000) -> Plan:
        call_id = str(uuid4())
        room, caller = room_name(channel, call_id), caller_identity(call_id)
        if self.standby_id:
            room, caller = standby_room(self.standby_id), caller_identity(self.standby_id)
        return Plan(
            call_id=call_id,
            session_id=call_id,
            room_name=room,
            livekit_url=self._livekit_url,
            token=self._caller_token(room, caller),
            caller_identity=caller,
            media_rate_hz=rate_hz,
            exotel_chunk_bytes=self.exotel_chunk_bytes,
            max_call_duration_s=self.max_call_duration_s,
            standby_id=self.standby_id,
        )

    def seat(self, standby_id: str) -> Seat:
        """Return the seat beside an agent that waits."""
        token = self._caller_token(standby_room(standby_id), caller_identity(standby_id))
        return Seat(standby_id=standby_id, livekit_url=self._livekit_url, token=token)

    def _caller_token(self, room: str, identity: str) -> str:
        return LiveKitRooms(self._livekit_url, self._key, self._secret).caller_token(room, identity)

    async def _report(self, call_id: str, report: Report) -> httpx.Response:
        async with self._changed:
            facts = self.facts.setdefault(call_id, [])
            assert report.seq == len(facts) + 1
            facts += report.facts
            self._changed.notify_all()
        return httpx.Response(200, json={"applied_seq": len(facts)})

    def token(self, room: str, identity: str) -> str:
        """Return a token that joins `room`, may publish data and set its own attributes."""
        grants = api.VideoGrants(
            room_join=True, room=room, can_publish_data=True, can_update_own_metadata=True
        )
        token = api.AccessToken(self._key, self._secret).with_identity(identity)
        return token.with_grants(grants).with_ttl(timedelta(minutes=10)).to_jwt()
