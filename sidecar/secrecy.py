"""Keeps secrets out of what is shown or kept: masks them going out, restores them coming in."""

from __future__ import annotations

import re
from typing import Any

MASK = "********"
_PLAIN_HEADERS = frozenset({"accept", "accept-language", "content-type", "user-agent"})
"""Any other header a tenant sends may be a key, whatever it is called."""
_VARIABLE = re.compile(r"\{\{[^{}]*\}\}")
_SECRET_KEY = re.compile(
    r"(^|_|-)(secret|token|password|api[_-]?key|authorization)$", re.IGNORECASE
)


def masked(value: Any, under: str = "") -> Any:
    """Return `value` with every non-empty secret in it replaced by `MASK`.

    Args:
        value: a config, or a part of one.
        under: the key that it stands under.
    """
    if isinstance(value, dict):
        return {
            key: MASK if item and _is_secret(key, item, under) else masked(item, key)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value


def restored(value: Any, stored: Any, under: str = "") -> Any:
    """Return `value` with every `MASK` replaced by what `stored` holds in the same place."""
    if isinstance(value, dict):
        known = stored if isinstance(stored, dict) else {}
        return {
            key: known.get(key, "")
            if item == MASK and _is_secret(key, item, under)
            else restored(item, known.get(key), key)
            for key, item in value.items()
        }
    if isinstance(value, list):
        known_items = stored if isinstance(stored, list) else []
        padded = known_items + [None] * (len(value) - len(known_items))
        return [restored(item, old) for item, old in zip(value, padded, strict=False)]
    return value


def _is_secret(key: str, value: Any, under: str) -> bool:
    # A lone variable says where a value comes from, not what it is.
    if not isinstance(value, str) or _VARIABLE.fullmatch(value.strip()):
        return False
    if under == "headers" and key.lower() not in _PLAIN_HEADERS:
        return True
    return _SECRET_KEY.search(key) is not None
