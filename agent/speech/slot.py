"""Finds a slot's value in what a caller said: one extractor per type. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from agent.speech.moment import date_in, date_words, time_in, time_words
from agent.speech.number import digits_in, number_in
from agent.speech.phrase import contains, is_question, likeness, normal
from contracts.rules import Slot

_YES = re.compile(
    r"\b(yes|yeah|yep|yup|ya|sure|correct|right|absolutely|definitely|certainly|of course|okay|ok|"
    r"fine|exactly|indeed|affirmative|speaking|please do|go ahead|sounds good|that works|perfect|"
    r"great|i am|i do|i did|i will|it is|that is me|this is (?:he|she|him|her|me)|uh huh|"
    r"you got it|works for me|good)\b"
)
_NO = re.compile(
    r"\b(no|nope|nah|not|never|wrong|incorrect|negative|cancel that|do not|does not)\b"
)
_NOT_NO = re.compile(
    r"\b(no problem|not a problem|why not|no worries|no that is (?:right|correct|fine))\b"
)
_NAME_LEAD = re.compile(
    r"\b(?:my name is|my names|the name is|name is|this is|i am|it is|call me|under|for)"
    r"\s+(?P<name>[a-z]+(?: [a-z]+){0,2})"
)
_EXPLICIT_NAME = re.compile(
    r"\b(?:my name is|the name is|name is|call me)\s+(?P<name>[a-z]+(?: [a-z]+)?)"
)
_NOT_NAMES = frozenset(
    (
        "a", "an", "the", "and", "or", "but", "yes", "no", "not", "yeah", "okay", "ok", "sure",
        "sorry", "hello", "hi", "hey", "please", "thanks", "thank", "you", "your", "here", "there",
        "calling", "looking", "trying", "going", "speaking", "good", "great", "fine", "right",
        "wrong", "about", "just", "my", "me", "it", "is", "i", "am", "what", "so", "to", "for",
        "with", "this", "that", "book", "appointment", "want", "need", "like", "would", "could",
        "can", "dentist", "doctor", "repeat", "again", "know", "think", "busy", "interested",
    )
)  # fmt: skip
_ALIKE = 0.65
_SPELT = re.compile(r"\b(?:[A-Za-z][.\-, ]+){2,}[A-Za-z]\b")


@dataclass(frozen=True, slots=True)
class Value:
    """A slot's value: `raw` for tools (ISO dates, bare digits), `text` for the caller."""

    raw: str
    text: str


@dataclass(frozen=True, slots=True)
class Partial:
    """Digits that are no whole number yet: the rest will follow."""

    digits: str


def extract(
    slot: Slot, text: str, now: datetime, *, asked: bool, partial: str = ""
) -> Value | Partial | None:
    """Return what `text` says for `slot`, or None.

    Args:
        slot: what is looked for.
        text: what the caller said.
        now: the moment, in the bot's time zone.
        asked: whether the slot was asked for; if not, only what cannot mean anything else is taken.
        partial: digits heard before, which these go on.
    """
    match slot.type:
        case "yes_no":
            answer = yes_no(text) if asked else None
            return None if answer is None else Value(*(("yes", "yes") if answer else ("no", "no")))
        case "choice":
            return _choice(slot, text)
        case "date":
            day = date_in(text, now.date(), future=slot.future)
            return Value(day.isoformat(), date_words(day, now.date())) if day else None
        case "time":
            moment = time_in(text, earliest=slot.earliest, bare=asked)
            return Value(moment.strftime("%H:%M"), time_words(moment)) if moment else None
        case "phone" | "digits":
            return _digits(slot, text, asked, partial)
        case "number" | "money":
            amount = number_in(text)
            if amount is None or (not asked and slot.type == "number"):
                return None
            return Value(f"{amount:g}", f"{amount:,.2f}".removesuffix(".00"))
        case "name":
            return _name(text, asked)
        case "text":
            return Value(text.strip(), text.strip()) if asked and not is_question(text) else None


def yes_no(text: str) -> bool | None:
    """Return whether `text` agrees or disagrees; None if neither."""
    plain = normal(text)
    if _NOT_NO.search(plain):
        return True
    yes, no = _YES.search(plain), _NO.search(plain)
    if no and (not yes or no.start() <= yes.start() or no[0] == "not"):
        return False
    return True if yes else None


def _choice(slot: Slot, text: str) -> Value | None:
    for value, words in slot.choices.items():
        if any(contains(text, word) for word in (value, *words)):
            return Value(value, value)
    heard = normal(text).split()
    scored = [
        (max(likeness(word, normal(wanted)) for word in [*heard, " ".join(heard)]), value)
        for value, words in slot.choices.items()
        for wanted in (value, *words)
        if heard
    ]
    score, value = max(scored, default=(0.0, ""))
    return Value(value, value) if score >= _ALIKE else None


def _digits(slot: Slot, text: str, asked: bool, partial: str) -> Value | Partial | None:
    found = digits_in(text)
    if not found or (not asked and len(found) < slot.min_digits):
        return None
    joined = partial + found
    if len(found) >= slot.min_digits or len(joined) > slot.max_digits:
        # A whole number again: the caller started over.
        joined = found
    if len(joined) > slot.max_digits:
        return None
    if len(joined) < slot.min_digits:
        return Partial(joined)
    return Value(joined, _grouped(joined) if slot.type == "phone" else joined)


def _grouped(digits: str) -> str:
    if len(digits) == 10:
        return f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"
    if len(digits) == 11:
        return f"{digits[0]}-{_grouped(digits[1:])}"
    return digits


def _name(text: str, asked: bool) -> Value | None:
    if asked and (spelt := _SPELT.search(text)) and len(re.findall(r"[A-Za-z]", spelt[0])) >= 3:
        return _named("".join(re.findall(r"[A-Za-z]", spelt[0])))
    if is_question(text):
        return None
    plain = normal(text)
    match = (_NAME_LEAD if asked else _EXPLICIT_NAME).search(plain)
    if match:
        return _named(match["name"])
    if not asked:
        return None
    words = plain.split()
    while words and words[0] in _NOT_NAMES:
        words = words[1:]
    if number_in(" ".join(words)) is not None:
        return None
    return _named(" ".join(words)) if len(words) <= 3 else None


def _named(words: str) -> Value | None:
    kept: list[str] = []
    for word in words.split():
        if word in _NOT_NAMES or any(char.isdigit() for char in word):
            break
        kept.append(word.capitalize())
    name = " ".join(kept)
    return Value(name, name) if len(name) > 1 else None
