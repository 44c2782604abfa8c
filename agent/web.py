"""HTTP requests to whom a bot names: through the egress guard, bounded in time and size."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import httpx

from agent.http_request import ToolRequest
from agent.vendor.tls import tls as usual_tls
from sidecar.client import EgressGuard, EgressRefused

MAX_ANSWER_BYTES = 256 * 1024


class Failure(StrEnum):
    """Why a request gave no answer."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    """The egress guard lets nothing through to this address, or it is no address."""
    TOO_BIG = "too_big"
    ENCODED = "encoded"
    """Compressed, though that was not asked for: a small answer could become a huge one."""


class AskFailed(Exception):
    """No answer came.

    Attributes:
        failure: why.
        detail: more about it, neither secret nor personal.
        is_sent: whether the server may have done what was asked.
    """

    def __init__(self, failure: Failure, detail: str = "", *, is_sent: bool = False) -> None:
        super().__init__(failure)
        self.failure = failure
        self.detail = detail
        self.is_sent = is_sent


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    content_type: str
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class Web:
    """One call's way out. Each request has a connection of its own, to the address that passed."""

    def __init__(self, guard: EgressGuard, tls: ssl.SSLContext | None = None) -> None:
        """
        Args:
            guard: where requests may go.
            tls: made before; reading the certificates takes 20 to 50 ms.
        """
        self.guard = guard
        self._tls = tls
        self._http: httpx.AsyncClient | None = None

    @property
    def tls(self) -> ssl.SSLContext:
        """Certificates that servers are judged by."""
        return self._tls or usual_tls()

    async def ask(self, request: ToolRequest, timeout_s: float) -> Answer:
        """Return the answer, whatever its status; a redirect is one, and not followed.

        Raises:
            AskFailed: there is none.
        """
        is_sent = False
        try:
            # The client times each read alone; an answer that trickles must not outlast this.
            async with asyncio.timeout(timeout_s):
                target = await self.guard.check(request.url)
                outgoing = httpx.Request(
                    request.method,
                    target.url,
                    headers=_framed(request.headers, target.host_header),
                    content=request.body,
                    extensions={
                        "sni_hostname": target.server_name,
                        "timeout": httpx.Timeout(timeout_s).as_dict(),
                    },
                )
                is_sent = True
                return await self._sent(outgoing)
        except (TimeoutError, httpx.TimeoutException) as error:
            is_sent = is_sent and not isinstance(error, httpx.ConnectTimeout)
            raise AskFailed(Failure.TIMEOUT, is_sent=is_sent) from error
        except (EgressRefused, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise AskFailed(Failure.REFUSED, str(error)) from error
        except httpx.HTTPError as error:
            is_sent = not isinstance(error, httpx.ConnectError | httpx.LocalProtocolError)
            raise AskFailed(Failure.UNREACHABLE, type(error).__name__, is_sent=is_sent) from error

    async def aclose(self) -> None:
        """Close what is open."""
        if self._http is not None:
            await self._http.aclose()

    async def _sent(self, request: httpx.Request) -> Answer:
        if self._http is None:
            self._http = httpx.AsyncClient(verify=self.tls, trust_env=False)
        # Made without the client, which adds cookies and credentials of its own.
        response = await self._http.send(request, stream=True, follow_redirects=False, auth=None)
        try:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise AskFailed(Failure.ENCODED, is_sent=True)
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise AskFailed(Failure.TOO_BIG, is_sent=True)
            content_type = response.headers.get("Content-Type", "")
            return Answer(response.status_code, content_type, bytes(body))
        finally:
            await response.aclose()


def _framed(headers: Mapping[str, str], host_header: str) -> httpx.Headers:
    # UTF-8, as servers of any language read it; HTTP itself knows no encoding of headers.
    framed = httpx.Headers(dict(headers), encoding="utf-8")
    framed["Host"] = host_header
    framed.setdefault("Accept", "application/json, text/plain;q=0.9, */*;q=0.5")
    framed["Accept-Encoding"] = "identity"
    # A connection that is kept is known by its address, which other hosts may share.
    framed["Connection"] = "close"
    return framed
