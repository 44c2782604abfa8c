"""Hands one source's facts to the sidecar and loses none while it lives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import accumulate
from typing import Protocol

import structlog

from contracts.report import MAX_FACTS, Fact, Report, ReportReceipt, Source
from sidecar.journal import Journal
from sidecar.refusal import Refused, SidecarError, is_final

log = structlog.get_logger(__name__)

STALE = "stale_incarnation"
MAX_BATCH_BYTES = 1024 * 1024
"""Well below what the sidecar takes, so that a batch gathered in a long outage is not refused."""


class Ledger(Protocol):
    """Takes reports; `sidecar.client.SidecarClient` does."""

    async def report(self, call_id: str, report: Report) -> ReportReceipt: ...


class Reporter:
    """Hands in one source's facts about one call, in order, each until the sidecar has it.

    Facts are gathered for `interval_s` and sent as one batch; while the sidecar is away they are
    retried with growing delays. They wait in memory, and in the journal if there is one: should
    this process die, or give up, somebody else hands them in. Make it inside a running event loop.

    Attributes:
        fenced: set once a newer incarnation serves the call; the old one must fall silent and go.
        refusal: why the sidecar takes no more facts from here, if it does not.
    """

    FIRST_RETRY_S = 0.2
    LAST_RETRY_S = 2.0
    """Below what the sidecar grants a call's last reports after it was away."""

    def __init__(
        self,
        ledger: Ledger,
        call_id: str,
        source: Source,
        incarnation: int,
        *,
        journal: Journal | None = None,
        interval_s: float = 0.25,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.fenced = asyncio.Event()
        self.refusal: Refused | None = None
        self._ledger = ledger
        self._call_id = call_id
        self._source = source
        self._incarnation = incarnation
        self._journal = journal or Journal(None, None, None)
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

    @property
    def is_durable(self) -> bool:
        """Whether what is pending outlives this process."""
        return self._journal.is_sound

    def add(self, fact: Fact) -> None:
        """Queue a fact. Never blocks; after a refusal it is dropped, since nobody would take it.

        One that cannot be sent (text that is not Unicode, too big) is dropped alone.
        """
        if self.refusal is not None:
            return
        try:
            line = fact.model_dump_json().encode()
        except ValueError:
            line = None
        if line is None or len(line) > MAX_BATCH_BYTES:
            size_bytes = None if line is None else len(line)
            log.error("fact_dropped", call_id=self._call_id, type=fact.type, size_bytes=size_bytes)
            return
        self._journal.append(line)
        self._facts.append(fact)
        self._sizes_bytes.append(len(line))
        self._wake.set()

    async def aclose(self, timeout_s: float) -> None:
        """Send what is pending for at most `timeout_s`; `pending` then tells what is left.

        The journal goes if nothing is, else it stays for whoever hands it in.
        """
        self._closing = True
        self._wake.set()
        await asyncio.wait([self._task], timeout=timeout_s)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._facts:
            self._journal.close()
        else:
            self._journal.discard()

    async def _run(self) -> None:
        try:
            await self._send_all()
        except Exception as error:
            log.exception("reporter_failed", call_id=self._call_id, source=self._source)
            self._journal.close()
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
                if isinstance(error, Refused) and is_final(error):
                    self._refuse(error)
                    return
                log.warning("report_delayed", call_id=self._call_id, pending=self.pending)
                self._journal.mark_delayed()
                await self._sleep(retry_s)
                retry_s = min(2 * retry_s, self.LAST_RETRY_S)
            else:
                retry_s = self.FIRST_RETRY_S

    async def _send_batch(self) -> None:
        report = Report(
            source=self._source,
            incarnation=self._incarnation,
            seq=self._applied_seq + 1,
            facts=self._facts[: batch_length(self._sizes_bytes)],
        )
        receipt = await self._ledger.report(self._call_id, report)
        applied = receipt.applied_seq - self._applied_seq
        del self._facts[:applied], self._sizes_bytes[:applied]
        self._applied_seq = receipt.applied_seq
        if not self._facts:
            self._journal.reset(self._applied_seq + 1)

    def _refuse(self, refusal: Refused) -> None:
        self.refusal = refusal
        self._facts.clear()
        self._sizes_bytes.clear()
        self._journal.discard()
        if refusal.code == STALE:
            self.fenced.set()
        else:
            log.error("report_refused", call_id=self._call_id, code=refusal.code)


def batch_length(sizes_bytes: Sequence[int]) -> int:
    """Return how many facts of these sizes, from the first on, make one report."""
    totals = accumulate(sizes_bytes[:MAX_FACTS])
    return max(1, sum(total <= MAX_BATCH_BYTES for total in totals))
