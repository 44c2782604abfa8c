"""The words that belong to figures: months, currencies, scales, units and hours; labels."""

from __future__ import annotations

import re

from agent.speech.saying.tongue import Currency

_MONTHS = (
    "january|jan|जनवरी", "february|feb|फ़रवरी|फरवरी", "march|mar|मार्च", "april|apr|अप्रैल",
    "may|मई", "june|jun|जून", "july|jul|जुलाई", "august|aug|अगस्त", "september|sept|sep|सितंबर|सितम्बर",
    "october|oct|अक्टूबर|अक्तूबर", "november|nov|नवंबर|नवम्बर", "december|dec|दिसंबर|दिसम्बर",
)  # fmt: skip
MONTHS = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split("|")}
SIGNS = {
    "₹": Currency.RUPEE,
    "/-": Currency.RUPEE,
    "$": Currency.DOLLAR,
    "€": Currency.EURO,
    "£": Currency.POUND,
}
CODES = {
    "rs": Currency.RUPEE,
    "inr": Currency.RUPEE,
    "usd": Currency.DOLLAR,
    "eur": Currency.EURO,
    "gbp": Currency.POUND,
}
SCALES = {
    "k": "thousand", "thousand": "thousand", "हज़ार": "thousand", "हजार": "thousand",
    "hazaar": "thousand", "hazar": "thousand", "lakh": "lakh", "lakhs": "lakh", "lac": "lakh",
    "lacs": "lakh", "laakh": "lakh", "लाख": "lakh", "million": "million", "crore": "crore",
    "crores": "crore", "cr": "crore", "karod": "crore", "करोड़": "crore", "billion": "billion",
}  # fmt: skip
UNITS = frozenset(
    (
        "rupee", "rupees", "rupaye", "rupaya", "rupiya", "paise", "paisa", "dollar", "dollars",
        "cents", "euro", "euros", "pound", "pounds", "रुपये", "रुपए", "रुपया", "रुपयों", "पैसे", "डॉलर",
    )
)  # fmt: skip
HOURS = frozenset(("am", "pm", "a.m", "p.m", "hrs", "hours", "बजे", "baje"))
LABEL = re.compile(
    r"(?<!\w)(?:pin(?:code)?|pnr|otp|zip|code|order|reference|ref|account|booking|ticket|invoice|policy|id"
    r"|number|no|digits|ext|extension|ending(?: in| with)?"
    r"|पिन(?:कोड)?|ओटीपी|कोड|ऑर्डर|आईडी|नंबर|खाता|अंक)"
    r"(?:\s(?:pin|code|number|no|id|is|are|hai|आईडी|संख्या|है))*[.:]?\s*#?$",
    re.IGNORECASE,
)
"""What ends so labels a code."""
FLIGHT = re.compile(r"(?:flight|फ्लाइट)(?:\s(?:number|no|is))*[.:]?\s[A-Z\d]{2}[ -]$", re.IGNORECASE)
"""... a flight's number behind its carrier."""
RELEASE = re.compile(
    r"(?<!\w)(?:v|versions?|release|build|firmware|ios|android|वर्(?:ज\u093c?|\u095b|श)न|संस्करण)"
    r"(?:\s(?:number|no|is))*[.:]?\s*$",
    re.IGNORECASE,
)
"""... and what looks like a date, and is a version."""
