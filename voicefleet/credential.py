"""The secrets of a local installation: made once, kept in `secrets.env` for its owner alone."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from pathlib import Path

FILE_NAME = "secrets.env"


def load_or_create(
    folder: Path, random_bytes: Callable[[int], bytes] = os.urandom
) -> dict[str, str]:
    """Return the secrets by environment name; missing ones are made and added to the file."""
    path = folder / FILE_NAME
    known = parse(path.read_text()) if path.exists() else {}
    secrets = {**make(random_bytes), **known}
    if secrets != known:
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.chmod(0o600)
        partial.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
        partial.replace(path)
    return secrets


def parse(text: str) -> dict[str, str]:
    """Return the `NAME=value` lines; others are comments."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def make(random_bytes: Callable[[int], bytes]) -> dict[str, str]:
    """Return a fresh set."""
    return {
        "LIVEKIT_API_KEY": f"vf{random_bytes(6).hex()}",
        "LIVEKIT_API_SECRET": random_bytes(32).hex(),
        "VOXCORE_SECRET": random_bytes(32).hex(),
        # The prefix and base64 are Standard Webhooks' form.
        "RESULT_SIGNING_SECRET": f"whsec_{base64.b64encode(random_bytes(32)).decode()}",
        "ADMIN_API_KEY": f"vx_{random_bytes(24).hex()}",
    }


def environ_with(secrets: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with the secrets it lacks; what is already set wins."""
    return {**secrets, **{name: value for name, value in environ.items() if value}}
