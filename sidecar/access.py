"""Who is asking: a service by the shared secret, an operator or integrator by an API key."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sidecar.admission import same_secret
from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.store import keys
from sidecar.store.database import Database
from sidecar.store.tables import DEFAULT_TENANT

SECRET_HEADERS = ("X-VoxCore-Secret", "X-CXBCore-Secret", "X-CXB-Core-Secret")
KEY_HEADER = "X-API-Key"
KEY_PREFIX_CHARS = 7
USED_RESOLUTION = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever asks, and what they may see. `bot_ids` None means every bot of the tenant."""

    tenant_id: str
    is_admin: bool
    bot_ids: tuple[str, ...] | None = None

    def sees(self, bot_id: str) -> bool:
        return self.bot_ids is None or bot_id in self.bot_ids

    def require_admin(self) -> None:
        """Let administrators through.

        Raises:
            Denied: this key is not one of theirs.
        """
        if not self.is_admin:
            raise Denied(Code.FORBIDDEN, "this needs an admin key")


class Access:
    """Checks what a request shows."""

    def __init__(
        self, database: Database, *, service_secret: str, admin_key: str, clock: Clock
    ) -> None:
        self._database = database
        self._service_secret = service_secret
        self._admin_key = admin_key
        self._clock = clock

    def require_service(self, headers: Mapping[str, str]) -> str:
        """Let our own services through, and return their tenant.

        Raises:
            Denied: no spelling of the header carries the secret.
        """
        # Every header is compared, so that the time taken does not tell which one was near.
        matches = [
            same_secret(headers.get(name, ""), self._service_secret) for name in SECRET_HEADERS
        ]
        if not any(matches):
            raise Denied(Code.SECRET_WRONG, "the service secret is missing or wrong")
        return DEFAULT_TENANT

    async def integrator(self, headers: Mapping[str, str]) -> Principal:
        """Return who asks by an API key, as a header or a bearer, or one of our own services.

        Raises:
            Denied: what is shown is missing or wrong.
        """
        if any(headers.get(name) for name in SECRET_HEADERS):
            return Principal(self.require_service(headers), is_admin=True)
        return await self.principal(with_bearer(headers))

    async def principal(self, headers: Mapping[str, str]) -> Principal:
        """Return who an API key belongs to.

        Raises:
            Denied: the key is missing, unknown, switched off or expired.
        """
        shown = headers.get(KEY_HEADER, "")
        if not shown:
            raise Denied(Code.KEY_INVALID, f"the {KEY_HEADER} header is missing")
        if self._admin_key and same_secret(shown, self._admin_key):
            return Principal(DEFAULT_TENANT, is_admin=True)
        async with self._database.read() as connection:
            row = await keys.by_hash(connection, hash_of(shown))
        if row is None:
            raise Denied(Code.KEY_INVALID, "the API key is not known")
        now = self._clock()
        if not row.is_active or (row.expires_at is not None and row.expires_at <= now):
            raise Denied(Code.KEY_INACTIVE, "the API key is switched off or expired")
        if row.last_used_at is None or now - row.last_used_at > USED_RESOLUTION:
            async with self._database.transaction() as connection:
                await keys.change(connection, row.tenant_id, row.key_id, {"last_used_at": now})
        return Principal(row.tenant_id, row.is_admin, tuple(row.bot_ids) or None)

    async def still_admits(self, headers: Mapping[str, str]) -> bool:
        """Return whether a key that was let in before would be let in now."""
        try:
            await self.principal(headers)
        except Denied:
            return False
        return True


def with_bearer(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the key where it is looked for, also where it is shown as a bearer."""
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    bearer = {KEY_HEADER: key.strip()} if scheme.lower() == "bearer" else {}
    shown = headers.get(KEY_HEADER)
    return bearer if shown is None else {KEY_HEADER: shown}


def new_key(
    tenant_id: str,
    key_id: str,
    name: str,
    *,
    bot_ids: Sequence[str],
    is_admin: bool,
    expires_at: datetime | None,
    at: datetime,
) -> tuple[str, keys.KeyRow]:
    """Return a new key's text, never seen again, and the row that recognises it."""
    text = f"vx_{secrets.token_urlsafe(24)}"
    row = keys.KeyRow(
        key_id=key_id,
        tenant_id=tenant_id,
        name=name,
        key_prefix=text[:KEY_PREFIX_CHARS],
        key_sha256=hash_of(text),
        bot_ids=list(bot_ids),
        is_admin=is_admin,
        is_active=True,
        created_at=at,
        expires_at=expires_at,
        last_used_at=None,
    )
    return text, row


def hash_of(key: str) -> str:
    """Return what is stored of a key."""
    return sha256(key.encode()).hexdigest()
