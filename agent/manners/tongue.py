"""Which language the caller speaks, and whether the bot follows."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

from agent.manners.words import words
from contracts.manners import LanguageManners

_SCRIPTS = {
    "DEVANAGARI": "hi", "BENGALI": "bn", "TAMIL": "ta", "TELUGU": "te", "GUJARATI": "gu",
    "GURMUKHI": "pa", "KANNADA": "kn", "MALAYALAM": "ml", "ORIYA": "or", "ARABIC": "ar",
    "CYRILLIC": "ru", "HANGUL": "ko", "HIRAGANA": "ja", "KATAKANA": "ja", "THAI": "th",
    "HEBREW": "he", "GREEK": "el", "CJK": "zh",
}  # fmt: skip
"""The language that a script stands for where the recogniser names none."""
_KIN = {"mr": "hi", "ne": "hi", "as": "bn", "ur": "ar", "fa": "ar", "uk": "ru", "bg": "ru"}
"""Languages by the one whose script they share."""
_HINDI = frozenset(
    (
        "hai", "hain", "ho", "hoon", "hun", "tha", "thi", "nahi", "nahin", "kya", "kyun", "kyon",
        "kaise", "kab", "kahan", "kaun", "mujhe", "mera", "meri", "mere", "hum", "aap", "aapka",
        "aapki", "tum", "main", "mein", "ka", "ki", "ke", "ko", "se", "par", "aur", "lekin", "agar",
        "toh", "bhi", "karo", "karna", "karni", "kar", "raha", "rahi", "rahe", "gaya", "gayi",
        "chahiye", "batao", "bataiye", "wala", "abhi", "kal", "aaj", "baat", "paise", "paisa",
        "sakta", "sakti", "sakte", "hoga", "hogi", "liye", "dena", "lena", "bolo", "woh", "yeh",
        "ye", "wo", "kuch",
    )
)  # fmt: skip
_ENGLISH = frozenset(
    (
        "the", "a", "an", "is", "are", "am", "was", "were", "be", "i", "you", "he", "she", "it",
        "we", "they", "my", "your", "his", "her", "our", "their", "this", "that", "to", "of", "in",
        "on", "at", "for", "with", "and", "or", "but", "not", "do", "does", "did", "have", "has",
        "had", "can", "could", "would", "will", "what", "when", "where", "why", "how", "who",
        "please", "want", "need", "like", "know", "tell", "about", "from", "there",
    )
)  # fmt: skip
_NAMES = {
    "en": "English", "hi": "Hindi", "bn": "Bengali", "ta": "Tamil", "te": "Telugu",
    "gu": "Gujarati", "pa": "Punjabi", "kn": "Kannada", "ml": "Malayalam", "or": "Odia",
    "mr": "Marathi", "ur": "Urdu", "ar": "Arabic", "ru": "Russian", "ko": "Korean",
    "ja": "Japanese", "th": "Thai", "he": "Hebrew", "el": "Greek", "zh": "Chinese",
    "es": "Spanish", "fr": "French", "de": "German", "it": "Italian", "pt": "Portuguese",
    "nl": "Dutch", "pl": "Polish", "tr": "Turkish", "id": "Indonesian", "vi": "Vietnamese",
    "ne": "Nepali", "as": "Assamese", "fa": "Persian", "uk": "Ukrainian", "bg": "Bulgarian",
}  # fmt: skip
_ENOUGH_WORDS = 3
"""Fewer say "okay" in any language."""


class Tongue:
    """The language of one conversation.

    Args:
        manners: whether it may change, and to what.
        own: the bot's own, as ISO 639: `en`.
    """

    def __init__(self, manners: LanguageManners, own: str) -> None:
        self._manners = manners
        self._own = own
        self._named: Counter[str] = Counter()
        self._has_changed = False
        self.spoken = own
        """What the bot is to speak now."""

    @property
    def standing_order(self) -> str:
        """What the model is told for the whole call, or ""."""
        if self._manners.mode != "lock":
            return ""
        return f"Always answer in {name_of(self._own)}, whatever language the caller speaks."

    @property
    def order(self) -> str:
        """What the model is told for its next answer, or ""."""
        if not self._has_changed:
            return ""
        return f"The caller speaks {name_of(self.spoken)}: answer in {name_of(self.spoken)}."

    def heard(self, text: str, language: str) -> None:
        """Take note of words of the turn, and the language that the recogniser calls them."""
        code = language.replace("_", "-").partition("-")[0].lower()
        if code in _NAMES:
            self._named[code] += len(words(text))

    def take_up(self, turn: str) -> bool:
        """Take the caller's whole turn; return whether the bot's language changes with it."""
        named, self._named = self._named, Counter()
        if self._manners.mode != "switch":
            return False
        found = language_of_words(words(turn), [code for code, _ in named.most_common()])
        allowed = [*self._manners.languages, self._own]
        if found is None or (self._manners.languages and found not in allowed):
            return False
        changed, self.spoken = found != self.spoken, found
        self._has_changed = self._has_changed or changed
        return changed


def language_of_words(said: Sequence[str], named: Sequence[str]) -> str | None:
    """Return the language of a turn, as far as that is clear.

    What is written decides before what the recogniser says: one that knows a single language calls
    everything so.

    Args:
        said: the turn's words, in lower case.
        named: what the recogniser called them, the most frequent first.
    """
    if len(said) < _ENOUGH_WORDS:
        return None
    scripts = Counter(script for word in said if (script := _script(word)) is not None)
    script, count = scripts.most_common(1)[0] if scripts else ("LATIN", 0)
    if 2 * count <= len(said):
        return None
    if script != "LATIN":
        written = _SCRIPTS[script]
        return next((code for code in named if _KIN.get(code, code) == written), written)
    hindi, english = (sum(word in known for word in said) for known in (_HINDI, _ENGLISH))
    if hindi > english and hindi >= 2:
        return "hi"
    latin = [code for code in named if _KIN.get(code, code) not in _SCRIPTS.values()]
    if latin and (latin[0] != "en" or english):
        return latin[0]
    return "en" if english > hindi and english >= 2 else None


def name_of(code: str) -> str:
    """Return a language's English name, or its code."""
    return _NAMES.get(code, code)


def _script(word: str) -> str | None:
    name = unicodedata.name(word[0], "").partition(" ")[0]
    return name if name in _SCRIPTS or name == "LATIN" else None
