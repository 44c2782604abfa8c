"""SIP messages as a log may show them: without what proves who somebody is."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(
    rb"^((?:proxy-)?authori[sz]ation|(?:proxy|www)-authenticate|authentication-info)"
    rb"[ \t]*:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*",
    re.IGNORECASE | re.MULTILINE,
)
_KEY = re.compile(rb"^(a=crypto:[^\r\n]*?inline:)[^\r\n]*", re.IGNORECASE | re.MULTILINE)
MAX_CHARACTERS = 4_000


def masked(data: bytes) -> str:
    """Return a message as text, its credentials and media keys masked."""
    shown = _KEY.sub(rb"\1***", _CREDENTIALS.sub(rb"\1: ***", data))
    return shown.decode("utf-8", "replace")[:MAX_CHARACTERS]


def first_line(data: bytes) -> str:
    """Return a request's method or a response's status: what may stand in any log."""
    words = data[:64].decode("ascii", "replace").split(" ")
    word = words[1] if words[0] == "SIP/2.0" and len(words) > 1 else words[0]
    return word if word.isascii() and word.isalnum() and len(word) <= 16 else "?"
