"""A transfer by REFER: whom it may go to, and what has become of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

TIMEOUT_S = 30.0
"""How long the far end may take to tell the outcome; then the bot comes back."""
_NUMBER = re.compile(r"\+?[0-9*#]{2,32}")
_URI = re.compile(r"(?:sips?|tel):[^\s<>\"]{1,250}", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s().\-/]")


def refer_target(text: str) -> str | None:
    """Return a bot's transfer target as signalling takes it: a URI, or a bare number for the host
    that the call goes by. None where it is neither."""
    text = text.strip()
    if _URI.fullmatch(text):
        return text
    number = _SEPARATORS.sub("", text)
    return number if _NUMBER.fullmatch(number) else None


@dataclass(frozen=True, slots=True)
class Progress:
    """What a piece of news means: the far end is at it, is done, or it came to nothing."""

    is_accepted: bool = False
    is_done: bool = False
    failed_reason: str = ""


class Referral:
    """The one transfer of a call that may be under way."""

    def __init__(self) -> None:
        self.is_pending = False
        self._is_accepted = False

    def begin(self) -> None:
        """Take note that REFER was sent."""
        self.is_pending, self._is_accepted = True, False

    def advance(self, status_code: int, *, is_final: bool) -> Progress:
        """Take news of it. Only a final 2xx is a success: an accepted REFER promises nothing."""
        if not self.is_pending:
            return Progress()
        if not is_final:
            news = not self._is_accepted
            self._is_accepted = True
            return Progress(is_accepted=news)
        self.is_pending = False
        if 200 <= status_code < 300:
            return Progress(is_accepted=not self._is_accepted, is_done=True)
        failed = f"SIP {status_code}" if status_code else "the outcome was never told"
        return Progress(failed_reason=failed)
