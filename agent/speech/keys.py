"""Keys that a caller pressed, as a line of the conversation: `[pressed 1 2 3 #]`. Pure."""

from __future__ import annotations

import re

_KEYS = re.compile(r"[0-9*#A-D]+")
_PRESSED = re.compile(r"\[pressed ((?:[0-9*#A-D] ?)+)\]")


def pressed(digits: str) -> str:
    """Return the line that stands for keys."""
    return f"[pressed {' '.join(digits)}]"


def pressed_in(text: str) -> str:
    """Return the keys that a line stands for; "" if it is no such line."""
    match = _PRESSED.fullmatch(text.strip())
    return "" if match is None else match[1].replace(" ", "")


def is_keys(text: str) -> bool:
    """Return whether a word of the rules is made of keys alone."""
    return bool(_KEYS.fullmatch(text))
