"""The bridge's server: WebSockets become calls, load balancers get their figures."""

from __future__ import annotations

import asyncio
import secrets
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.protocol import State

from bridges.clock import Clock
from bridges.couple import couple
from bridges.exotel_leg import ExotelLeg
from bridges.fleet import Fleet, FleetSidecar
from bridges.goodbye import load_clip
from bridges.leg import Leg, Offered
from bridges.metrics import Metrics
from bridges.peer import Peer
from bridges.race import cancel
from bridges.report import CallReport, CallSidecar
from bridges.room_leg import RoomLeg
from bridges.seat import Seats
from bridges.settings import Settings
from bridges.stream_leg import StreamLeg
from bridges.upgrade import Upgrade, parse_upgrade
from bridges.wire.dialler import DiallerServer
from bridges.wire.exotel import ExotelServer
from bridges.wire.exotel_message import MAX_STREAM_MESSAGE_BYTES
from contracts.ids import Channel
from contracts.plan import PlanRequest
from contracts.report import LegEnded
from sidecar.client import Adopter, Spool

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 5
CLOSE_TIMEOUT_S = 1.0
SEND_BUFFER_BYTES = 16 * 1024
"""The kernel's part of what waits for a slow peer; by default it would hold a minute of audio."""
LIBRARY_MAX_BYTES = 2 * MAX_STREAM_MESSAGE_BYTES
"""Above our own limit, so that it is our protocol that refuses, with its reason."""


class Sidecar(CallSidecar, FleetSidecar, Protocol):
    """All a bridge needs of the sidecar; `sidecar.client.SidecarClient` has it."""


@dataclass(slots=True)
class _Seat:
    """A slot taken: from the moment a request is let through until its call is reported."""

    upgrade: Upgrade
    report: CallReport | None = None
    task: asyncio.Task[None] | None = None


