"""Whether words can be the end of a sentence: "I would like to book a" cannot.

The turn model hears melody, not words, and a caller who searches for one often sounds finished.
Only words that hardly ever end a sentence count, since a wrong guess costs the caller a wait.
"""

from __future__ import annotations

_ENGLISH = [
    "a",
    "an",
    "the",
    "my",
    "your",
    "our",
    "their",
    "and",
    "or",
    "but",
    "because",
    "if",
    "than",
]
_HINDI = ["और", "या", "लेकिन", "मगर", "क्योंकि", "कि", "अगर", "मेरा", "मेरी", "मेरे"]
_HINDI_IN_LATIN = ["aur", "lekin", "magar", "kyunki", "agar", "mera", "meri", "mere"]
_SEARCHING = ["um", "uh", "er"]
_NEVER = frozenset([*_ENGLISH, *_HINDI, *_HINDI_IN_LATIN, *_SEARCHING])
_ENDS = ".!…।"


def is_open(text: str) -> bool:
    """Return whether a sentence that breaks off here is bound to go on."""
    words = text.strip().lower()
    if not words or words.endswith("?"):
        return False
    if words.endswith((",", "-", "…")):
        return True
    last = words.rstrip(_ENDS).rpartition(" ")[2].strip("'\"")
    return last in _NEVER
