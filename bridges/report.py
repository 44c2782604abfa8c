"""One call as the sidecar knows it: ask for the plan, keep facts until then, hand them in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from bridges.leg import Offered
from contracts.plan import Plan, PlanRequest
from contracts.report import Fact, LegEnded, Report, ReportReceipt, Source
from sidecar.client import Reporter, SidecarError, Spool

log = structlog.get_logger(__name__)

FLUSH_TIMEOUT_S = 30.0
"""How long a finished call waits for a sidecar that is away, where only memory has its facts."""
HAND_OVER_S = 3.0
"""The same where they are on disk, and somebody else hands them in."""
INCARNATION = 1
"""A bridge is never replaced within a call: its connection dies with it."""


class CallSidecar(Protocol):
    """What a call needs of the sidecar; `sidecar.client.SidecarClient` has it."""

    async def plan(self, request: PlanRequest) -> Plan: ...

    async def report(self, call_id: str, report: Report) -> ReportReceipt: ...


class CallReport:
    """What the sidecar is told about one call.

    Planning is never abandoned: a plan that comes after the caller has gone names a call which
    must still be ended, so `close` waits for it.

    Args:
        sidecar: whom to ask and to tell.
        request: makes the question for a plan; or the plan itself, of a call that the sidecar
            wants to be placed. Such a call is reported whatever becomes of it.
        spool: where facts wait.

    Attributes:
        call_id: the call's id once it is planned.
        ended: how the call ended, once it has.
    """

    def __init__(
        self, sidecar: CallSidecar, request: Callable[[Offered], PlanRequest] | Plan, spool: Spool
    ) -> None:
        self._sidecar = sidecar
        self._spool = spool
        self._request = request
        self._planning: asyncio.Future[Plan] | None = None
        self._reporter: Reporter | None = None
        self._facts: list[Fact] = []
        self.call_id = ""
        self.ended: LegEnded | None = None
        if isinstance(request, Plan):
            self._open(request)
            self._planning = asyncio.get_running_loop().create_future()
            self._planning.set_result(request)

    async def plan(self, offered: Offered) -> Plan:
        """Return the plan for an offered call; asking again returns the same one.

        Raises:
            SidecarError: there is none.
        """
        if self._planning is None:
            self._planning = asyncio.create_task(self._ask(offered))
        return await asyncio.shield(self._planning)

    def add(self, fact: Fact) -> None:
        """Report a fact as soon as there is a plan."""
        if self._reporter is not None:
            self._reporter.add(fact)
        else:
            self._facts.append(fact)

    async def close(self, ended: LegEnded) -> None:
        """Report the ending and wait until the sidecar has it, or it is left to the spool.

        A call never planned has none.
        """
        self.ended = ended
        if self._planning is None:
            return
        try:
            await self._planning
        except SidecarError:
            return  # the sidecar knows, or will never know
        except Exception:
            log.exception("planning_failed")
            return
        reporter = self._reporter
        assert reporter is not None
        reporter.add(ended)
        is_durable = reporter.is_durable
        await reporter.aclose(HAND_OVER_S if is_durable else FLUSH_TIMEOUT_S)
        if reporter.pending:
            told = {"call_id": self.call_id, "facts": reporter.pending}
            if is_durable:
                log.warning("report_spooled", **told)
            else:
                log.error("report_lost", **told)

    async def _ask(self, offered: Offered) -> Plan:
        assert not isinstance(self._request, Plan)
        plan = await self._sidecar.plan(self._request(offered))
        self._open(plan)
        return plan

    def _open(self, plan: Plan) -> None:
        self.call_id = plan.call_id
        journal = self._spool.open(plan.call_id, Source.BRIDGE, INCARNATION)
        self._reporter = Reporter(
            self._sidecar, plan.call_id, Source.BRIDGE, INCARNATION, journal=journal
        )
        for fact in self._facts:
            self._reporter.add(fact)
