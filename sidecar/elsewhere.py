"""Another control plane of the family, asked for one call's config and for its way out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
from pydantic_core import from_json

from contracts.trunk import Trunk
from sidecar import callee
from sidecar.configure import SECRET_HEADER, ConfigApi, ConfigSource
from sidecar.denial import Code, Denied
from sidecar.egress import EgressGuard, EgressRefused
from sidecar.fault import unfit
from sidecar.origin import origin_of
from sidecar.route import Route
from sidecar.vetting import VettedConfigs, Vetting

MAX_TRUNK_ID_CHARS = 64
MAX_ANSWER_BYTES = 1024 * 1024


class FamilyApi:
    """A control plane at one address (`https://host/api/v1/config`): its configs, its trunks."""

    def __init__(
        self, http: httpx.AsyncClient, url: str, secret: str, timeout_s: float, vetting: Vetting
    ) -> None:
        """Make it.

        Args:
            http: what it is asked with.
            url: the base URL of its config API.
            secret: what it is shown; "": nothing.
            timeout_s: how long it may take.
            vetting: judges its configs.
        """
        self._http = http
        self._unvetted = ConfigApi(http, url, secret, timeout_s)
        self._configs = VettedConfigs(self._unvetted, vetting)
        # Beside the config, as `https://host/api/v1/config` has it at `…/api/v1/sip/…`.
        self._trunk_url = str(httpx.URL(url.rstrip("/")).join("sip/outbound-trunk"))
        self._headers = {SECRET_HEADER: secret} if secret else {}
        self._timeout_s = timeout_s

    @property
    def configs(self) -> ConfigSource:
        """Where the bot's config comes from."""
        return self._configs

    @property
    def unvetted(self) -> ConfigSource:
        """The same for what follows a call: no vendor of the bot's has to serve one any more."""
        return self._unvetted

    async def outbound(self, from_number: str) -> Route | None:
        """Return by which trunk a call goes out that shows this number; None: it names none.

        Raises:
            Denied: it cannot be asked.
        """
        params = {"from_number": from_number} if from_number else {}
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._http.get(
                    self._trunk_url,
                    params=params,
                    headers=self._headers,
                    timeout=self._timeout_s,
                )
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise _unavailable(error=type(error).__name__) from error
        if response.status_code == 404:
            return None
        if response.status_code != 200:
            raise _unavailable(status=response.status_code)
        return _route_of(response.content, from_number)


class ConfigUrls:
    """Reaches the control planes that requests name by `config_url`.

    The service secret goes to trusted origins alone; any other address is the guard's to let pass.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        guard: EgressGuard,
        vetting: Vetting,
        *,
        secret: str,
        trusted: Sequence[str],
        timeout_s: float,
    ) -> None:
        """Make it.

        Args:
            http: what trusted ones are asked with.
            guard: which addresses others may be at.
            vetting: judges their configs.
            secret: the service secret.
            trusted: URLs whose origins get it.
            timeout_s: how long each may take.
        """
        self._http = http
        self._guarded = httpx.AsyncClient(transport=_Guarded(http, guard), trust_env=False)
        self._vetting = vetting
        self._secret = secret
        self._trusted = frozenset(map(origin_of, trusted)) - {""}
        self._timeout_s = timeout_s

    def at(self, url: str) -> FamilyApi:
        """Return the control plane at an address.

        Raises:
            Denied: it is none.
        """
        origin = origin_of(url)
        if not origin.startswith(("http://", "https://")):
            raise unfit("config_url", "not an http(s) URL")
        if origin in self._trusted:
            return FamilyApi(self._http, url, self._secret, self._timeout_s, self._vetting)
        return FamilyApi(self._guarded, url, "", self._timeout_s, self._vetting)


class _Guarded(httpx.AsyncBaseTransport):
    """Sends what the guard lets pass to the very address that it checked, and reads so much."""

    def __init__(self, http: httpx.AsyncClient, guard: EgressGuard) -> None:
        self._http = http
        self._guard = guard

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            target = await self._guard.check(str(request.url))
        except EgressRefused as error:
            raise httpx.ConnectError(str(error), request=request) from error
        headers = request.headers.copy()
        headers["Host"] = target.host_header
        headers["Accept-Encoding"] = "identity"
        # A connection that is kept is known by its address, which others' hosts may share.
        headers["Connection"] = "close"
        pinned = httpx.Request(
            request.method,
            target.url,
            headers=headers,
            extensions={**request.extensions, "sni_hostname": target.server_name},
        )
        response = await self._http.send(pinned, stream=True, follow_redirects=False)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            # A small one could become a huge one before it can be measured.
            await response.aclose()
            raise httpx.ReadError("the answer is compressed", request=request)
        return httpx.Response(response.status_code, headers=response.headers, stream=_Cut(response))


class _Cut(httpx.AsyncByteStream):
    """An answer's bytes, up to a limit that no config reaches."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left_bytes = MAX_ANSWER_BYTES
        async for chunk in self._response.aiter_bytes():
            left_bytes -= len(chunk)
            if left_bytes < 0:
                raise httpx.ReadError("the answer is too long")
            yield chunk

    async def aclose(self) -> None:
        await self._response.aclose()


def _route_of(content: bytes, from_number: str) -> Route:
    try:
        found: Any = from_json(content, allow_inf_nan=False)
        trunk_id, number = str(found["trunk_id"]), str(found.get("number") or from_number)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unavailable(error="its answer names no trunk_id") from error
    if not 0 < len(trunk_id) <= MAX_TRUNK_ID_CHARS:
        raise _unavailable(error="its trunk_id is none")
    try:
        shown = callee.normal(number) if number else ""
    except callee.NotCallable as error:
        raise _unavailable(error="its number is none") from error
    return Route(Trunk(trunk_id=trunk_id, name=trunk_id), shown)


def _unavailable(**details: Any) -> Denied:
    message = "the config API does not tell by which trunk to dial"
    return Denied(Code.CONFIG_UNAVAILABLE, message, details=details)
