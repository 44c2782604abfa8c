"""What a delivery shows for itself: looked up when it is sent, since rows that wait hold none.

Our own bots are read as they are now. One of another control plane is asked for again, as for the
call: the snapshot that the call kept has its secrets masked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from contracts.bot import ExotelApi, PostCallPush
from sidecar import exotel_hang_up
from sidecar.configure import ConfigQuery, ConfigSource
from sidecar.denial import Code, Denied
from sidecar.keyring import Keyring
from sidecar.origin import origin_of
from sidecar.store import bots, calls
from sidecar.store.database import Database
from sidecar.store.deliveries import Delivery
from sidecar.vault import SecretMissing

PUSH = "push"
Model = TypeVar("Model", bound=BaseModel)
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


class Credentials:
    """Finds a push's `token` and `headers`, and a hang-up's account."""

    def __init__(
        self, database: Database, source_at: Callable[[str], ConfigSource], keyring: Keyring
    ) -> None:
        """
        Args:
            database: where our own bots are, and the calls.
            source_at: reaches the control plane at an address.
            keyring: finds the secrets that bots name instead of telling.
        """
        self._database = database
        self._source_at = source_at
        self._keyring = keyring

    async def headers(self, delivery: Delivery) -> dict[str, str]:
        """Return a delivery's headers; none for one that has nothing to show.

        None either if the bot is gone, or its push goes to another origin by now: a new place's
        token is not the old one's to see.

        Raises:
            Denied: the config API does not give them out at this moment.
            HeaderInvalid: what is set cannot be sent.
        """
        if delivery.kind in exotel_hang_up.KINDS:
            return await self._of_hang_up(delivery)
        return await self._of_push(delivery) if delivery.kind == PUSH else {}

    async def _of_push(self, delivery: Delivery) -> dict[str, str]:
        push = await self._setting(delivery, "post_call_push", PostCallPush)
        if push is None or origin_of(push.url) != origin_of(delivery.url):
            return {}
        return headers_of(push)

    async def _of_hang_up(self, delivery: Delivery) -> dict[str, str]:
        api = await self._setting(delivery, "exotel_api", ExotelApi)
        if api is None or not exotel_hang_up.is_of(api, delivery):
            raise HeaderInvalid("the bot has this Exotel account no more")
        return {"Authorization": exotel_hang_up.authorization(api.api_key, api.api_token)}

    async def _setting(self, delivery: Delivery, name: str, model: type[Model]) -> Model | None:
        found, config_url = await self._found(delivery, name)
        if found is None:
            return None
        try:
            setting = model.model_validate(found)
            return self._keyring.revealed(delivery.tenant_id, setting, config_url)
        except SecretMissing as missing:
            raise HeaderInvalid(str(missing)) from missing
        except ValidationError:
            # Its text would show what is set, token and all.
            raise HeaderInvalid(f"{name} is not what it should be") from None

    async def _found(self, delivery: Delivery, name: str) -> tuple[Any, str]:
        """Return a setting as it was written, or as a model, and which control plane's it is.

        None where there is none; "" for our own.
        """
        async with self._database.read() as connection:
            call = await calls.get(connection, delivery.tenant_id, delivery.call_id)
            if call is None or not call.config_url:
                bot = await bots.get(connection, delivery.tenant_id, delivery.bot_id)
                # Switched off or not: its calls were held, and their results are due.
                return None if bot is None else bot.config.get(name), ""
        query = ConfigQuery(
            tenant_id=call.tenant_id,
            bot_id=call.bot_id,
            caller_id=call.caller_id,
            stream_id=call.stream_id,
            connected_event=call.connected_event,
        )
        try:
            config = await self._source_at(call.config_url).fetch(query)
            return getattr(config, name), call.config_url
        except Denied as denied:
            if denied.code is Code.BOT_UNKNOWN:
                return None, ""
            raise
