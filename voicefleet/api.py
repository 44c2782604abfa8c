"""The sidecar's operator API, as the command line uses it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx

from contracts.event import Event

_TIMEOUT_S = 10.0
_READING_S = 300.0
"""A long document, behind others that are being read."""


class ApiError(Exception):
    """The sidecar answered no.

    Attributes:
        status: the HTTP status.
        code: its stable slug.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ApiUnavailable(Exception):
    """No sidecar answers at this address. Attribute `url` says which."""

    def __init__(self, url: str) -> None:
        super().__init__(f"no sidecar answers at {url}")
        self.url = url


class SidecarApi:
    """One connection to one sidecar, with an operator's key."""

    def __init__(
        self, url: str, key: str, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers={"X-API-Key": key},
            timeout=_TIMEOUT_S,
            transport=transport,
            # The sidecar is ours and near; a proxy from the environment would be in the way.
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def bots(self) -> list[dict[str, Any]]:
        """Return every bot, without its config's secrets."""
        return list((await self._get("/api/v1/bots"))["bots"])

    async def bot(self, bot_id: str) -> dict[str, Any]:
        """Return one bot."""
        return await self._get(f"/api/v1/bots/{bot_id}")

    async def save_bot(self, bot_id: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Make a bot, or the next version of one."""
        response = await self._request("PUT", f"/api/v1/bots/{bot_id}", json=dict(config))
        return dict(response.json())

    async def knowledge_bases(self) -> list[dict[str, Any]]:
        """Return every knowledge base."""
        return list((await self._get("/api/v1/knowledge-bases"))["knowledge_bases"])

    async def make_knowledge_base(self, name: str) -> dict[str, Any]:
        """Make an empty knowledge base."""
        made = await self._request("POST", "/api/v1/knowledge-bases", json={"name": name})
        return dict(made.json())

    async def documents(self, kb_id: str) -> list[dict[str, Any]]:
        """Return the documents of a knowledge base."""
        return list((await self._get(f"/api/v1/knowledge-bases/{kb_id}/documents"))["documents"])

    async def add_document(self, kb_id: str, filename: str, content: bytes) -> dict[str, Any]:
        """Add a document, and return it once it is read."""
        added = await self._request(
            "POST",
            f"/api/v1/knowledge-bases/{kb_id}/documents",
            params={"filename": filename},
            content=content,
            timeout=_READING_S,
        )
        return dict(added.json())

    async def search_knowledge(self, kb_id: str, query: str) -> list[dict[str, Any]]:
        """Return the passages that answer a question best, as bots get them."""
        path = f"/api/v1/knowledge-bases/{kb_id}/search"
        found = await self._request("POST", path, json={"query": query})
        return list(found.json()["passages"])

    async def give_number(self, number: str, bot_id: str) -> bool:
        """Let a bot answer a number; return False where it has been given away already."""
        try:
            await self._request(
                "POST", "/api/v1/numbers", json={"number": number, "bot_id": bot_id}
            )
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        return True

    async def calls(self, **query: str | int) -> list[dict[str, Any]]:
        """Return the newest calls first."""
        return list((await self._get("/api/v1/calls", query))["calls"])

    async def call_id_of(self, name: str) -> str:
        """Return the id of the call whose session is so called; `name` itself where none is."""
        found = await self.calls(session_id=name, limit=1)
        return str(found[0]["call_id"]) if found else name

    async def call(self, call_id: str) -> dict[str, Any]:
        """Return one call."""
        return await self._get(f"/api/v1/calls/{call_id}")

    async def result(self, call_id: str) -> dict[str, Any]:
        """Return a call's latest result."""
        return await self._get(f"/api/v1/calls/{call_id}/result")

    async def deliveries(self, **query: str | int | list[str]) -> list[dict[str, Any]]:
        """Return the newest deliveries first, each with its attempts."""
        return list((await self._get("/api/v1/deliveries", query))["deliveries"])

    async def delivery(self, delivery_id: str) -> dict[str, Any]:
        """Return one delivery, body and all."""
        return await self._get(f"/api/v1/deliveries/{delivery_id}")

    async def replay(self, delivery_id: str) -> None:
        """Make one delivery once more."""
        await self._request("POST", f"/api/v1/deliveries/{delivery_id}/replay")

    async def replay_those(self, wanted: Mapping[str, Any]) -> int:
        """Make every delivery once more that is meant; return how many."""
        response = await self._request("POST", "/api/v1/deliveries/replay", json=dict(wanted))
        return int(response.json()["replayed"])

    async def fleet(self) -> dict[str, Any]:
        """Return `/health/fleet`."""
        return await self._get("/health/fleet")

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[Event]]:
        """Open the event stream; yields its events from now on, until the sidecar ends it."""
        # Silence is ordinary here; the sidecar's pings come more often than that.
        timeout = httpx.Timeout(_TIMEOUT_S, read=60.0)
        try:
            async with self._http.stream("GET", "/api/v1/events", timeout=timeout) as response:
                if response.is_error:
                    await response.aread()
                    raise _error(response)
                yield self._events_of(response)
        except httpx.TransportError as error:
            raise ApiUnavailable(self.url) from error

    async def _events_of(self, response: httpx.Response) -> AsyncIterator[Event]:
        try:
            async for data in _event_data(response.aiter_lines()):
                yield Event.model_validate_json(data)
        except httpx.TransportError as error:
            raise ApiUnavailable(self.url) from error

    async def _get(
        self, path: str, query: Mapping[str, str | int | list[str]] | None = None
    ) -> dict[str, Any]:
        return dict((await self._request("GET", path, params=query)).json())

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise ApiUnavailable(self.url) from error
        if response.is_error:
            raise _error(response)
        return response


async def _event_data(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield the data of each server-sent event; comments and other fields are passed over."""
    data: list[str] = []
    async for line in lines:
        field, _, value = line.partition(":")
        if field == "data":
            data.append(value.removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data.clear()


def _error(response: httpx.Response) -> ApiError:
    try:
        error = response.json()["error"]
        return ApiError(response.status_code, error["code"], _with_fields(error))
    except (ValueError, KeyError, TypeError):
        text = response.text[:200] or response.reason_phrase
        return ApiError(response.status_code, "", text)


def _with_fields(error: Mapping[str, Any]) -> str:
    """Return the message, and which fields of a body were at fault."""
    details = error.get("details") or {}
    faults = [
        f"{'.'.join(map(str, fault.get('loc', [])))}: {fault.get('msg', '')}"
        for fault in details.get("errors", [])
        if isinstance(fault, dict)
    ]
    # Of one field that is at fault the message says the same.
    return "\n  ".join(dict.fromkeys([str(error["message"]), *faults]))


def dumped(payload: Mapping[str, Any]) -> str:
    """Return JSON as people read it."""
    return json.dumps(payload, indent=2, ensure_ascii=False)
