"""A sidecar for agents, behind the real client: hands out a plan, remembers what it was told."""

from __future__ import annotations

import asyncio

import httpx

from contracts.command import CallCommand, CommandReceipt
from contracts.plan import AgentPlan, Claim, RoomClaim
from contracts.recording import CallsKept, RecordingOffer, RecordingTarget
from contracts.report import AgentEnded, Fact, Heartbeat, Report
from sidecar.client import SidecarClient

Refusal = tuple[int, str]


class CallDesk:
    """Answers what a worker and its jobs ask. Its `client` is the real one.

    Attributes:
        claims: every claim made.
        facts: what was reported.
        recordings: the WAVs that arrived, by call id.
        offers: what was said of recordings.
        target: where those are to go; to the desk itself, unless it has an address.
        confirmed: the keys that were said to be there.
        erased: the calls it says were erased.
        heartbeats: every heartbeat.
        paths: what was asked for.
        room_claims: every claim of a room that a rule made.
        commands: what agents asked to have done.
        receipt: what those are answered.
        held: waits are answered with the plan once it is set.
        final: what claims are answered, if not the plan.
        crm_answered: claims are answered once it is set, as it is to begin with.
        lost_answers: so many claims are booked, and their answers lost.
        refusals: by what is asked (`wait`, `claim`, `reports`, `recording`, `stored`, `erased`):
            how it is refused.
    """

    def __init__(self, plan: AgentPlan | None = None) -> None:
        self.plan = plan
        self.claims: list[Claim] = []
        self.facts: list[Fact] = []
        self.recordings: dict[str, bytes] = {}
        self.offers: list[RecordingOffer] = []
        self.erased: set[str] = set()
        self.target = RecordingTarget(key="recordings/a.wav")
        self.confirmed: list[str] = []
        self.heartbeats: list[Heartbeat] = []
        self.paths: list[str] = []
        self.room_claims: list[RoomClaim] = []
        self.commands: list[CallCommand] = []
        self.receipt = CommandReceipt(done=True)
        self.held = asyncio.Event()
        self.final: AgentPlan | None = None
        self.crm_answered = asyncio.Event()
        self.crm_answered.set()
        self.lost_answers = 0
        self.refusals: dict[str, Refusal] = {}

    def client(self) -> SidecarClient:
        """Return a client of this sidecar."""
        return SidecarClient("http://desk", "s3cret", transport=httpx.MockTransport(self._answer))

    def types(self) -> list[str]:
        return [fact.type for fact in self.facts]

    def ended(self) -> AgentEnded:
        """Return how the agent said that it ended; it says so once."""
        (ended,) = [fact for fact in self.facts if isinstance(fact, AgentEnded)]
        return ended

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        self.paths.append(request.url.path)
        asked = request.url.path.rsplit("/", 1)[-1]
        if asked in self.refusals:
            status, code = self.refusals[asked]
            error = {"code": code, "message": code, "details": {}}
            return httpx.Response(status, json={"error": error})
        match asked:
            case "claim" if request.url.path == "/internal/v1/rooms/claim":
                return await self._claim_room(RoomClaim.model_validate_json(content), request)
            case "command":
                self.commands.append(CallCommand.model_validate_json(content))
                return httpx.Response(200, text=self.receipt.model_dump_json())
            case "wait":
                await self.held.wait()
                assert self.plan is not None
                return httpx.Response(200, text=self.plan.model_dump_json())
            case "claim":
                return await self._claim(Claim.model_validate_json(content), request)
            case "reports":
                report = Report.model_validate_json(content)
                assert report.seq == len(self.facts) + 1
                self.facts += report.facts
                return httpx.Response(200, json={"applied_seq": len(self.facts)})
            case "recording" if request.method == "POST":
                offer = RecordingOffer.model_validate_json(content)
                self.offers.append(offer)
                return httpx.Response(200, text=self.target.model_dump_json())
            case "recording":
                self.recordings[request.url.path.split("/")[-2]] = content
                return httpx.Response(204)
            case "stored":
                self.confirmed.append(request.url.params["key"])
                return httpx.Response(204)
            case "erased":
                kept = CallsKept.model_validate_json(content).call_ids
                gone = [call_id for call_id in kept if call_id in self.erased]
                return httpx.Response(200, json={"call_ids": gone})
            case _:
                self.heartbeats.append(Heartbeat.model_validate_json(content))
                return httpx.Response(200, json={})

    async def _claim_room(self, claim: RoomClaim, request: httpx.Request) -> httpx.Response:
        self.room_claims.append(claim)
        if len(self.room_claims) <= self.lost_answers:
            raise httpx.ReadError("lost", request=request)
        await self.crm_answered.wait()
        assert self.plan is not None
        return httpx.Response(200, text=self.plan.model_dump_json())

    async def _claim(self, claim: Claim, request: httpx.Request) -> httpx.Response:
        self.claims.append(claim)
        if len(self.claims) <= self.lost_answers:
            raise httpx.ReadError("lost", request=request)
        await self.crm_answered.wait()
        plan = self.final or self.plan
        assert plan is not None
        return httpx.Response(200, text=plan.model_dump_json())
