"""Hands in the facts of processes that died, or ended while the sidecar was away."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from contracts.report import Report
from sidecar.journal import Key, Left
from sidecar.refusal import Refused, SidecarError, Unavailable, is_final
from sidecar.reporter import Ledger, batch_length
from sidecar.spool import Abandoned, Spool

log = structlog.get_logger(__name__)


class Adopter:
    """Empties a spool of the journals that nobody holds, in order of source and incarnation.

    Each is offered until the sidecar has its facts, or refuses them for good. To offer facts twice
    is harmless: it knows their numbers. Several adopters may share a folder.

    Args:
        spool: the folder.
        ledger: takes reports.
        on_done: told of each journal once it is out of the way, with what stood in it and whether
            the sidecar took it.
        poll_s: how often to look for new ones.
        sleep: waits so many seconds.
    """

    FIRST_RETRY_S = 0.2
    LAST_RETRY_S = 2.0
    TRIM_S = 60.0

    def __init__(
        self,
        spool: Spool,
        ledger: Ledger,
        *,
        on_done: Callable[[Left, bool], None] = lambda _, __: None,
        poll_s: float = 1.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._spool = spool
        self._ledger = ledger
        self._on_done = on_done
        self._poll_s = poll_s
        self._sleep = sleep
        self._in_hand: Path | None = None
        self._failures: Counter[str] = Counter()

    def waiting(self) -> int:
        """Return how many journals hold facts that are overdue, be their owners dead or alive."""
        paths = self._spool.journals()
        return sum(path == self._in_hand or self._spool.is_waiting(path) for path in paths)

    async def run(self) -> None:
        """Empty the spool again and again, until cancelled."""
        retry_s, since_trim_s = self.FIRST_RETRY_S, self.TRIM_S
        while True:
            try:
                if since_trim_s >= self.TRIM_S:
                    self._spool.trim()
                    since_trim_s = 0.0
                is_answered = await self.turn()
            except Exception:
                log.exception("adopter_failed")
                is_answered = False
            pause_s = self._poll_s if is_answered else retry_s
            retry_s = self.FIRST_RETRY_S if is_answered else min(2 * retry_s, self.LAST_RETRY_S)
            await self._sleep(pause_s)
            since_trim_s += pause_s

    async def turn(self) -> bool:
        """Hand in every journal that nobody holds; return whether the sidecar answered."""
        journals = self._spool.journals()
        # What the sidecar has failed over may not keep the rest waiting.
        for path, _ in sorted(
            journals.items(), key=lambda each: (self._failures[each[1].call_id], each[1])
        ):
            abandoned = self._spool.take_up(path)
            if abandoned is None:
                continue
            with abandoned:
                self._in_hand = path
                try:
                    if not await self._hand_in(abandoned):
                        return False
                finally:
                    self._in_hand = None
        self._failures = Counter(
            {key.call_id: self._failures[key.call_id] for key in journals.values()}
        )
        return True

    async def _hand_in(self, abandoned: Abandoned) -> bool:
        left = abandoned.left
        told = {**_names(left.key), "facts": len(left.facts)}
        is_taken = True
        try:
            await hand_in(self._ledger, left)
        except Refused as error:
            if not is_final(error):
                self._failures[left.key.call_id] += 1
                log.warning("journal_delayed", **told, code=error.code)
                return True
            is_taken = False
            log.warning("journal_refused", **told, code=error.code)
        except SidecarError as error:
            self._failures[left.key.call_id] += 1
            log.warning("journal_delayed", **told, code=type(error).__name__)
            return False
        else:
            log.info("journal_handed_in", **told)
        if left.is_whole:
            abandoned.drop()
        else:
            log.error("journal_broken", **told)
            abandoned.set_aside()
        self._on_done(left, is_taken)
        return True


async def hand_in(ledger: Ledger, left: Left) -> None:
    """Hand in what stands in a journal, whoever holds it.

    Raises:
        SidecarError: the sidecar does not want it, or does not answer.
    """
    at = 0
    while at < len(left.facts):
        count = batch_length(left.sizes_bytes[at:])
        report = Report(
            source=left.key.source,
            incarnation=left.key.incarnation,
            seq=left.seq + at,
            facts=list(left.facts[at : at + count]),
        )
        receipt = await ledger.report(left.key.call_id, report)
        applied = receipt.applied_seq - left.seq + 1
        if applied <= at:
            raise Unavailable("a report was answered, but not applied")
        at = applied


def _names(key: Key) -> dict[str, str | int]:
    return {"call_id": key.call_id, "source": key.source, "incarnation": key.incarnation}
