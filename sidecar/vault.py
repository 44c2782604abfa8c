"""Secrets that a tenant names instead of telling: `secret://name` is the file of that name.

Bots and trunks keep the reference; what it leads to is read anew each time it is used, so that a
secret can be replaced without anybody saving them again. Files are how containers are given
secrets. Those of a tenant are in the folder of its name; those beside the folders are the default
tenant's, so that an installation without others needs none. Nobody can name another's: whoever
names a secret can have it sent to a place of their own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from contracts.trunk import Trunk
from sidecar.secrecy import SCHEME
from sidecar.store.tables import DEFAULT_TENANT

MAX_BYTES = 4096
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_SECRETS = ("password", "inbound_password")


class SecretMissing(Exception):
    """A reference leads nowhere; the message names it, and is fit to be shown."""


class Vault:
    """Resolves references."""

    def __init__(self, folder: Path | None) -> None:
        """
        Args:
            folder: where the files and the tenants' folders are; None: nowhere.
        """
        self._folder = folder

    def resolve(self, tenant_id: str, value: str) -> str:
        """Return what a tenant's reference leads to; anything else is the secret itself.

        Raises:
            SecretMissing: it has no such file, or nothing fit for a secret in it.
        """
        if not value.startswith(SCHEME):
            return value
        name = value.removeprefix(SCHEME)
        if self._folder is None:
            raise SecretMissing(f"{SCHEME}{name[:100]}: SECRETS_DIR is not set")
        # A name is no path: nothing outside the tenant's folder can be named.
        if not _NAME.fullmatch(name):
            raise SecretMissing("a secret's name has only letters, digits, dots, dashes and _")
        try:
            text = _content(self._folder, tenant_id, name).decode()
        except (OSError, ValueError) as error:
            raise SecretMissing(f"{value}: there is no such secret in SECRETS_DIR") from error
        secret = one_line(text)
        if not secret or len(text) > MAX_BYTES:
            raise SecretMissing(f"{value}: the file holds no secret")
        return secret

    def trunk(self, tenant_id: str, trunk: Trunk) -> Trunk:
        """Return a trunk with its secrets in place.

        Raises:
            SecretMissing: one of them is not there.
        """
        found = {name: self.resolve(tenant_id, getattr(trunk, name)) for name in _SECRETS}
        return trunk.model_copy(update=found)


def one_line(text: str) -> str:
    """Return a secret as the line it is; "" for what is none.

    A JSON object, as Google hands out the keys of service accounts, is put into one.
    """
    secret = text.rstrip("\r\n")
    if secret.isprintable():
        return secret
    try:
        found = json.loads(secret)
    except ValueError:
        return ""
    return json.dumps(found) if isinstance(found, dict) else ""


def _content(folder: Path, tenant_id: str, name: str) -> bytes:
    """Return the start of a secret's file: the tenant's own, else the default tenant's beside.

    Raises:
        OSError: there is none.
    """
    places = [folder / tenant_id] if _NAME.fullmatch(tenant_id) else []
    if tenant_id == DEFAULT_TENANT:
        places.append(folder)
    missing: OSError = FileNotFoundError(name)
    for place in places:
        try:
            with (place / name).open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except OSError as error:
            missing = error
    raise missing
