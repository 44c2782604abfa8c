"""What callers' words have in common with phrases somebody wrote down: normal forms and
likeness. Pure.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

_CONTRACTIONS = (
    (r"\bwon't\b", "will not"),
    (r"\bcan't\b", "can not"),
    (r"n't\b", " not"),
    (r"\bi'm\b", "i am"),
    (r"'re\b", " are"),
    (r"'ve\b", " have"),
    (r"'ll\b", " will"),
    (r"'d\b", " would"),
    (r"\b(it|that|what|where|who|when|how|he|she|there)'s\b", r"\1 is"),
    (r"\bwanna\b", "want to"),
    (r"\bgonna\b", "going to"),
    (r"\bgotta\b", "have to"),
)
_FILLERS = frozenset(("um", "uh", "uhm", "er", "erm", "hmm", "hm", "ah", "mm", "well", "like"))
_STOPWORDS = frozenset(
    (
        "a", "an", "the", "i", "me", "my", "you", "your", "we", "our", "us", "it", "its", "this",
        "that", "these", "those", "is", "are", "am", "was", "were", "be", "been", "to", "of", "for",
        "in", "on", "at", "by", "with", "from", "and", "or", "but", "so", "do", "does", "did",
        "can", "could", "would", "will", "shall", "may", "might", "have", "has", "had", "not", "no",
        "please", "just", "some", "any", "there", "here", "what", "which", "who", "want", "need",
        "like", "get", "let",
    )
)  # fmt: skip
_QUESTION = re.compile(
    r"^(?:and |but |so |okay |ok |hi |hello |sorry )*"
    r"(?:what|when|where|who|why|how|which|do you|does|is there|are there|are you|is it|is the"
    r"|can i|can you|could i|could you|would you|will you|may i|did)\b"
)


@lru_cache(maxsize=2048)
def normal(text: str) -> str:
    """Return `text` in lower case, without punctuation, contractions or fillers."""
    text = text.lower().replace("\u2019", "'")
    for pattern, replacement in _CONTRACTIONS:
        text = re.sub(pattern, replacement, text)
    words = re.findall(r"[a-z0-9]+", text.replace("'", ""))
    kept = [word for word in words if word not in _FILLERS]
    return " ".join(kept or words)


def is_question(text: str) -> bool:
    """Return whether `text` asks something, so that it is no answer to an open question."""
    return bool(_QUESTION.match(normal(text)))


def stem(word: str) -> str:
    """Return a crude stem: enough to make "appointments" meet "appointment" and "parking"
    "park".
    """
    for ending in ("ings", "ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word[:-1] if word.endswith("e") and len(word) > 4 else word


@lru_cache(maxsize=2048)
def content(text: str) -> tuple[str, ...]:
    """Return the stems of the words that carry meaning; every word's stem if none does."""
    words = normal(text).split()
    kept = tuple(stem(word) for word in words if word not in _STOPWORDS)
    return kept or tuple(stem(word) for word in words)


@lru_cache(maxsize=4096)
def trigrams(word: str) -> Counter[str]:
    """Return the character trigrams of a text with its edges marked."""
    padded = f"  {word} "
    return Counter(padded[at : at + 3] for at in range(len(padded) - 2))


def likeness(one: str, other: str) -> float:
    """Return the cosine of two texts' character trigrams, 0 to 1."""
    left, right = trigrams(one), trigrams(other)
    shared = left.keys() & right.keys()
    return sum(left[gram] * right[gram] for gram in shared) / (_length(one) * _length(other))


@lru_cache(maxsize=4096)
def _length(text: str) -> float:
    return math.sqrt(sum(count * count for count in trigrams(text).values()))


def contains(text: str, phrase: str) -> bool:
    """Return whether the words of `phrase` stand in `text` one after the other."""
    return f" {normal(phrase)} " in f" {normal(text)} "


def match_phrase(text: str, phrase: str) -> float:
    """Return how well a caller's `text` says `phrase`, 0 to 1.

    Holding every meaningful word of the phrase is nearly full marks, whatever else was said;
    likeness as a whole catches what the recogniser misheard.
    """
    if contains(text, phrase):
        return 1.0
    said, wanted = content(text), content(phrase)
    whole = likeness(normal(text), normal(phrase))
    if len(wanted) < 2:
        return whole
    covered = sum(
        max((_word_likeness(word, other) for other in said), default=0.0) for word in wanted
    )
    return max(whole, 0.95 * covered / len(wanted))


def _word_likeness(one: str, other: str) -> float:
    if one == other:
        return 1.0
    score = likeness(one, other)
    return score if score >= 0.6 and min(len(one), len(other)) >= 4 else 0.0


def best(text: str, phrases: Iterable[str]) -> float:
    """Return the best match among `phrases`."""
    return max((match_phrase(text, phrase) for phrase in phrases), default=0.0)


def matches_any(text: str, patterns: Sequence[str]) -> bool:
    """Return whether one of the patterns is found in the normal form or the text itself."""
    plain = normal(text)
    return any(
        re.search(pattern, plain) or re.search(pattern, text, re.IGNORECASE) for pattern in patterns
    )
