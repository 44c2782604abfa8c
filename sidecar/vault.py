"""Secrets that a tenant names instead of telling: `secret://name` is the file of that name.

Trunks keep the reference; what it leads to is read anew each time it is used, so that a secret can
be replaced without anybody saving a trunk again. Files are how containers are given secrets.
"""

from __future__ import annotations

import re
from pathlib import Path

from contracts.trunk import Trunk

SCHEME = "secret://"
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
            folder: where the files are; None: nowhere.
        """
        self._folder = folder

    def resolve(self, value: str) -> str:
        """Return what a reference leads to; anything else is the secret itself.

        Raises:
            SecretMissing: there is no such file, or nothing fit for a secret in it.
        """
        if not value.startswith(SCHEME):
            return value
        name = value.removeprefix(SCHEME)
        if self._folder is None:
            raise SecretMissing(f"{SCHEME}{name[:100]}: SECRETS_DIR is not set")
        # A name is no path: nothing outside the folder can be named.
        if not _NAME.fullmatch(name):
            raise SecretMissing("a secret's name has only letters, digits, dots, dashes and _")
        try:
            with (self._folder / name).open("rb") as file:
                text = file.read(MAX_BYTES + 1).decode()
        except (OSError, ValueError) as error:
            raise SecretMissing(f"{value}: there is no such secret in SECRETS_DIR") from error
        secret = text.rstrip("\r\n")
        if not secret or len(text) > MAX_BYTES or not secret.isprintable():
            raise SecretMissing(f"{value}: the file holds no secret")
        return secret

    def trunk(self, trunk: Trunk) -> Trunk:
        """Return a trunk with its secrets in place.

        Raises:
            SecretMissing: one of them is not there.
        """
        found = {name: self.resolve(getattr(trunk, name)) for name in _SECRETS}
        return trunk.model_copy(update=found)
