"""A bot's widget on somebody's page: who may open it, and what a visitor may tell the bot.

Its key stands in the page, so what keeps a crowd out is the list of origins, which browsers obey,
and the quotas, which everybody has to.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from contracts.bot import BotConfig
from sidecar.admission import same_secret
from sidecar.clock import Clock
from sidecar.configure import LEG, ConfigQuery, ConfigSource
from sidecar.denial import Code, Denied
from sidecar.fault import unfit
from sidecar.quota import Quota, asker_of
from sidecar.trunk_pace import Empty

MAX_FACTS = 50
MAX_FACTS_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Knock:
    """A visitor at a widget's door.

    Attributes:
        origin: where the page is from, by the browser's word; "" if it is no browser.
        address: the visitor's.
    """

    bot_id: str
    key: str
    origin: str
    address: str


class WidgetDoor:
    """Lets visitors of bots' pages through."""

    def __init__(
        self, configs: ConfigSource, *, per_address: int, per_bot: int, clock: Clock
    ) -> None:
        """Make it.

        Args:
            configs: where bots' keys and origins are.
            per_address: visits a minute from one address.
            per_bot: visits a minute to one bot.
            clock: where the time comes from.
        """
        self._configs = configs
        self._addresses = Quota(per_address)
        self._bots = Quota(per_bot)
        self._clock = clock

    async def admit(self, tenant_id: str, knock: Knock) -> BotConfig:
        """Let a visitor in, and return whom they visit.

        Raises:
            Denied: the bot, its key or the page's origin is wrong, or they come too often.
        """
        # First of all, so that guessing is counted, and costs no look into the store.
        self._count(self._addresses, asker_of(knock.address))
        config = await self._configs.fetch(ConfigQuery(tenant_id, knock.bot_id))
        if not config.widget_api_key:
            raise Denied(Code.KEY_INVALID, "this bot has no widget")
        if not same_secret(knock.key, config.widget_api_key):
            raise Denied(Code.KEY_INVALID, "this is not the key of the bot's widget")
        if not is_allowed(knock.origin, config.widget_allowed_origins):
            raise Denied(Code.ORIGIN_REFUSED, "the bot's widget may not be on this page")
        self._count(self._bots, knock.bot_id)
        return config

    def _count(self, quota: Quota, name: str) -> None:
        try:
            quota.take(name, self._clock())
        except Empty as error:
            retry_after_s = math.ceil(error.wait_s)
            raise Denied(
                Code.TOO_MANY, "too many calls were asked for", retry_after_s=retry_after_s
            ) from error


def is_allowed(origin: str, allowed: Sequence[str]) -> bool:
    """Return whether pages from an origin may have the widget; without a list all may."""
    if not allowed or origin in allowed:
        return True
    try:
        url = urlsplit(origin)
        host = url.hostname or ""
    except ValueError:
        return False
    suffixes = [entry[1:] for entry in allowed if entry.startswith("*.")]
    return url.scheme == "https" and any(host.endswith(suffix) for suffix in suffixes)


def told(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return what a bot may be told by a visitor: facts of theirs, and no key that steers a call.

    Raises:
        Denied: it is too much.
    """
    # Those with an underscore choose a session's name, leave a CRM unasked, or speak for it.
    facts = {key: value for key, value in metadata.items() if _is_fact(key)}
    if len(facts) > MAX_FACTS or len(json.dumps(facts).encode()) > MAX_FACTS_BYTES:
        raise unfit("metadata", f"at most {MAX_FACTS} entries and {MAX_FACTS_BYTES} bytes")
    return facts


def _is_fact(key: str) -> bool:
    # Bots, and the CRMs they ask, go by a caller's number: it is not for a visitor to choose.
    return not key.startswith(("_", "sip_")) and key not in LEG
