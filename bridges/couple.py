"""Joins two legs until one ends, and owns the closing order: last words, hang up, leave, report."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from bridges.clock import Clock
from bridges.ending import Ending
from bridges.goodbye import Goodbye
from bridges.leg import Leg, LegEvent, LegFact
from bridges.race import cancel, within
from bridges.report import CallReport
from bridges.wire.close import CloseCode
from contracts.outcome import Reason
from contracts.report import LegEnded

log = structlog.get_logger(__name__)

STEP_TIMEOUT_S = 2.0
"""For each step of closing; a peer that hangs costs this much and no more."""


async def couple(
    carrier: Leg,
    room: Leg,
    report: CallReport,
    clock: Clock,
    *,
    clip: bytes = b"",
    judge: Callable[[Ending], Ending] = lambda ending: ending,
) -> Ending:
    """Carry a call between its two legs and return how it ended.

    The first ending wins; where it is our fault, the caller hears `clip` before the line drops.
    Closing is complete when this returns, also where it was cancelled: the
    call then ends as `BRIDGE_LOST` and the cancellation goes on.

    Args:
        carrier: the phone's side.
        room: the agent's side.
        report: what the sidecar is told.
        clock: the times.
        clip: our last words, PCM at 8 kHz.
        judge: says what an ending means on the carrier's side, whose phone may not be answered yet.
    """

    goodbye = Goodbye(clip)

    def from_carrier(event: LegEvent) -> None:
        goodbye.note(event)
        if isinstance(event, LegFact):
            report.add(event)
        room.accept(event)

    runs = [
        asyncio.create_task(carrier.run(from_carrier), name="carrier-leg"),
        asyncio.create_task(room.run(carrier.accept), name="room-leg"),
    ]
    cancelled = False
    try:
        await asyncio.wait(runs, return_when=asyncio.FIRST_COMPLETED)
        ending = judge(_first(runs, clock))
        if report.call_id:
            # One that was never planned is refused at once: its dialler may know another place.
            await goodbye.say(carrier, runs[0], ending)
    except asyncio.CancelledError:
        cancelled = True
        ending = Ending(Reason.BRIDGE_LOST, clock.at(), "the bridge shuts down")
    closing = asyncio.create_task(_close(carrier, room, runs, report, ending))
    while not closing.done():
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            cancelled = True
    closing.result()
    if cancelled:
        raise asyncio.CancelledError
    return ending


def _first(runs: list[asyncio.Task[Ending]], clock: Clock) -> Ending:
    """Return the earliest ending; a leg that failed is our fault and ends the call all the same."""
    endings = []
    for run in runs:
        if not run.done():
            continue
        failure = run.exception()
        if failure is None:
            endings.append(run.result())
        else:
            log.error("leg_failed", leg=run.get_name(), exc_info=failure)
            detail = f"{run.get_name()}: {type(failure).__name__}"
            endings.append(Ending(Reason.BRIDGE_LOST, clock.at(), detail, CloseCode.INTERNAL))
    return min(endings, key=lambda ending: ending.at)


async def _close(
    carrier: Leg, room: Leg, runs: list[asyncio.Task[Ending]], report: CallReport, ending: Ending
) -> None:
    # The phone first, so that nobody hears a call being taken apart; the room last, since leaving
    # it is what the agent takes for the end.
    steps: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        ("hang_up_carrier", lambda: carrier.hang_up(ending)),
        ("hang_up_room", lambda: room.hang_up(ending)),
        ("stop_media", lambda: cancel(*runs)),
        ("close_carrier", carrier.close),
        ("close_room", room.close),
    ]
    for name, step in steps:
        try:
            if not await within(STEP_TIMEOUT_S, step()):
                log.warning("closing_step_timed_out", step=name, call_id=report.call_id)
        except Exception:
            log.exception("closing_step_failed", step=name, call_id=report.call_id)
    stats = {"close_code": int(ending.close_code), **carrier.stats(), **room.stats()}
    await report.close(
        LegEnded(
            at=ending.at,
            reason=ending.reason,
            detail=ending.detail,
            sip_status_code=ending.sip_status_code,
            stats=stats,
        )
    )
