"""`compose.yaml` as an engine would read it: anchors merged, variables put in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<word>[^}]*))?\}")


class Unset(Exception):
    """A variable has neither a value nor a default; the message is the file's own."""


def load(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the file with its variables from `environ`.

    Raises:
        Unset: one of them must be set, and is not.
    """
    composition: dict[str, Any] = interpolated(yaml.safe_load(FILE.read_text()), environ)
    return composition


def variables() -> dict[str, str | None]:
    """Return every variable the file reads, with its default; None for one that must be set."""
    found: dict[str, str | None] = {}
    for match in _VARIABLE.finditer(FILE.read_text()):
        found[match["name"]] = match["word"] if match["kind"] == "-" else None
    return found


def interpolated(value: Any, environ: Mapping[str, str]) -> Any:
    """Return a value of the file with the variables in its texts put in."""
    match value:
        case dict():
            return {key: interpolated(item, environ) for key, item in value.items()}
        case list():
            return [interpolated(item, environ) for item in value]
        case str():
            return _VARIABLE.sub(lambda match: _value(match, environ), value)
        case _:
            return value


def _value(match: re.Match[str], environ: Mapping[str, str]) -> str:
    # As in a shell, a colon makes an empty value one that is not set.
    if given := environ.get(match["name"], ""):
        return given
    if match["kind"] == "-":
        return match["word"]
    raise Unset(f"{match['name']}: {match['word']}")
