"""Words as a search compares them: the same term for each form of a word, in ASCII.

Both databases' full-text searches are given these and nothing else, so that they find the same:
their own rules differ, and neither's knows Hindi. English and Hindi lose their commonest endings,
numbers are written in one way, and what is not ASCII is spelt in hexadecimal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

MAX_WORD_CHARS = 40
LEAST_PREFIX_CHARS = 4
"""Shorter words begin too many others."""
_LETTER_HEX = 6

_JOINERS = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2019'\u00ad\u093c\u0903"))
"""What may stand in a word and changes nothing: apostrophes, the nukta, the visarga."""
_CANDRABINDU = {0x0901: 0x0902}
_DIGITS = {
    at: str(unicodedata.decimal(chr(at))) for at in range(0x0660, 0x0E00) if chr(at).isdecimal()
}
_SPELLING = _JOINERS | _CANDRABINDU | _DIGITS
_GROUPED = re.compile(r"(?<=\d),(?=\d{2,3}(?!\d))")
# Python's \w knows no vowel signs: those of India's scripts stand in one block each, dandas apart.
_WORD = re.compile(r"\d+|(?:[^\W\d_]|[\u0300-\u036f\u0900-\u0963\u0970-\u0dff])+")

_STOP_WORDS = """
a about an and any are as at be been but by can could did do does for from had has have he her
his how i if in into is it its just me my of on or our please she should so tell that the
their them there they this to us want was we were what when where which who why will with
would you your
का की के को में से पर है हैं था थी थे हो और या एक यह वह ये वे इस उस कि जो तो भी ही ने हूं मैं हम आप
मुझे मेरा मेरी मेरे आपका आपकी आपके क्या कब कहां कैसे कौन क्यों लिए कर करना करने रहा रही रहे
बताइए बताओ बताएं कृपया
"""
_STOP = frozenset(_STOP_WORDS.split())
"""Words that every question is made of; as they are after `_SPELLING`."""

_ENDINGS = """
ो े ू ु ी ि ा
कर ाओ िए ाई ाए ने नी ना ते ीं ती ता ां ों ें
ाकर ाइए ाईं ाया ेगी ेगा ोगी ोगे ाने ाना ाते ाती ाता तीं ाओं ाएं ुओं ुएं
ाएगी ाएगा ाओगी ाओगे एंगी ेंगी एंगे ेंगे ूंगी ूंगा ातीं ताओं ताएं ियां ियों
ाएंगी ाएंगे ाइयां ाइयों
"""
_HINDI_ENDINGS = tuple(sorted(_ENDINGS.split(), key=len, reverse=True))
"""After Ramanathan and Rao's light stemmer for Hindi."""


def terms(text: str) -> list[str]:
    """Return a text's terms in their order, without those that are in every text."""
    return [_spelt(_stem(word)) for word in words(text) if word not in _STOP]


def words(text: str) -> Iterator[str]:
    """Yield a text's words and numbers, in lower case and in one spelling."""
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_SPELLING)
    for found in _WORD.finditer(_GROUPED.sub("", plain)):
        yield found[0][:MAX_WORD_CHARS]


def is_prefix(term: str) -> bool:
    """Return whether a term stands for longer words that begin like it, too."""
    if term[0] == "0":
        return len(term) >= LEAST_PREFIX_CHARS * _LETTER_HEX
    return len(term) >= LEAST_PREFIX_CHARS and not term.isdecimal()


def _spelt(word: str) -> str:
    if word.isascii():
        return word
    # Always begins with a nought, as no word does; a number is never spelt like this.
    return "".join(f"{ord(letter):0{_LETTER_HEX}x}" for letter in word)


def _stem(word: str) -> str:
    if word.isdecimal():
        return word.lstrip("0") or "0"
    if word.isascii():
        return _english(word)
    return _hindi(word) if "\u0900" <= word[0] <= "\u097f" else word


def _hindi(word: str) -> str:
    for ending in _HINDI_ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)]
    return word


def _english(word: str) -> str:
    word = _singular(word)
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 2 and re.search("[aeiouy]", stem):
            word = stem[:-1] if stem[-1] == stem[-2] and stem[-1] not in "lsz" else stem
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "zes", "ches", "shes")):
        return word[:-2]
    return word[:-1]
