"""Whose a dialled number is: by our own store, or by an external API's word."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from pydantic_core import from_json

from sidecar.configure import SECRET_HEADER
from sidecar.denial import Code, Denied
from sidecar.number_plan import lookup_keys
from sidecar.store import numbers
from sidecar.store.database import Database

MAX_BOT_ID_CHARS = 200


@dataclass(frozen=True, slots=True)
class Answering:
    """Who answers a number, and by which trunk its calls are known to come; "": any."""

    bot_id: str
    trunk_id: str = ""


class NumberSource(Protocol):
    """Finds the bot of a dialled number."""

    async def find(self, tenant_id: str, dialled: str) -> Answering:
        """Return who answers.

        Raises:
            Denied: nobody does, or that cannot be told.
        """


class OwnNumbers:
    """The sidecar's own store."""

    def __init__(self, database: Database, country: str) -> None:
        self._database = database
        self._country = country

    async def find(self, tenant_id: str, dialled: str) -> Answering:
        keys = lookup_keys(dialled, self._country)
        async with self._database.read() as connection:
            row = await numbers.first(connection, tenant_id, keys)
        if row is None or row.bot_id is None:
            raise _unanswered()
        return Answering(row.bot_id, row.trunk_id or "")


class NumberApi:
    """An external API of the family's contract: `sip/lookup`, beside `CONFIG_URL`."""

    def __init__(self, http: httpx.AsyncClient, url: str, secret: str, timeout_s: float) -> None:
        self._http = http
        self._url = lookup_url_of(url)
        self._secret = secret
        self._timeout_s = timeout_s

    async def find(self, tenant_id: str, dialled: str) -> Answering:
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._http.get(
                    self._url,
                    params={"number": dialled},
                    headers={SECRET_HEADER: self._secret},
                    timeout=self._timeout_s,
                )
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise _unavailable({"error": type(error).__name__}) from error
        if response.status_code == 404:
            raise _unanswered()
        if response.status_code != 200:
            raise _unavailable({"status": response.status_code})
        return Answering(_bot_id_of(response))


def lookup_url_of(config_url: str) -> str:
    """Return where an external API tells whose a number is: `sip/lookup`, beside the config.

    `https://host/api/v1/config` has it at `https://host/api/v1/sip/lookup`.
    """
    return str(httpx.URL(config_url.rstrip("/")).join("sip/lookup"))


def _bot_id_of(response: httpx.Response) -> str:
    try:
        found: Any = from_json(response.content, allow_inf_nan=False)
        bot_id = found["bot_id"]
    except (ValueError, KeyError, TypeError) as error:
        raise _unavailable({"error": "its answer names no bot_id"}) from error
    if not isinstance(bot_id, str | int) or len(str(bot_id)) > MAX_BOT_ID_CHARS:
        raise _unavailable({"error": "its bot_id is none"})
    if not str(bot_id):
        raise _unanswered()
    return str(bot_id)


def _unanswered() -> Denied:
    return Denied(Code.BOT_UNKNOWN, "no bot answers the dialled number")


def _unavailable(details: dict[str, Any]) -> Denied:
    message = "the config API does not tell whose the number is"
    return Denied(Code.CONFIG_UNAVAILABLE, message, details=details)
