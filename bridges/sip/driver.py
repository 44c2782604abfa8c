"""Runs one SIP endpoint on real sockets: feeds it messages and time, sends what it hands out."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import structlog

from bridges.sip.resolver import Resolver
from bridges.sip.settings import SipSettings
from bridges.sip.tls import client_context, server_context
from bridges.sip.trace import first_line, masked
from bridges.sip.transport import Transports, Unwanted
from bridges.wire.sip.endpoint import Endpoint
from bridges.wire.sip.event import Event
from bridges.wire.sip.flow import Flow, Target
from bridges.wire.sip.profile import Profile

log = structlog.get_logger(__name__)


class Audience(Protocol):
    """Who hears the endpoint's events, and decides whose messages it reads."""

    def event_happened(self, event: Event) -> None:
        """Act on an event. What it makes the endpoint send leaves afterwards."""

    def lets_in(self, data: bytes, host: str) -> bool:
        """Tell whether a message from this address is to be read."""


class Driver:
    """One endpoint and its sockets. `open` first, `close` at the end.

    Attributes:
        endpoint: after each call of it, `flush`.
        transports: its sockets.
        resolver: names to addresses.
        dropped: messages not read, by cause.
    """

    endpoint: Endpoint

    def __init__(self, settings: SipSettings, audience: Audience, now: Callable[[], float]) -> None:
        """Raises `OSError` if a certificate or key cannot be read."""
        family = socket.AF_INET6 if ":" in settings.sip_host else socket.AF_INET
        self.resolver = Resolver(family, now)
        self.transports = Transports(
            settings.sip_host,
            self,
            self.resolver,
            now,
            client_context(settings),
            server_context(settings),
        )
        self.dropped: Counter[str] = self.transports.dropped
        self._settings = settings
        self._audience = audience
        self._now = now
        self._timer: asyncio.TimerHandle | None = None
        self._traces = settings.log_level.upper() == "DEBUG"

    def open(self) -> None:
        """Bind the sockets and serve.

        Raises:
            OSError: a port is in use, or the address is not ours.
        """
        settings = self._settings
        self.transports.open(settings.sip_port, settings.sip_tls_port)
        profile = Profile(
            host=settings.advertised_host,
            ports=dict(self.transports.ports),
            session_expires_s=settings.sip_session_expires_s,
            digest_algorithms=settings.sip_digest_algorithms,
        )
        self.endpoint = Endpoint(profile, os.urandom)

    async def close(self) -> None:
        """Send what is left to send, and close the sockets."""
        self.flush()
        if self._timer is not None:
            self._timer.cancel()
        await self.transports.close()

    def flush(self) -> None:
        """Put on the wire what the endpoint wants to send, and set its alarm."""
        for message in self.endpoint.outgoing():
            self._trace("out", message.data, message.to)
            self.transports.send(message)
        deadline = self.endpoint.deadline()
        if self._timer is not None:
            if deadline is not None and self._timer.when() <= deadline:
                return  # it looks again by itself
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            loop = asyncio.get_running_loop()
            delay_s = max(0.0, deadline - self._now())
            self._timer = loop.call_at(loop.time() + delay_s, self._expire)

    # What the transports call.

    def message_arrived(self, data: bytes, flow: Flow) -> None:
        """Let the endpoint read a message, if its sender is anybody's business."""
        if self._settings.sip_unknown_peers == "drop" and not self._audience.lets_in(
            data, flow.host
        ):
            self.dropped["unknown_peer"] += 1
            log.debug("sip_peer_unknown", peer_ip=flow.host, kind=first_line(data))
            if flow.connection:
                raise Unwanted
            return
        self._trace("in", data, flow)
        try:
            self._tell(self.endpoint.receive(data, flow, self._now()))
        finally:
            self.flush()

    def transport_failed(self, target: Target, detail: str) -> None:
        """Let the endpoint know that there is no way to somebody."""
        log.debug("sip_transport_failed", peer=target.host, detail=detail)
        self._tell(self.endpoint.transport_failed(target, detail, self._now()))
        self.flush()

    def _expire(self) -> None:
        self._timer = None
        self._tell(self.endpoint.expire(self._now()))
        self.flush()

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            try:
                self._audience.event_happened(event)
            except Exception:
                # One call's trouble, which must not be the others'.
                log.exception("sip_event_failed", event=type(event).__name__)

    def _trace(self, direction: str, data: bytes, target: Target) -> None:
        if self._traces:
            log.debug(
                "sip_message",
                direction=direction,
                transport=target.transport.value,
                peer=f"{target.host}:{target.port}",
                message_pii=masked(data),
            )
