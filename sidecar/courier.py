"""One attempt to deliver: the address checked, the body signed, and what was answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

import httpx

from sidecar.denial import Denied
from sidecar.egress import EgressGuard, EgressRefused
from sidecar.exotel_hang_up import HANG_UP_CALL
from sidecar.origin import origin_of
from sidecar.schedule import asked_s
from sidecar.secrecy import MASK
from sidecar.signing import signature_of
from sidecar.store.deliveries import Delivery

KEPT_CHARS = 2048
READ_BYTES = 2 * KEPT_CHARS
"""More than is kept, so that a secret on the edge is seen whole, and masked."""
ANSWER_S = 2.0
"""How long the beginning of an answer's body is waited for, once its status is there."""
LEAST_SECRET_CHARS = 6
_FORM = "application/x-www-form-urlencoded"
FRAMING = ("connection", "content-length", "host", "transfer-encoding", "upgrade")
"""Headers that are the connection's own, whatever a tenant has set."""

FAILURES = (Denied, EgressRefused, httpx.HTTPError, TimeoutError, ValueError)
"""What may keep an attempt from an answer; `ValueError` is a secret or header that is none."""


class Secrets(Protocol):
    """Finds what signs a bot's deliveries, when it is needed."""

    async def signing_secrets(self, tenant_id: str, bot_id: str) -> Sequence[str]:
        """Return `whsec_…` secrets, newest first; none for unsigned.

        Raises:
            ValueError: what is set is no secret.
        """


class Credentials(Protocol):
    """Finds what a delivery has to show its receiver, when it is needed: no row holds any."""

    async def headers(self, delivery: Delivery) -> Mapping[str, str]:
        """Return headers to add; none where none are set.

        Raises:
            Denied: they cannot be had at this moment.
            ValueError: what is set cannot be sent.
        """


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom the service secret is sent to, beside the body: origins, `https://host[:port]`."""

    service_secret: str
    origins: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt. Exactly one of `status_code` and `error` is set.

    Attributes:
        duration_ms: until the status was there, or the error.
        response: the beginning of the body.
        asked_s: how long the receiver wants to be left alone.
    """

    status_code: int | None
    error: str | None
    duration_ms: float
    response: str = ""
    asked_s: float = 0.0

    @property
    def is_success(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300


class Courier:
    """Makes attempts. Follows no redirect: who is trusted with a body is not theirs to say."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        guard: EgressGuard,
        secrets: Secrets,
        credentials: Credentials,
        trust: Trust,
        *,
        timeout_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout_s = timeout_s
        self._http = http
        self._guard = guard
        self._secrets = secrets
        self._credentials = credentials
        self._trust = trust
        self._trusted = frozenset(map(origin_of, trust.origins)) - {""}
        self._monotonic = monotonic

    async def carry(self, delivery: Delivery, at: datetime) -> Answer:
        """Attempt a delivery, within `timeout_s` and a moment more for what is answered."""
        began = self._monotonic()
        try:
            # The client times each read alone; a trickling receiver must not outlast the lease.
            async with asyncio.timeout(self.timeout_s):
                shown = await self._shown(delivery)
                request = await self._request(delivery, at, shown)
                response = await self._http.send(request, stream=True, follow_redirects=False)
        except FAILURES as problem:
            error = f"{type(problem).__name__}: {problem}".removesuffix(": ")
            return Answer(None, error, self._since(began))
        duration_ms = self._since(began)
        return Answer(
            response.status_code,
            None,
            duration_ms,
            _kept(await self._beginning(response), shown.values()),
            asked_s(response.headers.get("Retry-After", ""), at),
        )

    async def _shown(self, delivery: Delivery) -> httpx.Headers:
        shown = httpx.Headers(await self._credentials.headers(delivery))
        for name in FRAMING:
            shown.pop(name, None)
        if origin_of(delivery.url) in self._trusted:
            shown["X-VoxCore-Secret"] = self._trust.service_secret
        return shown

    async def _request(
        self, delivery: Delivery, at: datetime, shown: httpx.Headers
    ) -> httpx.Request:
        target = await self._guard.check(delivery.url)
        headers = shown.copy()
        headers.update(
            {
                # Nobody should have us unpack what is only kept to be looked at.
                "Accept-Encoding": "identity",
                # Connections are kept by address, and an address may serve other hosts as well:
                # the next body would go over one that was verified for somebody else.
                "Connection": "close",
                "Content-Type": _FORM if delivery.kind == HANG_UP_CALL else "application/json",
                "Host": target.host_header,
                "webhook-id": delivery.delivery_id,
                "webhook-timestamp": str(int(at.timestamp())),
            }
        )
        secrets = await self._secrets.signing_secrets(delivery.tenant_id, delivery.bot_id)
        if secrets:
            headers["webhook-signature"] = signature_of(
                secrets, delivery.delivery_id, at, delivery.body
            )
        return self._http.build_request(
            delivery.method,
            target.url,
            content=delivery.body.encode(),
            headers=headers,
            timeout=self.timeout_s,
            extensions={"sni_hostname": target.server_name},
        )

    async def _beginning(self, response: httpx.Response) -> bytes:
        """Return the body's beginning. The status counts: a body may break off, or never end."""
        found = bytearray()
        # As it came: nothing is unpacked.
        stream = cast(httpx.AsyncByteStream, response.stream)
        body = cast("AsyncGenerator[bytes, None]", aiter(stream))
        with suppress(httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(min(ANSWER_S, self.timeout_s)), aclosing(body):
                async for chunk in body:
                    found += chunk
                    if len(found) >= READ_BYTES:
                        break
        await response.aclose()
        return bytes(found[:READ_BYTES])

    def _since(self, began: float) -> float:
        return 1000 * (self._monotonic() - began)


def _kept(body: bytes, shown: Iterable[str]) -> str:
    """Return what is kept of an answer: without NULs, and without secrets it may repeat."""
    text = body.decode(errors="replace").replace("\x00", "")
    words = {word for value in shown for word in (value, *value.split())}
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= LEAST_SECRET_CHARS:
            text = text.replace(word, MASK)
    return text[:KEPT_CHARS]
