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

TRUSTED_S = 15.0
"""A dialler that takes a caller over closes within that; else it has them all the same."""
UNHEARD_S = 45.0
"""Beyond what a bridge waits for the far end: from then on nobody will tell."""
NOBODY_ANSWERED = "nothing was heard of the transfer"


class Handover:
    """Begun by `run`; told what becomes of it by `done` and `failed`.

    Args:
        line: the caller's.
        tell: takes the facts.
        is_trusted: whether the carrier never says how it went, so that sent means done: diallers.
    """

    def __init__(self, line: Line, tell: Callable[[Fact], None], *, is_trusted: bool) -> None:
        self._line = line
        self._tell = tell
        self._is_trusted = is_trusted
        self._outcome: asyncio.Future[str] | None = None
        self._is_done = False
        self.is_under_way = False

    @property
    def counts(self) -> bool:
        """Whether a call that ends now ends as handed over."""
        return self._is_done or (self.is_under_way and self._is_trusted)

    def done(self) -> None:
        """The caller is in other hands."""
        self._is_done = self.is_under_way
        self._decide("")

    def failed(self, reason: str) -> None:
        """The caller is still here; whoever says so has reported it."""
        self._decide(reason or "refused")

    async def run(self, command: Transfer, method: str) -> str:
        """Hand the caller over; return why not, or "" once they are in other hands."""
        self.is_under_way = True
        self._outcome = asyncio.get_running_loop().create_future()
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
            failed, is_told = await self._heard(self._outcome)
        self.is_under_way = not failed
        self._is_done = not failed
        if failed and not is_told:
            self._tell(TransferFailed(at=datetime.now(UTC), failed_reason=failed))
        return failed

    async def _heard(self, outcome: asyncio.Future[str]) -> tuple[str, bool]:
        """Return why the bridge says that it failed, and whether others have reported that."""
        try:
            async with asyncio.timeout(TRUSTED_S if self._is_trusted else UNHEARD_S):
                return await outcome, True
        except TimeoutError:
            return "" if self._is_trusted else NOBODY_ANSWERED, False

    def _decide(self, failed: str) -> None:
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(failed)
