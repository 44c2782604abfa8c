"""Asks a bot's CRM about a caller: one request through the egress guard, and what comes of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import httpx
from pydantic_core import from_json

from contracts import template
from contracts.bot import BotConfig, CrmPrefetch
from sidecar.egress import EgressGuard, EgressRefused

MAX_ANSWER_BYTES = 256 * 1024

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Failure(StrEnum):
    """Why a call goes on without its CRM's answer."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    """The egress guard lets nothing through to this address."""
    SECRET_MISSING = "secret_missing"
    """Its token or a header names a secret that is not there."""
    STATUS = "status"
    TOO_BIG = "too_big"
    NOT_JSON = "not_json"
    PATH_MISSING = "path_missing"
    """There is no object at the answer's `response_path`."""


class PrefetchFailed(Exception):
    """The CRM gave nothing to go by.

    Attributes:
        failure: why.
        detail: facts beside it, neither secret nor personal.
    """

    def __init__(self, failure: Failure, **detail: Any) -> None:
        super().__init__(failure)
        self.failure = failure
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Question:
    """A request to a CRM, every template in it resolved."""

    method: str
    url: str
    headers: dict[str, str]
    body: Any = None


def wanted(config: BotConfig, connected_event: Mapping[str, Any]) -> CrmPrefetch | None:
    """Return what is to be asked about a call; None: nothing."""
    prefetch = config.crm_prefetch
    is_mocked = isinstance(connected_event.get("_mock_crm"), Mapping)
    if is_mocked or template.is_set(connected_event, "_skip_prefetch"):
        return None
    return prefetch if prefetch is not None and prefetch.url else None


def question_of(prefetch: CrmPrefetch, variables: Mapping[str, str]) -> Question:
    """Return the request; what is not known is left empty in it."""
    escaped = {name: _escaped(value) for name, value in variables.items()}
    plain = {name: _CONTROL.sub("", value) for name, value in variables.items()}
    headers = {
        name: template.render(value, plain, drop_unresolved=True)
        for name, value in prefetch.headers.items()
        if not prefetch.token or name.lower() != "authorization"
    }
    if prefetch.token:
        headers["Authorization"] = prefetch.token
    url = template.render(prefetch.url, escaped, drop_unresolved=True)
    body = template.render_all(prefetch.body, variables) if prefetch.method == "POST" else None
    return Question(prefetch.method, url, headers, body)


def fields_of(answer: bytes, path: str) -> dict[str, Any]:
    """Return the fields at `path` (`data.customers.0`) of a CRM's answer.

    Raises:
        PrefetchFailed: it is not JSON, or there is no object.
    """
    try:
        found: Any = from_json(answer, allow_inf_nan=False)
    except ValueError as error:
        raise PrefetchFailed(Failure.NOT_JSON) from error
    for step in path.split(".") if path else []:
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal() and len(step) < 5:
            found = found[int(step)] if int(step) < len(found) else None
        else:
            found = None
    if not isinstance(found, dict):
        raise PrefetchFailed(Failure.PATH_MISSING)
    return found


class Crm:
    """Asks CRMs over HTTP, through the egress guard."""

    def __init__(self, http: httpx.AsyncClient, guard: EgressGuard) -> None:
        self._http = http
        self._guard = guard

    async def fields(
        self, prefetch: CrmPrefetch, variables: Mapping[str, str], patience_s: float
    ) -> dict[str, Any]:
        """Return what the CRM knows of the caller.

        Raises:
            PrefetchFailed: nothing usable came within the patience, or the bot's own time-out.
        """
        question = question_of(prefetch, variables)
        try:
            # The client times each read alone; a CRM that trickles must not outlast the patience.
            async with asyncio.timeout(min(prefetch.timeout_s, patience_s)):
                answer = await self._asked(question)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise PrefetchFailed(Failure.TIMEOUT) from error
        except (EgressRefused, httpx.InvalidURL, ValueError) as error:
            raise PrefetchFailed(Failure.REFUSED) from error
        except httpx.HTTPError as error:
            raise PrefetchFailed(Failure.UNREACHABLE, error=type(error).__name__) from error
        return fields_of(answer, prefetch.response_path)

    async def _asked(self, question: Question) -> bytes:
        target = await self._guard.check(question.url)
        # UTF-8, as CRMs of any language read it; HTTP itself knows no encoding of headers.
        headers = httpx.Headers(question.headers, encoding="utf-8")
        headers["Host"] = target.host_header
        headers.setdefault("Accept", "application/json")
        headers["Accept-Encoding"] = "identity"
        # A connection that is kept is known by its address, which other tenants' hosts may share.
        headers["Connection"] = "close"
        # Made without the client, whose cookies are other tenants'.
        request = httpx.Request(
            question.method,
            target.url,
            headers=headers,
            json=question.body,
            extensions={"sni_hostname": target.server_name},
        )
        response = await self._http.send(request, stream=True, follow_redirects=False)
        try:
            if not response.is_success:
                raise PrefetchFailed(Failure.STATUS, status=response.status_code)
            if response.headers.get("Content-Encoding", "identity") != "identity":
                # A small one could become a huge one before it can be measured.
                raise PrefetchFailed(Failure.NOT_JSON)
            answer = bytearray()
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise PrefetchFailed(Failure.TOO_BIG)
            return bytes(answer)
        finally:
            await response.aclose()


def _escaped(value: str) -> str:
    # Nothing but dots would be a step up in the path, escaped or not.
    return quote(value, safe="") if value.strip(".") else ""
