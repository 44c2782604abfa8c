"""What the caller's leg tells the agent: that it is held, keys that were pressed, transfers.

Attached before the session starts. News is by data and not repeated, so whether the line is held
is asked of the caller's attribute as well, which has the last word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import structlog
from livekit import rtc

from contracts.ids import HOLD_ATTRIBUTE, LEG_NEWS_TOPIC
from contracts.leg_news import (
    CallAnswered,
    CallHeld,
    CallResumed,
    DigitHeard,
    TransferAccepted,
    TransferDone,
    TransferRefused,
    parse_news,
)
from contracts.report import DigitPressed

log = structlog.get_logger(__name__)

SETTLED_S = 1.0
"""An attribute travels more slowly than news: one that contradicts it is looked at again."""
_KEYS = "0123456789*#ABCD"
_MOST_DIGITS = 500
"""A call's keys that are reported; whoever presses more is no person."""


class LegListener(Protocol):
    """Wants to know."""

    def held(self, is_held: bool) -> None:
        """The far end holds the line, or is back."""

    def pressed(self, digit: str) -> None:
        """The caller pressed a key."""

    def transfer_done(self) -> None:
        """The caller is in other hands."""

    def transfer_failed(self, reason: str) -> None:
        """They are still here."""


class Leg(Protocol):
    """A caller's leg, as far as it tells anything."""

    is_held: bool

    def listen(self, listener: LegListener) -> None:
        """Tell `listener` from now on."""
        ...

    def close(self) -> None:
        """Tell nothing any more; safe to call twice."""
        ...


class NoLeg:
    """A browser's: whatever such a participant sends or shows is a visitor's own making."""

    is_held = False

    def listen(self, listener: LegListener) -> None:
        """There is nothing to tell."""

    def close(self) -> None:
        """There was nothing to tell."""


class LegWatch:
    """Follows one caller's leg until `close`. Obeys the caller's identity only.

    Args:
        room: where both are.
        caller_identity: whose leg it is.
        tell: takes the facts that nobody else reports: keys pressed on a line without a bridge.
    """

    def __init__(
        self,
        room: rtc.Room,
        caller_identity: str,
        tell: Callable[[DigitPressed], None],
    ) -> None:
        self.is_held = False
        self._room = room
        self._caller_identity = caller_identity
        self._tell = tell
        self._listener: LegListener | None = None
        self._news_at: float | None = None
        self._digits = 0
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        room.on("data_received", self._on_data)
        room.on("sip_dtmf_received", self._on_dtmf)
        room.on("participant_attributes_changed", self._on_attributes)
        room.on("participant_connected", self._on_connected)
        self._settle()

    def listen(self, listener: LegListener) -> None:
        """Tell `listener` from now on, and first that the line is held if it is."""
        self._listener = listener
        if self.is_held:
            listener.held(True)

    def close(self) -> None:
        """Tell nothing any more; safe to call twice."""
        self._listener = None
        if self._is_closed:
            return
        self._is_closed = True
        self._room.off("data_received", self._on_data)
        self._room.off("sip_dtmf_received", self._on_dtmf)
        self._room.off("participant_attributes_changed", self._on_attributes)
        self._room.off("participant_connected", self._on_connected)

    def _on_data(self, received: rtc.DataPacket) -> None:
        if received.topic != LEG_NEWS_TOPIC or received.participant is None:
            return
        if received.participant.identity != self._caller_identity:
            return
        try:
            news = parse_news(bytes(received.data))
        except ValueError:
            log.info("news not understood")
            return
        match news:
            case CallHeld():
                self._hear_of_hold(True)
            case CallResumed():
                self._hear_of_hold(False)
            case DigitHeard():
                self._press(news.digit)
            case TransferDone() if self._listener is not None:
                self._listener.transfer_done()
            case TransferRefused() if self._listener is not None:
                self._listener.transfer_failed(news.reason)
            case CallAnswered() | TransferAccepted() | TransferDone() | TransferRefused():
                pass  # the answer is an attribute too, and that is followed

    def _on_dtmf(self, dtmf: rtc.SipDTMF) -> None:
        if dtmf.participant is None or dtmf.participant.identity != self._caller_identity:
            return
        digit = dtmf.digit if dtmf.digit in set(_KEYS) else _KEYS[dtmf.code : dtmf.code + 1]
        if not digit:
            return
        if self._digits < _MOST_DIGITS:
            self._digits += 1
            self._tell(DigitPressed(at=datetime.now(UTC), digit=digit))
        self._press(digit)

    def _press(self, digit: str) -> None:
        if self._listener is not None:
            self._listener.pressed(digit)

    def _hear_of_hold(self, is_held: bool) -> None:
        self._news_at = self._loop.time()
        self._set(is_held)

    def _on_connected(self, who: rtc.RemoteParticipant) -> None:
        if who.identity == self._caller_identity:
            self._settle()

    def _on_attributes(self, changed: dict[str, str], who: rtc.Participant) -> None:
        if who.identity != self._caller_identity or HOLD_ATTRIBUTE not in changed:
            return
        self._settle()

    def _settle(self) -> None:
        """Go by the attribute, once news is old enough for it to have caught up."""
        if self._is_closed:
            return
        if self._news_at is not None and self._loop.time() - self._news_at < SETTLED_S:
            self._loop.call_later(SETTLED_S, self._settle)
            return
        caller = self._room.remote_participants.get(self._caller_identity)
        if caller is not None:
            self._set(caller.attributes.get(HOLD_ATTRIBUTE) == "1")

    def _set(self, is_held: bool) -> None:
        if is_held is not self.is_held:
            self.is_held = is_held
            if self._listener is not None:
                self._listener.held(is_held)
