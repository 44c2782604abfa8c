"""Dialled numbers: the one form in which a number is kept, and what its spellings lead to. Pure.

Carriers, PBXs and people spell one number in many ways. Where the numbering plan knows it, its form
is E.164 with a `+`; an extension stays a row of digits, a name (`demo`) is in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

import phonenumbers
from phonenumbers import NumberParseException

MAX_CHARS = 64
MOST_DIGITS = 18
"""E.164 has 15; some carriers put a prefix before them."""

LEAST_DIGITS = 7
"""Fewer are an extension or a short code: they are of no country."""

_URI = re.compile(r"<?(?:sips?|tel):([^@>]*)", re.IGNORECASE)
_SPELT = re.compile(r"\+?[0-9 ().\-/\u00a0]+")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._+-]{0,62}[a-z0-9])?")


def normal(text: str, country: str = "") -> str:
    """Return a number's normal form, or "" for what is neither a number nor a name.

    Args:
        text: the number, with or without separators, or a `sip:`, `sips:` or `tel:` URI with it.
        country: whose numbers are dialled without a country's code (ISO 3166: `IN`); "": nobody's.
    """
    spelt = _user_part(text)
    if not _SPELT.fullmatch(spelt):
        name = spelt.lower()
        return name if _NAME.fullmatch(name) else ""
    digits = re.sub(r"\D", "", spelt)
    if not 1 <= len(digits) <= MOST_DIGITS:
        return ""
    if spelt.startswith("+"):
        return f"+{digits}"
    # Within the country first: its subscribers are those who leave the code out.
    return _valid(digits, country) or _valid(f"+{digits}", "") or digits


def lookup_keys(text: str, country: str = "") -> Sequence[str]:
    """Return under which forms a dialled number may be kept, the likeliest first.

    One, where the plan knows the number. Not all numbers in use are in it, though: those of private
    networks and new ranges are compared without their `+`, trunk zero or country's code, too.
    """
    form = normal(text, country)
    digits = form.removeprefix("+")
    if not digits.isdecimal() or _valid(form, ""):
        return [form] if form else []
    keys = [form, f"+{digits}", digits]
    code = _calling_code(country)
    if form.startswith("00"):
        keys.append(f"+{digits[2:]}")
    elif code and form.startswith("0"):
        keys.append(f"+{code}{digits[1:]}")
    elif code and not form.startswith("+") and len(digits) >= LEAST_DIGITS:
        keys.append(f"+{code}{digits}")
    return [key for key in dict.fromkeys(keys) if key != "+"]


def is_country(country: str) -> bool:
    """Return whether there are numbers of such a country."""
    return bool(_calling_code(country))


def _user_part(text: str) -> str:
    text = text.strip()
    if uri := _URI.match(text):
        text = unquote(uri[1])
    # Parameters of the user part (`;phone-context=…`), and a password no one should have sent.
    return text.partition(";")[0].partition(":")[0].strip()


def _valid(spelt: str, country: str) -> str:
    """Return the E.164 form of a number that the plan knows, else ""."""
    if not (country or spelt.startswith("+")):
        return ""
    try:
        parsed = phonenumbers.parse(spelt, country or None)
    except NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(parsed):
        return ""
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _calling_code(country: str) -> str:
    code = phonenumbers.country_code_for_region(country) if country else 0
    return str(code) if code else ""
