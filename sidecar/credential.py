"""What a CRM push shows for itself: looked up when it is sent, since rows that wait hold none.

Our own bots are read as they are now. A bot from `CONFIG_URL` is asked for again, as for the call:
the snapshot that the call kept has its secrets masked.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from contracts.bot import PostCallPush
from sidecar.configure import ConfigQuery, ConfigSource
from sidecar.denial import Code, Denied
from sidecar.origin import origin_of
from sidecar.store import bots, calls
from sidecar.store.database import Database
from sidecar.store.deliveries import Delivery

PUSH = "push"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")


class HeaderInvalid(ValueError):
    """A header that is set for a push cannot be sent; the message names it, without its value."""


def headers_of(push: PostCallPush) -> dict[str, str]:
    """Return what a push shows for itself.

    Raises:
        HeaderInvalid: not every header that is set can be sent.
    """
    found = dict(push.headers)
    if push.token:
        found = {name: value for name, value in found.items() if name.lower() != "authorization"}
        found["Authorization"] = push.token
    for name, value in found.items():
        if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            raise HeaderInvalid(f"the header {name!r} cannot be sent")
    return found


class PushCredentials:
    """Finds a push's `token` and `headers`."""

    def __init__(self, database: Database, source: ConfigSource) -> None:
        """
        Args:
            database: where our own bots are, and the calls.
            source: where calls have their configs from.
        """
        self._database = database
        self._source = source

    async def headers(self, delivery: Delivery) -> dict[str, str]:
        """Return a push's headers; none for a delivery of another kind.

        None either if the bot is gone, or its push goes to another origin by now: a new place's
        token is not the old one's to see.

        Raises:
            Denied: the config API does not give them out at this moment.
            HeaderInvalid: what is set cannot be sent.
        """
        if delivery.kind != PUSH:
            return {}
        push = await self._push(delivery)
        if push is None or origin_of(push.url) != origin_of(delivery.url):
            return {}
        return headers_of(push)

    async def _push(self, delivery: Delivery) -> PostCallPush | None:
        if self._source.is_per_call:
            return await self._asked_for(delivery)
        async with self._database.read() as connection:
            bot = await bots.get(connection, delivery.tenant_id, delivery.bot_id)
        # Switched off or not: its calls were held, and their results are due.
        found: Any = None if bot is None else bot.config.get("post_call_push")
        try:
            return None if found is None else PostCallPush.model_validate(found)
        except ValidationError:
            # Its text would show what is set, token and all.
            raise HeaderInvalid("post_call_push is not what it should be") from None

    async def _asked_for(self, delivery: Delivery) -> PostCallPush | None:
        async with self._database.read() as connection:
            call = await calls.get(connection, delivery.tenant_id, delivery.call_id)
        if call is None:
            return None
        query = ConfigQuery(
            tenant_id=call.tenant_id,
            bot_id=call.bot_id,
            caller_id=call.caller_id,
            stream_id=call.stream_id,
            connected_event=call.connected_event,
        )
        try:
            return (await self._source.fetch(query)).post_call_push
        except Denied as denied:
            if denied.code is Code.BOT_UNKNOWN:
                return None
            raise
