"""Which config a call runs on, our own bots' or an external API's, and what its templates say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote

import httpx
from pydantic import ValidationError
from pydantic_core import from_json

from contracts import template
from contracts.bot import BotConfig
from contracts.zone import zone_of
from sidecar.denial import Code, Denied
from sidecar.fault import faults_of
from sidecar.hours import is_open
from sidecar.store import bots
from sidecar.store.database import Database

_SPOKEN = (
    "system_prompt",
    "opening_message",
    "voicemail_message",
    "pre_transfer_message",
    "closing_message",
    "knowledge_fallback_message",
)
_PARTS = ("static_system_prompt", "dynamic_runtime_prompt")
LEG = ("caller_id", "did", "stream_id", "call_direction")
"""What the platform itself knows of a call as `call.*`, unless its door's own word is another."""
SECRET_HEADER = "X-VoxCore-Secret"
OUTSIDE_HOURS_DETAIL = "outside_active_hours"


@dataclass(frozen=True, slots=True)
class ConfigQuery:
    """Whose config, for which call."""

    tenant_id: str
    bot_id: str
    caller_id: str = ""
    stream_id: str = ""
    connected_event: dict[str, Any] = field(default_factory=dict)
    did: str = ""
    call_direction: str = "incoming"


class ConfigSource(Protocol):
    """Finds a bot's config, templates unresolved."""

    @property
    def is_per_call(self) -> bool:
        """Whether a config may be made for one caller, personal data and all."""

    @property
    def url(self) -> str:
        """Where a config is asked for again, once its call is over; "": our own store."""

    @property
    def results_url(self) -> str:
        """Where the results of calls go whose config names no place; "": nowhere."""

    async def fetch(self, query: ConfigQuery) -> BotConfig:
        """Return the config.

        Raises:
            Denied: unknown, unavailable, invalid, or outside hours before any config was seen.
        """


class OwnBots:
    """The sidecar's own store."""

    is_per_call = False
    url = ""
    results_url = ""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch(self, query: ConfigQuery) -> BotConfig:
        async with self._database.read() as connection:
            row = await bots.get(connection, query.tenant_id, query.bot_id)
        if row is None:
            raise Denied(Code.BOT_UNKNOWN, f"there is no bot {query.bot_id!r}")
        config = validated({**row.config, "bot_id": query.bot_id})
        if not config.is_active:
            raise Denied(Code.BOT_UNKNOWN, f"bot {query.bot_id!r} is switched off")
        return config


class ConfigApi:
    """An external API of the family's contract, at `CONFIG_URL`."""

    is_per_call = True

    def __init__(self, http: httpx.AsyncClient, url: str, secret: str, timeout_s: float) -> None:
        self._http = http
        self.url = url.rstrip("/")
        self.results_url = results_url_of(self.url)
        self._secret = secret
        self._timeout_s = timeout_s

    async def fetch(self, query: ConfigQuery) -> BotConfig:
        try:
            # The client times each read alone; an answer that trickles must not hold the slot.
            async with asyncio.timeout(self._timeout_s):
                response = await self._http.get(
                    f"{self.url}/{quote(query.bot_id, safe='')}",
                    params={
                        "caller_id": query.caller_id,
                        "stream_id": query.stream_id,
                        "connected_event": json.dumps(query.connected_event),
                    },
                    headers={SECRET_HEADER: self._secret} if self._secret else {},
                    timeout=self._timeout_s,
                )
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Denied(
                Code.CONFIG_UNAVAILABLE,
                "the config API does not answer",
                details={"error": type(error).__name__},
            ) from error
        return self._config_of(response, query.bot_id)

    def _config_of(self, response: httpx.Response, bot_id: str) -> BotConfig:
        match response.status_code:
            case 200:
                found = {"bot_id": bot_id, **_json_object(response)}
                found["webhook_url"] = found.get("webhook_url") or self.results_url
                return validated(found)
            case 404:
                raise Denied(Code.BOT_UNKNOWN, f"the config API knows no bot {bot_id!r}")
            case 503:
                raise Denied(Code.OUTSIDE_HOURS, "the config API says the bot is closed")
            case status:
                raise Denied(
                    Code.CONFIG_UNAVAILABLE,
                    "the config API answered with an error",
                    details={"status": status},
                )


@dataclass(frozen=True, slots=True)
class Configured:
    """A config for one call, its templates still to be rendered, and every variable at hand.

    Attributes:
        opening_is_fixed: no caller is greeted with other words than the next.
        config_url: where the config came from; "": our own store.
    """

    config: BotConfig
    variables: dict[str, str]
    opening_is_fixed: bool = False
    config_url: str = ""


def prepare(
    config: BotConfig, query: ConfigQuery, now: datetime, *, is_per_call: bool = False
) -> Configured:
    """Return `config` with the variables of a call that starts now."""
    leg = {name: getattr(query, name) for name in LEG}
    variables = template.call_variables(
        query.connected_event,
        defaults=config.variables,
        crm=None,
        now=now.astimezone(zone_of(config.timezone)),
        leg={name: value for name, value in leg.items() if value},
    )
    opening_is_fixed = not is_per_call and not template.has_tokens(config.opening_message)
    return Configured(config, variables, opening_is_fixed)


def rendered(config: BotConfig, variables: Mapping[str, str]) -> BotConfig:
    """Return `config` with everything that is spoken, or told the model, in its final words."""
    changes: dict[str, Any] = {
        name: template.render(getattr(config, name), variables) for name in _SPOKEN
    }
    if (parts := config.prompt_parts) is not None:
        changes["prompt_parts"] = parts.model_copy(
            update={name: template.render(getattr(parts, name), variables) for name in _PARTS}
        )
    if config.re_engagement is not None:
        messages = [template.render(text, variables) for text in config.re_engagement.messages]
        changes["re_engagement"] = config.re_engagement.model_copy(update={"messages": messages})
    detection = config.machine_detection
    line = template.render(detection.screening_message, variables)
    changes["machine_detection"] = detection.model_copy(update={"screening_message": line})
    return config.model_copy(update=changes)


def require_open(config: BotConfig, now: datetime) -> None:
    """Let a call through in the bot's active hours.

    Raises:
        Denied: the bot is closed.
    """
    if not is_open(config.active_hours, now, config.timezone):
        hours = config.active_hours
        raise Denied(
            Code.OUTSIDE_HOURS,
            f"{OUTSIDE_HOURS_DETAIL}: open {hours.start_time}-{hours.end_time} {config.timezone}",
        )


def session_id_of(config: BotConfig, connected_event: dict[str, Any]) -> str:
    """Return the session id somebody outside has chosen for this call, or ""."""
    campaign = connected_event.get("_campaign_session_id")
    return campaign if isinstance(campaign, str) and campaign else config.session_id


def results_url_of(config_url: str) -> str:
    """Return where an external API takes results: `call-results`, beside the config.

    `https://host/api/v1/config` has it at `https://host/api/v1/call-results`.
    """
    return str(httpx.URL(config_url).join("call-results"))


def validated(config: dict[str, Any]) -> BotConfig:
    """Return the config as a model.

    Raises:
        Denied: it is not one; the details name each field.
    """
    try:
        return BotConfig.model_validate(config)
    except ValidationError as error:
        raise Denied(
            Code.CONFIG_INVALID,
            "the bot's config is invalid",
            details={"errors": faults_of(error)},
        ) from error


def _json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        return dict(from_json(response.content, allow_inf_nan=False))
    except (ValueError, TypeError) as error:
        raise Denied(Code.CONFIG_INVALID, "the config API did not answer JSON") from error
