"""One hand-over of the caller to somebody else, from asking for it until its outcome is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from agent.line import Line
from contracts.command import Transfer
from contracts.report import Fact, TransferFailed, TransferStarted

log = structlog.get_logger(__name__)

UNCONFIRMED_S = 15.0
"""A carrier that has taken the caller closes within that; one that never says counts as having."""
UNHEARD_S = 45.0
"""Beyond what a bridge waits for the far end: from then on nobody will tell."""
SETTLED_S = 0.3
"""LiveKit takes a caller who hangs up meanwhile for handed over. Those leave at once, others stay
for a second."""
NOBODY_ANSWERED = "nothing was heard of the transfer"


class Handover:
    """Begun by `run`; told what becomes of it by `accepted` and `failed`.

    Args:
        line: the caller's.
        tell: takes the facts.
        is_trusted: whether the carrier never says how it went, so that sent means done: diallers.
    """

    def __init__(self, line: Line, tell: Callable[[Fact], None], *, is_trusted: bool) -> None:
        self._line = line
        self._tell = tell
        self._is_trusted = is_trusted
        self._is_accepted = False
        self._failure: asyncio.Future[str] | None = None
        self._deadline: asyncio.Timeout | None = None
        self.is_under_way = False

    @property
    def counts(self) -> bool:
        """Whether a call that ends now ends as handed over."""
        return self.is_under_way and (self._is_trusted or self._is_accepted)

    def accepted(self) -> None:
        """The carrier takes the caller over."""
        if self.is_under_way and not self._is_accepted:
            self._is_accepted = True
            if self._deadline is not None:
                now = asyncio.get_running_loop().time()
                self._deadline.reschedule(now + UNCONFIRMED_S)

    def failed(self, reason: str) -> None:
        """The carrier does not; whoever says so has reported it."""
        if self._failure is not None and not self._failure.done():
            self._failure.set_result(reason or "refused")

    async def run(self, command: Transfer, method: str) -> str:
        """Hand the caller over; return why not, or "" once they are in other hands."""
        self.is_under_way, self._is_accepted = True, False
        self._failure = asyncio.get_running_loop().create_future()
        self._tell(
            TransferStarted(
                at=datetime.now(UTC),
                destination=command.to,
                target=command.target,
                reason=command.reason,
                method=method,
            )
        )
        taken = await self._line.transfer(command)
        failed, is_told = taken.failed, taken.is_told
        if not failed and not taken.is_final:
            failed, is_told = await self._outcome()
        elif not failed:
            await asyncio.sleep(SETTLED_S)
            self._is_accepted = True
        if failed:
            self.is_under_way = False
            if not is_told:
                self._tell(TransferFailed(at=datetime.now(UTC), failed_reason=failed))
        return failed

    async def _outcome(self) -> tuple[str, bool]:
        """Wait for what the bridge tells: why it failed, and whether others have reported that."""
        assert self._failure is not None
        try:
            async with asyncio.timeout(
                UNCONFIRMED_S if self._is_trusted else UNHEARD_S
            ) as self._deadline:
                return await self._failure, True
        except TimeoutError:
            return "" if self.counts else NOBODY_ANSWERED, False
        finally:
            self._deadline = None
