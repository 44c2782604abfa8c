"""In which words a bot says figures: by its voice's language, and by what it has said so far."""

from __future__ import annotations

import re

from agent.speech.saying.english import AMERICAN, BRITISH, INDIAN, English
from agent.speech.saying.hindi import DEVANAGARI, LATIN
from agent.speech.saying.tongue import Tongue

_ENGLISH = {"en": AMERICAN, "en-us": AMERICAN, "en-in": INDIAN}
_SCRIPT = re.compile(r"[\u0904-\u0939\u0958-\u0961]")
_LETTER = re.compile(r"[a-z]", re.IGNORECASE)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ENGLISH_WORDS = _words("""
the is are your you of and for on at in to we i it with will have has been this that
""")
_HINDI_WORDS = _words("""
hai hain ka ki ke ko se mein aap aapka aapki aapke ji haan nahi nahin kya tak par aur ho tha thi
kar karke liye humne hum mera meri yeh woh abhi rupaye baje
""")


class Language:
    """One utterance's.

    A voice in Hindi says figures in the script that is being written: in Latin letters they may be
    Hindi's or English's, by the words around. A voice in English says Hindi where that is written
    in its own script. Of other languages nothing is known.

    Args:
        code: of the voice, as `hi`, `en-IN` or `en`; "" is English.
    """

    def __init__(self, code: str) -> None:
        code = (code or "en").lower().replace("_", "-")
        self._is_hindi = code.split("-")[0] in ("hi", "hinglish")
        self._english: English | None = None
        if code.split("-")[0] == "en":
            self._english = _ENGLISH.get(code, BRITISH)
        self._heard = ""

    def hear(self, text: str) -> None:
        """Take note of what is said next."""
        self._heard += text

    def tongue(self) -> Tongue | None:
        """Return how figures are said at this place; None where nobody here knows."""
        if not self._is_hindi and self._english is None:
            return None
        if _SCRIPT.search(self._heard):
            return DEVANAGARI
        if self._english is not None:
            return self._english
        if not _LETTER.search(self._heard):
            return DEVANAGARI
        words = set(re.findall(r"[a-z]+", self._heard.lower()))
        is_english = words & _ENGLISH_WORDS and not words & _HINDI_WORDS
        return INDIAN if is_english else LATIN
