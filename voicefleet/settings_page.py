"""`python -m voicefleet.settings_page`: writes `docs/settings.md` from the settings classes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from agent.settings import AgentSettings
from bridges.settings import Settings as BridgeSettings
from bridges.sip.settings import SipSettings
from sidecar.settings import Settings as SidecarSettings
from voicefleet.settings import FleetSettings

PAGE = Path("docs/settings.md")
CLASSES: dict[str, type[BaseSettings]] = {
    "sidecar": SidecarSettings,
    "bridge": BridgeSettings,
    "sip": SipSettings,
    "agent": AgentSettings,
    "voicefleet": FleetSettings,
}

_HEAD = """# Settings

Every setting is an environment variable; each process reads its own when it starts. This page is
made by `python -m voicefleet.settings_page` from the settings classes, and a test compares.

`voicefleet up` starts all parts on one machine and sets what they need to find one another; the
secrets it makes are in `.voicefleet/secrets.env`. What is set in the environment wins, but for
addresses and ports of the parts, which follow `LIVEKIT_PORT`, `SIDECAR_PORT` and `BRIDGE_PORT`.
For its one machine it also sets `ALLOW_PRIVATE_VENDORS`, `ALLOW_PRIVATE_WEBHOOKS` and
`STREAM_ANONYMOUS` to true, and both drain times to 10 s.
"""
_INTROS = {
    "sidecar": "`python -m sidecar`: the control plane.",
    "bridge": "`python -m bridges`: carrier streams into LiveKit rooms.",
    "sip": "`python -m bridges.sip`: calls of carriers, PBXs and phones, and the media processes"
    " under it.",
    "agent": "`python -m agent`: the conversations.",
    "voicefleet": "`voicefleet …`: the command line.",
}


def names_of(name: str, field: FieldInfo) -> list[str]:
    """Return the environment variables that set a field, the preferred one first."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [str(alias or name).upper()]


def all_names() -> set[str]:
    """Return every environment variable that any part reads as a setting."""
    return {
        each
        for settings in CLASSES.values()
        for name, field in settings.model_fields.items()
        for each in names_of(name, field)
    }


def page() -> str:
    """Return the page's text."""
    parts = [_HEAD]
    for part, settings in CLASSES.items():
        rows = [_row(name, field) for name, field in settings.model_fields.items()]
        table = ["| variable | default | what it does |", "| --- | --- | --- |", *rows]
        parts.append("\n".join([f"## {part}", "", _INTROS[part], "", *table, ""]))
    return "\n".join(parts)


def _row(name: str, field: FieldInfo) -> str:
    first, *others = names_of(name, field)
    description = (field.description or "").replace("|", "\\|")
    if others:
        description += f" Also read as {', '.join(f'`{other}`' for other in others)}."
    return f"| `{first}` | {_default(field)} | {description} |"


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, list | tuple):
        value = ",".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, float):
        value = f"{value:g}"
    return f"`{value}`" if value not in ("", None) else "unset"


def main() -> None:
    PAGE.write_text(page())
    sys.stderr.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
