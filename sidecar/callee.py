"""Whom to call: numbers as people write them, as we keep them, and as a carrier wants them. Pure.

Nothing passes that could be more than the user part of one SIP address.
"""

from __future__ import annotations

import re
from typing import Literal

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber

from sidecar import number_plan

NumberFormat = Literal["e164", "plain", "national"]

LEAST_DIGITS = 7
"""Fewer are an extension, or a short code: they have no country."""
_SEPARATORS = str.maketrans("", "", " -().\u00a0")
_NUMBER = re.compile(r"\+?[0-9]{2,18}")
_EXTENSION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_INDIAN = re.compile(r"91[0-9]{10}")


class NotCallable(ValueError):
    """Neither a phone number nor the name of an extension."""


def normal(text: str, country: str = "") -> str:
    """Return a number in its normal form: `+` and the country's code where that can be told.

    `+91XXXXXXXXXX` and `0XXXXXXXXXX` stay as they are, `91XXXXXXXXXX` gets its `+`, and what is
    dialled in `country` (ISO 3166, "": none) becomes its international form. An extension
    (`701`, `demo`) stays what it is.

    Raises:
        NotCallable: it is nothing that can be called.
    """
    spelt = text.strip().translate(_SEPARATORS)
    if not _NUMBER.fullmatch(spelt):
        # A name keeps its dots and dashes.
        if text.isdecimal() or not _EXTENSION.fullmatch(text):
            raise NotCallable("not a phone number, nor an extension of letters, digits, . _ and -")
        return text
    if spelt.startswith("00"):
        spelt = f"+{spelt[2:]}"
    if spelt.startswith("+"):
        if not LEAST_DIGITS <= len(spelt) - 1 <= 15 or spelt[1] == "0":
            raise NotCallable("a number after + has a country's code and at most 15 digits")
        return spelt
    if spelt.startswith("0") or len(spelt) < LEAST_DIGITS:
        return spelt
    if _INDIAN.fullmatch(spelt):
        return f"+{spelt}"
    return number_plan.normal(spelt, country)


def formatted(number: str, format_: NumberFormat, country: str = "") -> str:
    """Return a number in its normal form as a carrier wants it; an extension stays as it is."""
    digits = number.removeprefix("+")
    if format_ == "e164" or not digits.isdecimal() or len(digits) < LEAST_DIGITS:
        return number
    parsed = _parsed(number, country)
    if parsed is None:
        return digits
    if format_ == "plain":
        return _e164(parsed).removeprefix("+")
    if country and parsed.country_code != phonenumbers.country_code_for_region(country):
        return f"00{_e164(parsed).removeprefix('+')}"
    national = phonenumbers.national_significant_number(parsed)
    return national if parsed.country_code == 1 else f"0{national}"


def _parsed(spelt: str, country: str) -> PhoneNumber | None:
    try:
        parsed = phonenumbers.parse(spelt, country or None)
    except NumberParseException:
        return None
    return parsed if phonenumbers.is_possible_number(parsed) else None


def _e164(parsed: PhoneNumber) -> str:
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
