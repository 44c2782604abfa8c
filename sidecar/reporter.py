"""Hands one source's facts to the sidecar and loses none while it lives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import accumulate
from typing import Protocol

import structlog

from contracts.report import MAX_FACTS, Fact, Report, ReportReceipt, Source
from sidecar.refusal import Refused, SidecarError

log = structlog.get_logger(__name__)

STALE = "stale_incarnation"
MAX_BATCH_BYTES = 1024 * 1024
"""Well below what the sidecar takes, so that a batch gathered in a long outage is not refused."""


class Ledger(Protocol):
    """Takes reports; `sidecar.client.SidecarClient` does."""

    async def report(self, call_id: str, report: Report) -> ReportReceipt: ...


class Reporter:
    """Hands in one source's facts about one call, in order, each until the sidecar has it.

    Facts are gathered for `interval_s` and sent as one batch; while the sidecar is away they wait
    in memory and are retried with growing delays. Make it inside a running event loop.

    Attributes:
        fenced: set once a newer incarnation serves the call; the old one must fall silent and go.
        refusal: why the sidecar takes no more facts from here, if it does not.
    """

    FIRST_RETRY_S = 0.2
    LAST_RETRY_S = 5.0

    def __init__(
        self,
        ledger: Ledger,
        call_id: str,
        source: Source,
        incarnation: int,
        *,
        interval_s: float = 0.25,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.fenced = asyncio.Event()
        self.refusal: Refused | None = None
        self._ledger = ledger
        self._call_id = call_id
        self._source = source
        self._incarnation = incarnation
        self._interval_s = interval_s
        self._sleep = sleep
        self._facts: list[Fact] = []
        self._sizes_bytes: list[int] = []
        self._applied_seq = 0
        self._closing = False
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"reporter-{source}-{call_id}")

    @property
    def pending(self) -> int:
        """How many facts the sidecar does not have yet."""
        return len(self._facts)

    def add(self, fact: Fact) -> None:
        """Queue a fact. Never blocks; after a refusal it is dropped, since nobody would take it.

        One that cannot be sent (text that is not Unicode, too big) is dropped alone.
        """
        if self.refusal is not None:
            return
        try:
            size_bytes = len(fact.model_dump_json())
        except ValueError:
            size_bytes = None
        if size_bytes is None or size_bytes > MAX_BATCH_BYTES:
            log.error("fact_dropped", call_id=self._call_id, type=fact.type, size_bytes=size_bytes)
            return
        self._facts.append(fact)
        self._sizes_bytes.append(size_bytes)
        self._wake.set()

    async def aclose(self, timeout_s: float) -> None:
        """Send what is pending for at most `timeout_s`; `pending` then tells what is left."""
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._task], timeout=timeout_s)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._send_all()
        except Exception as error:
            log.exception("reporter_failed", call_id=self._call_id, source=self._source)
            self._refuse(Refused(0, "reporter_failed", str(error)))

    async def _send_all(self) -> None:
        retry_s = self.FIRST_RETRY_S
        while self._facts or not self._closing:
            if not self._closing:
                await self._wake.wait()
                await self._sleep(self._interval_s)
            if not self._facts:
                self._wake.clear()
                continue
            try:
                await self._send_batch()
            except SidecarError as error:
                if isinstance(error, Refused) and error.status < 500:
                    self._refuse(error)
                    return
                log.warning("report_delayed", call_id=self._call_id, pending=self.pending)
                await self._sleep(retry_s)
                retry_s = min(2 * retry_s, self.LAST_RETRY_S)
            else:
                retry_s = self.FIRST_RETRY_S

    async def _send_batch(self) -> None:
        report = Report(
            source=self._source,
            incarnation=self._incarnation,
            seq=self._applied_seq + 1,
            facts=self._facts[: self._batch_facts()],
        )
        receipt = await self._ledger.report(self._call_id, report)
        applied = receipt.applied_seq - self._applied_seq
        del self._facts[:applied], self._sizes_bytes[:applied]
        self._applied_seq = receipt.applied_seq

    def _batch_facts(self) -> int:
        totals = accumulate(self._sizes_bytes[:MAX_FACTS])
        return max(1, sum(total <= MAX_BATCH_BYTES for total in totals))

    def _refuse(self, refusal: Refused) -> None:
        self.refusal = refusal
        self._facts.clear()
        self._sizes_bytes.clear()
        if refusal.code == STALE:
            self.fenced.set()
        else:
            log.error("report_refused", call_id=self._call_id, code=refusal.code)
