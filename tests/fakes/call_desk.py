"""A sidecar for agents, behind the real client: hands out a plan, remembers what it was told."""

from __future__ import annotations

import asyncio

import httpx

from contracts.plan import AgentPlan, Claim
from contracts.report import AgentEnded, Fact, Heartbeat, Report
from sidecar.client import SidecarClient

Refusal = tuple[int, str]


class CallDesk:
    """Answers what a worker and its jobs ask. Its `client` is the real one.

    Attributes:
        claims: every claim made.
        facts: what was reported.
        recordings: the WAVs that arrived, by call id.
        heartbeats: every heartbeat.
        held: waits are answered with the plan once it is set.
        lost_answers: so many claims are booked, and their answers lost.
        refusals: by what is asked (`wait`, `claim`, `reports`, `recording`): how it is refused.
    """

    def __init__(self, plan: AgentPlan | None = None) -> None:
        self.plan = plan
        self.claims: list[Claim] = []
        self.facts: list[Fact] = []
        self.recordings: dict[str, bytes] = {}
        self.heartbeats: list[Heartbeat] = []
        self.held = asyncio.Event()
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
        asked = request.url.path.rsplit("/", 1)[-1]
        if asked in self.refusals:
            status, code = self.refusals[asked]
            error = {"code": code, "message": code, "details": {}}
            return httpx.Response(status, json={"error": error})
        match asked:
            case "wait":
                await self.held.wait()
                assert self.plan is not None
                return httpx.Response(200, text=self.plan.model_dump_json())
            case "claim":
                return self._claim(Claim.model_validate_json(content), request)
            case "reports":
                report = Report.model_validate_json(content)
                assert report.seq == len(self.facts) + 1
                self.facts += report.facts
                return httpx.Response(200, json={"applied_seq": len(self.facts)})
            case "recording":
                self.recordings[request.url.path.split("/")[-2]] = content
                return httpx.Response(200, json={"key": "a.wav"})
            case _:
                self.heartbeats.append(Heartbeat.model_validate_json(content))
                return httpx.Response(200, json={})

    def _claim(self, claim: Claim, request: httpx.Request) -> httpx.Response:
        self.claims.append(claim)
        if len(self.claims) <= self.lost_answers:
            raise httpx.ReadError("lost", request=request)
        assert self.plan is not None
        return httpx.Response(200, text=self.plan.model_dump_json())
