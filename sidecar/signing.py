"""Which secret signs a bot's results: its own, or the platform's; looked up at every use."""

from __future__ import annotations

from sidecar.store import bots
from sidecar.store.database import Database


class SigningSecrets:
    """Secrets of our own bots. A fetched config's own secret is never kept, hence not used."""

    def __init__(self, database: Database, platform_secret: str) -> None:
        self._database = database
        self._platform_secret = platform_secret

    async def signing_secret(self, tenant_id: str, bot_id: str) -> str:
        """Return the bot's `webhook_secret`, else the platform's; "" if there is neither."""
        async with self._database.read() as connection:
            bot = await bots.get(connection, tenant_id, bot_id)
        own = "" if bot is None else str(bot.config.get("webhook_secret") or "")
        return own or self._platform_secret
