"""What a bot's config is completed with where it is used, and never where it is kept.

That is the tenant's own key where the bot names none, and what `secret://…` references lead to.
Configs from places that the operator has not named get neither: whoever makes such a config would
choose where the secrets are sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.bot import BotConfig
from contracts.vendor.llm import LLM
from contracts.vendor.option import Complaint
from contracts.vendor.realtime import REALTIME
from contracts.vendor.stt import STT
from contracts.vendor.tts import TTS
from sidecar.fault import faults_of
from sidecar.origin import origin_of
from sidecar.secrecy import Path, revealed
from sidecar.store import vendor_keys
from sidecar.store.database import Database
from sidecar.vault import SecretMissing, Vault

log = structlog.get_logger(__name__)

_KEYLESS = frozenset({"offline", "rules"})
PROVIDERS = tuple(sorted({*STT, *LLM, *TTS, *REALTIME} - _KEYLESS))
"""The vendors that a tenant may keep a key for."""
_ENGINES = ("stt", "llm", "tts", "realtime")

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Completed:
    """A config with its secrets in place, and which of them are missing.

    Those are left empty in it, but where that would make it none.
    """

    config: BotConfig
    missing: list[Complaint]


class Keyring:
    """The tenants' secrets. One per process."""

    def __init__(self, database: Database, vault: Vault, *, trusted: Sequence[str] = ()) -> None:
        """
        Args:
            database: where tenants' keys are.
            vault: where references lead.
            trusted: URLs of other control planes whose configs may name secrets kept here.
        """
        self._database = database
        self._vault = vault
        self._trusted = frozenset(map(origin_of, trusted)) - {""}
        self._keys: dict[str, dict[str, str]] = {}

    async def load(
        self, tenant_id: str, config: dict[str, Any], connection: AsyncConnection | None = None
    ) -> None:
        """Look a tenant's keys up for `completed`, where a config has to do with them.

        Args:
            tenant_id: whose they are.
            config: as it is kept.
            connection: what to look them up by; None: one of its own.
        """
        if not _lacks_keys(config):
            return
        if connection is None:
            async with self._database.read() as own:
                return await self.load(tenant_id, config, own)
        rows = await vendor_keys.listed(connection, tenant_id)
        self._keys[tenant_id] = {row.provider: row.api_key for row in rows}

    def completed(self, tenant_id: str, config: dict[str, Any], config_url: str = "") -> Completed:
        """Return a config with its secrets in place, the tenant's keys being those last loaded.

        Args:
            tenant_id: whose it is.
            config: as it is kept.
            config_url: the control plane that made it; "": our own.
        """
        is_trusted = self._trusts(config_url)
        keys = self._keys.get(tenant_id, {}) if is_trusted else {}
        missing: dict[Path, str] = {}
        unfit: list[Path] = []

        def find(path: Path, reference: str) -> str:
            if any(path[: len(each)] == each for each in unfit):
                missing.setdefault(path, "holds a secret that cannot be used")
                return reference
            try:
                return self._resolve(tenant_id, reference, is_trusted=is_trusted)
            except SecretMissing as error:
                missing[path] = str(error)
                return ""

        keyed = _with_keys(config, keys)
        try:
            found = BotConfig.model_validate(revealed(keyed, find))
        except ValidationError as error:
            # What is neither to be empty nor to hold such a secret stays as it was written.
            unfit = [tuple(map(str, each["loc"])) for each in faults_of(error)]
            found = BotConfig.model_validate(revealed(keyed, find))
        complaints = [Complaint(".".join(path), message) for path, message in missing.items()]
        return Completed(found, complaints)

    def for_use(self, tenant_id: str, config: dict[str, Any], config_url: str = "") -> BotConfig:
        """Return the same for a call that has been let in: what has vanished since is logged."""
        completed = self.completed(tenant_id, config, config_url)
        if completed.missing:
            fields = [each.field for each in completed.missing]
            log.warning("secrets_missing", bot_id=completed.config.bot_id, fields=fields)
        return completed.config

    def revealed(self, tenant_id: str, part: Model, config_url: str = "") -> Model:
        """Return one part of a config with what its references lead to in place.

        Raises:
            SecretMissing: one of them leads nowhere.
        """
        is_trusted = self._trusts(config_url)

        def find(_: tuple[str, ...], reference: str) -> str:
            return self._resolve(tenant_id, reference, is_trusted=is_trusted)

        return type(part).model_validate(revealed(part.model_dump(mode="json"), find))

    def _trusts(self, config_url: str) -> bool:
        return not config_url or origin_of(config_url) in self._trusted

    def _resolve(self, tenant_id: str, reference: str, *, is_trusted: bool) -> str:
        if not is_trusted:
            raise SecretMissing(f"{reference}: a config from elsewhere may name no secret here")
        return self._vault.resolve(tenant_id, reference)


def _with_keys(config: dict[str, Any], keys: dict[str, str]) -> dict[str, Any]:
    """Return a config whose vendors have the tenant's keys where it brings none of its own."""
    if not keys:
        return config

    def keyed(part: dict[str, Any]) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        if others := _others(part):
            changes["fallbacks"] = [keyed(other) for other in others]
        if _lacks_key(part):
            changes["api_key"] = keys.get(part["provider"], "")
        return {**part, **changes}

    return {**config, **{name: keyed(config[name]) for name in _ENGINES if config.get(name)}}


def _lacks_keys(config: dict[str, Any]) -> bool:
    engines = [config[name] for name in _ENGINES if config.get(name)]
    return any(_lacks_key(each) or any(map(_lacks_key, _others(each))) for each in engines)


def _lacks_key(engine: dict[str, Any]) -> bool:
    # A server of one's own is not shown the vendor's key.
    return engine["provider"] in PROVIDERS and not (engine["api_key"] or engine["base_url"])


def _others(engine: dict[str, Any]) -> list[dict[str, Any]]:
    return engine.get("fallbacks") or []
