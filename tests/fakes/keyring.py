"""A keyring for tests that keep no keys with vendors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.keyring import Keyring
from sidecar.store.database import Database
from sidecar.vault import Vault


class Unkeyed(Keyring):
    """Resolves references into one folder, if any, and asks no database for keys."""

    def __init__(self, secrets: Path | None = None, *, trusted: Sequence[str] = ()) -> None:
        super().__init__(Database("sqlite://"), Vault(secrets), trusted=trusted)

    async def load(
        self, tenant_id: str, config: dict[str, Any], connection: AsyncConnection | None = None
    ) -> None:
        """Find none."""
