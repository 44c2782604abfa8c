"""Signatures by Standard Webhooks: which secrets sign a bot's deliveries, and what they make.

Several secrets, newest first, mean one is being replaced by another: each signs, and a receiver
that knows any of them is content.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks.webhooks import Webhook

from sidecar.secrecy import revealed
from sidecar.store import bots
from sidecar.store.database import Database
from sidecar.vault import SecretMissing, Vault

PREFIX = "whsec_"
LEAST_BYTES = 16
"""Shorter ones can be guessed from one signature."""
MOST_SECRETS = 5
_BETWEEN = re.compile(r"[\s,]+")


class SecretInvalid(ValueError):
    """Nothing can be signed with this; the message says why, without the secret."""


class SigningSecrets:
    """Secrets of our own bots. A fetched config's own secret is never kept, hence not used."""

    def __init__(self, database: Database, platform_secret: str, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._platform_secret = platform_secret

    async def signing_secrets(self, tenant_id: str, bot_id: str) -> list[str]:
        """Return the bot's `webhook_secret`, else the platform's; none if there is neither.

        Raises:
            SecretInvalid: they are not secrets.
        """
        async with self._database.read() as connection:
            bot = await bots.get(connection, tenant_id, bot_id)
        own = "" if bot is None else str(bot.config.get("webhook_secret") or "")
        try:
            named = revealed(
                {"webhook_secret": own}, lambda _, name: self._vault.resolve(tenant_id, name)
            )
        except SecretMissing as missing:
            raise SecretInvalid(str(missing)) from missing
        return secrets_of(named["webhook_secret"]) or secrets_of(self._platform_secret)


def secrets_of(text: str) -> list[str]:
    """Return the secrets in a setting: one or several, separated by spaces or commas.

    Raises:
        SecretInvalid: one of them is none.
    """
    found = [word for word in _BETWEEN.split(text) if word]
    if len(found) > MOST_SECRETS:
        raise SecretInvalid(f"more than {MOST_SECRETS} secrets")
    for number, secret in enumerate(found, 1):
        _check(secret, f"secret {number} of {len(found)}")
    return found


def signature_of(secrets: Sequence[str], delivery_id: str, at: datetime, body: str) -> str:
    """Return the value of `webhook-signature`: one signature by each secret."""
    return " ".join(Webhook(secret).sign(delivery_id, at, body) for secret in secrets)


def _check(secret: str, which: str) -> None:
    if not secret.startswith(PREFIX):
        raise SecretInvalid(f"{which} does not begin with {PREFIX}")
    encoded = secret.removeprefix(PREFIX)
    try:
        # Receivers' libraries decode strictly; padding may be left out.
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SecretInvalid(f"{which} is not base64 after {PREFIX}") from error
    if len(key) < LEAST_BYTES:
        raise SecretInvalid(f"{which} has fewer than {LEAST_BYTES} bytes")
