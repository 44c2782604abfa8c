"""One media process: the calls signalling hands it, those it is told to place, and their audio."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from bridges.audio.lateness import Lateness
from bridges.clock import Clock
from bridges.couple import couple
from bridges.fleet import Fleet, FleetSidecar
from bridges.goodbye import load_clip
from bridges.leg import Leg, Offered
from bridges.race import cancel
from bridges.report import CallReport, CallSidecar
from bridges.room_leg import RoomLeg
from bridges.sip.channel import Channel
from bridges.sip.dial_claim import DialClaims, DialSidecar
from bridges.sip.ipc import (
    Drain,
    Incoming,
    Ping,
    Pong,
    Ready,
    Refuse,
    ToMedia,
    ToSignalling,
    parse_to_media,
    serialize,
)
from bridges.sip.port_pool import PortPool
from bridges.sip.rtp_socket import RtpSocket
from bridges.sip.rtp_stream import RtpEvent
from bridges.sip.settings import SipSettings
from bridges.sip.sip_leg import SipLeg
from bridges.sip.verdict import UNAVAILABLE
from bridges.sip.voice import SipLimits
from bridges.wire.latch import Trust
from contracts.ids import Channel as Door
from contracts.plan import PlanRequest
from contracts.trunk import DialOrder
from sidecar.client import Adopter, Spool

log = structlog.get_logger(__name__)

BUSY_HERE = 486
SPOOL_FOLDER = "spool"
FLUSH_S = 1.0
"""For signalling to read our last words, should it still be there."""


class Sidecar(CallSidecar, FleetSidecar, DialSidecar, Protocol):
    """All a media process needs of the sidecar; `sidecar.client.SidecarClient` has it."""


@dataclass(slots=True)
class _Call:
    channel: Channel
    report: CallReport
    task: asyncio.Task[None] | None = None


class MediaBridge:
    """The calls of one media process. `run` it once.

    It ends with the line to signalling, which owns its calls: each is then reported as
    `bridge_lost`; or when it is drained and the last call is over.

    Args:
        settings: the process's.
        sidecar: the control plane.
        clock: the times.
        reader: what signalling tells.
        writer: what it is told.
        enter: makes the agent's side of a call that its report plans.
    """

    def __init__(
        self,
        settings: SipSettings,
        sidecar: Sidecar,
        clock: Clock,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        enter: Callable[[CallReport, Clock], Leg] = lambda report, clock: RoomLeg(
            report.plan, clock
        ),
    ) -> None:
        self.bridge_id = f"{socket.gethostname()}-sip-{secrets.token_hex(4)}"
        self._settings = settings
        self._sidecar = sidecar
        self._clock = clock
        self._reader = reader
        self._writer = writer
        self._enter = enter
        self._calls: dict[str, _Call] = {}
        self._ports = PortPool(settings.rtp_port_start, settings.rtp_port_end)
        self._clip = load_clip(settings.bridge_goodbye_clip)
        self._lateness = Lateness()
        self._is_draining = False
        self._drained = asyncio.Event()
        self._spool = Spool(
            settings.sip_state_dir / SPOOL_FOLDER,
            self.bridge_id,
            max_bytes=settings.bridge_spool_mb * 1024 * 1024,
        )
        self._adopter = Adopter(self._spool, sidecar)
        self._fleet = Fleet(
            sidecar,
            self.bridge_id,
            settings.sip_media_max_calls,
            calls=lambda: [call.report.call_id for call in self._calls.values()],
            accepting=lambda: not self._is_draining,
            started_at=clock.at(),
            take_lateness=self._take_lateness,
            spooled=self._adopter.waiting,
            door="sip",
        )
        self._claims = DialClaims(sidecar, self.bridge_id, self._fleet.free_slots, self._place)

    async def run(self) -> None:
        """Carry calls until signalling is gone, or the last of them is over after a drain."""
        self._send(Ready(bridge_id=self.bridge_id, max_calls=self._settings.sip_media_max_calls))
        log.info("media_started", bridge_id=self.bridge_id)
        claiming = asyncio.create_task(self._claim(), name="dials")
        background = [
            claiming,
            asyncio.create_task(self._fleet.run(), name="fleet"),
            asyncio.create_task(self._adopter.run(), name="spool"),
        ]
        reading = asyncio.create_task(self._read(), name="signalling")
        draining = asyncio.create_task(self._drained.wait(), name="drain")
        try:
            await asyncio.wait({reading, draining}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._is_draining = True
            await cancel(claiming)  # what it brings now would be nobody's
            await self._end_calls()
            await cancel(reading, *background)
            draining.cancel()
            await self._hang_up()
            log.info("media_stopped", bridge_id=self.bridge_id)

    def drain(self, timeout_s: float) -> None:
        """Take no more calls; `run` ends with the last one, or when the time has passed."""
        if self._is_draining:
            return
        log.info("media_draining", calls=len(self._calls), timeout_s=timeout_s)
        self._is_draining = True
        self._claims.stop()
        # Nothing that is free now will be taken: signalling asks others.
        self._send(Ready(bridge_id=self.bridge_id, max_calls=0))
        asyncio.get_running_loop().call_later(timeout_s, self._drained.set)
        self._look_whether_drained()

    async def _read(self) -> None:
        while True:
            try:
                line = await self._reader.readline()
            except OSError:
                line = b""
            except ValueError:
                log.error("signalling_not_understood", calls=len(self._calls))
                return
            if not line.endswith(b"\n"):
                if not self._is_draining:
                    log.warning("signalling_gone", calls=len(self._calls))
                return
            try:
                message = parse_to_media(line)
            except ValueError:
                log.error("signalling_not_understood", calls=len(self._calls))
                return
            self._take(message)

    def _take(self, message: ToMedia) -> None:
        match message:
            case Ping():
                self._send(Pong(number=message.number))
            case Drain():
                self.drain(message.timeout_s)
            case Incoming():
                self._take_incoming(message)
            case _:
                call = self._calls.get(message.leg)
                if call is not None:  # else it crossed our own last word
                    call.channel.deliver(message)

    async def _end_calls(self) -> None:
        """Let calls that are over come to their end, and end the others."""
        calls = list(self._calls.values())
        tasks = [call.task for call in calls if call.task is not None]
        for call in calls:
            if call.task is not None and not call.channel.is_over:
                call.task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _take_incoming(self, call: Incoming) -> None:
        if self._is_draining:
            self._send(Refuse(leg=call.leg, status_code=UNAVAILABLE))
        elif self._fleet.free_slots() == 0:
            self._send(Refuse(leg=call.leg, status_code=BUSY_HERE))
        else:
            report = CallReport(self._sidecar, partial(self._request, call), self._spool)
            self._start(call, call.leg, report)

    def _place(self, order: DialOrder) -> None:
        leg = f"{self.bridge_id}-{secrets.token_hex(8)}"
        self._start(order, leg, CallReport(self._sidecar, order.plan, self._spool))

    def _start(self, call: Incoming | DialOrder, name: str, report: CallReport) -> None:
        carried = self._calls[name] = _Call(Channel(name, self._send), report)
        carried.task = asyncio.create_task(self._carry(call, carried), name=f"call-{name}")

    async def _carry(self, call: Incoming | DialOrder, carried: _Call) -> None:
        """Carry one call to its last report."""
        channel, report = carried.channel, carried.report
        leg = SipLeg(
            call,
            channel,
            self._open_socket,
            self._settings.advertised_host,
            self._clock,
            self._limits(),
            self._observe_lateness,
        )
        room = self._enter(report, self._clock)
        try:
            await couple(leg, room, report, self._clock, clip=self._clip, judge=leg.judge)
        except Exception:
            # The others' calls go on; this one's has been ended by `couple`, or by the sidecar
            # once its bridge no longer names it.
            log.exception("call_failed", call_id=report.call_id)
        finally:
            del self._calls[channel.leg]
            if report.ended is not None:
                log.info(
                    "call_ended",
                    call_id=report.call_id,
                    reason=report.ended.reason.value,
                    detail=report.ended.detail,
                    **report.ended.stats,
                )
            self._look_whether_drained()

    async def _open_socket(self, emit: Callable[[RtpEvent], None]) -> RtpSocket:
        trust = Trust.ANYONE if self._settings.rtp_any_source else Trust.SIGNALLED
        host = self._settings.sip_host
        return await RtpSocket.open(self._ports, host, self._clock, emit, trust=trust)

    def _limits(self) -> SipLimits:
        return SipLimits(
            self._settings.sip_answer_within_s,
            self._settings.sip_no_media_s,
            self._settings.sip_media_timeout_s,
        )

    def _request(self, call: Incoming, offered: Offered) -> PlanRequest:
        return PlanRequest(
            channel=Door.SIP,
            caller_id=offered.caller_id,
            did=offered.did,
            call_direction=offered.direction,
            stream_id=offered.stream_id,
            connected_event=dict(offered.connected_event),
            idempotency_key=secrets.token_hex(16),
            peer_ip=call.peer_ip,
            bridge_id=self.bridge_id,
            trunk_id=call.trunk_id,
        )

    async def _claim(self) -> None:
        await self._claims.run()
        self._look_whether_drained()

    def _look_whether_drained(self) -> None:
        if self._is_draining and not self._calls and self._claims.is_over:
            self._drained.set()

    def _observe_lateness(self, late_s: float) -> None:
        self._lateness.observe(late_s)

    def _take_lateness(self) -> dict[str, float]:
        recent, self._lateness = self._lateness, Lateness()
        return recent.summary()

    def _send(self, message: ToSignalling) -> None:
        if not self._writer.is_closing():
            self._writer.write(serialize(message))

    async def _hang_up(self) -> None:
        """Let signalling have what was written, and close the line."""
        self._writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self._writer.wait_closed()