class Bridge:
    """One bridge process: `async with Bridge(...)` serves; `drain` ends it with care."""

    def __init__(self, settings: Settings, sidecar: Sidecar, clock: Clock) -> None:
        self.bridge_id = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self.metrics = Metrics(lambda: len(self._live_seats()))
        self._settings = settings
        self._sidecar = sidecar
        self._clock = clock
        self._seats: dict[ServerConnection, _Seat] = {}
        self._draining = False
        self._idle = asyncio.Event()
        self._clip = load_clip(settings.bridge_goodbye_clip)
        self.seats = Seats()
        self._server: Server | None = None
        self._heart: asyncio.Task[None] | None = None
        self._spool = Spool(
            settings.bridge_spool_dir,
            self.bridge_id,
            max_bytes=settings.bridge_spool_mb * 1024 * 1024,
        )
        self._adopter = Adopter(self._spool, sidecar)
        self._adopting: asyncio.Task[None] | None = None
        self._fleet = Fleet(
            sidecar,
            self.bridge_id,
            settings.bridge_max_calls,
            calls=self._call_ids,
            accepting=lambda: not self._draining,
            started_at=clock.at(),
            take_lateness=self.metrics.take_recent_lateness,
            keep_seats=self.seats.keep,
            spooled=self._adopter.waiting,
        )

    @property
    def port(self) -> int:
        """The port in use."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Bridge:
        self._server = await serve(
            self._carry,
            self._settings.bridge_host,
            self._settings.bridge_port,
            process_request=self._answer,
            create_connection=Peer,
            compression=None,
            max_size=LIBRARY_MAX_BYTES,
            ping_interval=None,
            close_timeout=CLOSE_TIMEOUT_S,
            write_limit=4 * LIBRARY_MAX_BYTES,
            server_header=None,
        )
        self._heart = asyncio.create_task(self._fleet.run(), name="fleet")
        self._adopting = asyncio.create_task(self._adopter.run(), name="spool")
        log.info("bridge_started", bridge_id=self.bridge_id, port=self.port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.drain(0.0)

    async def drain(self, timeout_s: float) -> None:
        """Refuse new calls, wait for the others, then end those that remain, each with a report."""
        self._draining = True
        log.info("bridge_draining", calls=len(self._seats), timeout_s=timeout_s)
        tasks = [seat.task for seat in self._seats.values() if seat.task is not None]
        if tasks and timeout_s:
            await asyncio.wait(tasks, timeout=timeout_s)
        await cancel(*tasks)
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
        for task in (self._heart, self._adopting):
            if task is not None:
                await cancel(task)
        await self.seats.aclose()
        log.info("bridge_stopped", bridge_id=self.bridge_id)

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer plain HTTP, refuse what we cannot carry, and let the rest upgrade."""
        path = request.path.partition("?")[0]
        if path == "/health":
            return _respond(HTTPStatus.OK, self._fleet.health())
        if path == "/health/fleet":
            return _respond(HTTPStatus.OK, self._fleet.health_fleet())
        if path == "/metrics":
            return _respond(HTTPStatus.OK, self.metrics.exposition(), "text/plain; version=0.0.4")
        socket_ip = (connection.remote_address or ("",))[0]
        upgrade = parse_upgrade(
            request.path, request.headers, socket_ip, self._settings.trusted_proxies
        )
        if upgrade is None:
            return _refuse(
                HTTPStatus.NOT_FOUND,
                "not_found",
                "streams are at /ws/{bot_id} and /exotel/{bot_id}",
            )
        if self._draining or len(self._live_seats()) >= self._settings.bridge_max_calls:
            cause = "draining" if self._draining else "at_capacity"
            self.metrics.refused.labels(cause=cause).inc()
            return _refuse(HTTPStatus.SERVICE_UNAVAILABLE, cause, "no free slot on this bridge")
        self._seats[connection] = _Seat(upgrade)
        return None

    async def _carry(self, connection: ServerConnection) -> None:
        """Carry one call from its upgrade to its last report."""
        seat = self._seats[connection]
        seat.task = asyncio.current_task()
        transport_socket = connection.transport.get_extra_info("socket")
        transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        report = seat.report = CallReport(
            self._sidecar, lambda offered: self._request(seat.upgrade, offered), self._spool
        )
        leg = self._leg(connection, seat.upgrade)
        room = RoomLeg(report.plan, self._clock, self.seats)
        try:
            await couple(leg, room, report, self._clock, clip=self._clip)
        finally:
            del self._seats[connection]
            if report.ended is not None:
                self.metrics.call_ended(seat.upgrade.channel, report.ended)
                _log_end(seat.upgrade, report.call_id, report.ended)

    def _leg(self, connection: ServerConnection, upgrade: Upgrade) -> Leg:
        """Return the leg that speaks what is spoken at this door."""
        now, settings, observe = self._clock.now(), self._settings, self.metrics.observe_lateness
        handshake_timeout_s = settings.bridge_handshake_timeout_s
        if upgrade.channel is Channel.EXOTEL:
            exotel = ExotelServer(
                now,
                url_rate=upgrade.url_rate,
                handshake_timeout_s=handshake_timeout_s,
                media_timeout_s=settings.bridge_exotel_media_timeout_s,
            )
            return ExotelLeg(connection, exotel, self._clock, observe)
        dialler = DiallerServer(
            now,
            handshake_timeout_s=handshake_timeout_s,
            media_timeout_s=settings.bridge_media_timeout_s,
        )
        return StreamLeg(connection, dialler, self._clock, observe)

    def _request(self, upgrade: Upgrade, offered: Offered) -> PlanRequest:
        return PlanRequest(
            channel=upgrade.channel,
            bot_id=upgrade.bot_id,
            caller_id=offered.caller_id,
            did=offered.did,
            call_direction=offered.direction,
            stream_id=offered.stream_id,
            connected_event=dict(offered.connected_event),
            idempotency_key=secrets.token_hex(16),
            presented_token=upgrade.token,
            peer_ip=upgrade.peer_ip,
            bridge_id=self.bridge_id,
            answered=offered.answered,
            media_rate_hz=offered.media_rate_hz,
            seats=self.seats.held() if offered.answered else [],
        )

    def _live_seats(self) -> dict[ServerConnection, _Seat]:
        # A request let through whose peer vanished before the upgrade never reaches `_carry`.
        for connection, seat in list(self._seats.items()):
            if seat.task is None and connection.state is State.CLOSED:
                del self._seats[connection]
        return self._seats

    def _call_ids(self) -> list[str]:
        return [seat.report.call_id if seat.report else "" for seat in self._live_seats().values()]


def _log_end(upgrade: Upgrade, call_id: str, ended: LegEnded) -> None:
    log.info(
        "call_ended",
        bot_id=upgrade.bot_id,
        door=upgrade.channel.value,
        call_id=call_id,
        reason=ended.reason.value,
        detail=ended.detail,
        **ended.stats,
    )


def _respond(status: HTTPStatus, body: bytes, content_type: str = "application/json") -> Response:
    headers = Headers(
        {"Content-Type": content_type, "Content-Length": str(len(body)), "Connection": "close"}
    )
    return Response(status.value, status.phrase, headers, body)


def _refuse(status: HTTPStatus, code: str, message: str) -> Response:
    body = f'{{"error":{{"code":"{code}","message":"{message}","details":{{}}}}}}'
    response = _respond(status, body.encode())
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response
