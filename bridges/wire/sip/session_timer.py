"""Session timers: a call whose peer silently died ends by itself (RFC 4028)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bridges.wire.sip import grammar
from bridges.wire.sip.agenda import Agenda, Alarm
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import HeaderFields
from bridges.wire.sip.message import Message, Request, Response
from bridges.wire.sip.profile import Profile

MAX_INTERVAL_S = 2**31 - 1
INTERVAL_TOO_SMALL = 422


@dataclass(frozen=True, slots=True)
class Interval:
    """The value of Session-Expires; `refresher` is `uac`, `uas` or `""`."""

    seconds: int
    refresher: str

    @classmethod
    def of(cls, message: Message) -> Interval | None:
        """Return a message's, None if it has none.

        Raises:
            ProtocolError: it is malformed.
        """
        value = message.headers.get("Session-Expires")
        if value is None:
            return None
        seconds, semicolon, rest = value.partition(";")
        params = grammar.parse_params(semicolon + rest, "Session-Expires")
        refresher = (grammar.param(params, "refresher") or "").lower()
        return cls(
            grammar.parse_decimal(seconds.strip(), "Session-Expires", MAX_INTERVAL_S),
            refresher if refresher in ("uac", "uas") else "",
        )


def min_interval_s(message: Message) -> int:
    """Return the value of Min-SE, 0 if there is none.

    Raises:
        ProtocolError: it is malformed.
    """
    value = (message.headers.get("Min-SE") or "0").partition(";")[0]
    return grammar.parse_decimal(value.strip(), "Min-SE", MAX_INTERVAL_S)


class SessionTimer:
    """One call's timer, whichever side refreshes.

    Roles are those of the last transaction that agreed on it: `uac` is who sent that request.
    """

    def __init__(
        self,
        profile: Profile,
        agenda: Agenda,
        on_refresh: Callable[[float], None],
        on_expired: Callable[[float], None],
    ) -> None:
        self._profile = profile
        self._agenda = agenda
        self._on_refresh = on_refresh
        self._on_expired = on_expired
        self._min_s = profile.min_session_s
        self._wanted_s = profile.session_expires_s
        self._refresh: Alarm | None = None
        self._expiry: Alarm | None = None
        self._expires_at = 0.0

    def request_headers(self) -> HeaderFields:
        """Return what asks for a timer in our INVITE or UPDATE."""
        if not self._wanted_s:
            return ()
        wanted = max(self._wanted_s, self._min_s)
        return ("Session-Expires", str(wanted)), ("Min-SE", str(self._min_s))

    def raise_minimum(self, response: Response) -> bool:
        """Take a 422; return whether asking again, for longer, makes sense.

        Raises:
            ProtocolError: it is malformed.
        """
        least = min_interval_s(response)
        if least <= max(self._wanted_s, self._min_s):
            return False
        self._min_s = least
        return True

    def refuses(self, request: Request) -> HeaderFields | None:
        """Return the header fields of a 422, if the peer asks for refreshes too often.

        Raises:
            ProtocolError: what it asks is malformed.
        """
        interval = Interval.of(request)
        if interval is None or interval.seconds >= self._profile.min_session_s:
            return None
        if "timer" not in request.headers.tokens("Supported"):
            return None  # it was a proxy that asked, and could not be told (section 9)
        return (("Min-SE", str(self._profile.min_session_s)),)

    def accept(self, request: Request, now: float) -> HeaderFields:
        """Start anew as the peer's INVITE or UPDATE wants it; return what our 2xx says of it."""
        try:
            asked, least_s = Interval.of(request), min_interval_s(request)
            is_able = "timer" in request.headers.tokens("Supported")
        except ProtocolError:
            asked, least_s, is_able = None, 0, False  # it cannot spell what it does not do
        if asked is None and not (is_able and self._profile.session_expires_s):
            self.stop()
            return ()
        if asked is None:
            seconds = max(self._profile.session_expires_s, least_s)
            refresher = "uas"
        else:
            # Less is nobody's to ask for (section 4), and 0 would end the call at once.
            seconds = max(asked.seconds, self._profile.min_session_s)
            refresher = (asked.refresher or "uac") if is_able else "uas"
        self._start(seconds, now, is_ours=refresher == "uas")
        told = ("Session-Expires", f"{seconds};refresher={refresher}")
        return (told, ("Require", "timer")) if refresher == "uac" else (told,)

    def take(self, response: Response, now: float) -> None:
        """Start anew as a 2xx to our INVITE or UPDATE says, or stop if it says nothing."""
        try:
            interval = Interval.of(response)
        except ProtocolError:
            interval = None  # a peer that cannot spell it does not do it either
        if interval is None:
            self.stop()
        else:
            seconds = max(interval.seconds, self._profile.min_session_s)
            self._start(seconds, now, is_ours=interval.refresher != "uas")

    def postpone(self, now: float) -> None:
        """Try the refresh again later: half of what is left, so that several tries fit."""
        if self._expiry is not None:
            wait_s = max((self._expires_at - now) / 2, 1.0)
            self._refresh = self._agenda.at(now + wait_s, self._on_refresh)

    def stop(self) -> None:
        """Let the session last."""
        for alarm in (self._refresh, self._expiry):
            if alarm is not None:
                alarm.cancel()
        self._refresh = self._expiry = None

    def _start(self, seconds: int, now: float, *, is_ours: bool) -> None:
        self.stop()
        # Who does not refresh hangs up a little before the end (section 10).
        margin_s = 0.0 if is_ours else min(32.0, seconds / 3)
        self._expires_at = now + seconds - margin_s
        self._expiry = self._agenda.at(self._expires_at, self._on_expired)
        if is_ours:
            self._refresh = self._agenda.at(now + seconds / 2, self._on_refresh)
