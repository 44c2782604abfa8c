"""Bots in YAML files: read, checked, and stored in the sidecar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from contracts.bot import BotConfig
from sidecar.fault import faults_of
from sidecar.secrecy import masked
from voicefleet.api import ApiError, SidecarApi


class BotInvalid(Exception):
    """A file is not a bot; the message says which and why."""


def load_bot(path: Path) -> dict[str, Any]:
    """Return a file's config as written, with `bot_id` from the file's name if it has none.

    Raises:
        BotInvalid: it cannot be read, or would be refused.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise BotInvalid(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise BotInvalid(f"{path}: not a mapping")
    config = {"bot_id": path.stem, **content}
    try:
        BotConfig.model_validate(config)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in faults_of(error)]
        raise BotInvalid("\n  ".join([f"{path}:", *faults])) from error
    return config


def bot_files(folder: Path) -> list[Path]:
    """Return the bots of a folder, by name."""
    return sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])


async def import_bots(
    api: SidecarApi, paths: Sequence[Path], *, only_changed: bool = False
) -> list[dict[str, Any]]:
    """Store each file's bot, and return those stored, as the sidecar shows them.

    With `only_changed`, a bot that already is as its file says makes no new version.
    """
    stored = []
    for path in paths:
        config = load_bot(path)
        bot_id = str(config["bot_id"])
        if not (only_changed and await _is_current(api, bot_id, config)):
            stored.append(await api.save_bot(bot_id, config))
    return stored


async def _is_current(api: SidecarApi, bot_id: str, config: dict[str, Any]) -> bool:
    # The sidecar shows no secrets, so a config that has some can't be compared.
    if masked(config) != config:
        return False
    try:
        return bool((await api.bot(bot_id))["config"] == config)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
