"""Handing a call over: REFER with its NOTIFYs, both ways (RFC 3515, RFC 6665)."""

from __future__ import annotations

import re

from bridges.wire.close import InvalidState
from bridges.wire.sip.address import Address
from bridges.wire.sip.agenda import Alarm
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import (
    HeaderFields,
    ReferAccepted,
    ReferDone,
    ReferProgress,
    Referred,
    ReferRefused,
    ReferSilent,
)
from bridges.wire.sip.header import readable
from bridges.wire.sip.layer import ServerTransaction, Silence
from bridges.wire.sip.line import Line, status_of
from bridges.wire.sip.message import Response
from bridges.wire.sip.reply import REASONS
from bridges.wire.sip.uri import Uri

SIPFRAG = "message/sipfrag;version=2.0"
SUBSCRIPTION_S = 60
"""How long we promise to tell how the peer's REFER goes."""

_STATUS_LINE = re.compile(rb"\s*SIP/2\.0 ([1-6]\d\d)(?: ([^\r\n]*))?", re.IGNORECASE)


def parse_sipfrag(body: bytes) -> tuple[int, str]:
    """Return the status and reason that a NOTIFY tells.

    Raises:
        ProtocolError: it tells none.
    """
    match = _STATUS_LINE.match(body)
    if match is None:
        raise ProtocolError("sipfrag: expected a status line")
    reason = (match[2] or b"").decode("utf-8", "surrogateescape")
    return int(match[1]), readable(reason).strip()


class Transfer:
    """One call's transfers: at most one of ours and one of the peer's at a time."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._is_ours = False
        self._is_accepted = False
        self._cseq = 0
        self._silence: Alarm | None = None
        self._theirs: ServerTransaction | None = None
        self._their_cseq: int | None = None

    # Ours.

    def refer(self, target: Uri, timeout_s: float, headers: HeaderFields, now: float) -> None:
        """Send a REFER.

        Raises:
            InvalidState: another one of ours is under way.
        """
        if self._is_ours:
            raise InvalidState("one transfer at a time")
        line = self._line
        local = line.require_dialog().local.uri.serialize()
        self._is_ours, self._is_accepted = True, False
        self._silence = line.core.agenda.at(now + timeout_s, self._fall_silent)

        def receive(reply: Response | Silence, now: float) -> None:
            status, reason = status_of(reply)
            if status < 200 or line.is_over:
                return
            if status < 300:
                self._accept()
            elif self._is_ours and not self._is_accepted:
                self._finish()
                line.tell(ReferRefused(line.handle, status, reason))
                line.is_lost(reply, now)

        more = (("Refer-To", f"<{target.serialize()}>"), ("Referred-By", f"<{local}>"))
        client = line.send("REFER", now, receive, (*more, *headers))
        self._cseq = client.request.cseq.number

    def receive_notify(self, server: ServerTransaction, now: float) -> None:
        """Take a NOTIFY; it may come before the 202, and after we lost patience."""
        request, line = server.request, self._line
        event, _, params = (request.headers.get("Event") or "").partition(";")
        if event.strip().lower() != "refer":
            line.respond(server, 489, now, (("Allow-Events", "refer"),))
            return
        if not self._cseq:
            line.respond(server, 481, now)  # nobody subscribed
            return
        try:
            status, reason = parse_sipfrag(request.body)
            state = (request.headers.get("Subscription-State") or "active").partition(";")[0]
        except ProtocolError as error:
            line.respond(server, error.status, now)
            return
        line.respond(server, 200, now)
        ids = re.findall(r"id\s*=\s*(\d+)", params)
        # A late word on a former REFER says its number; a lone one may leave it out.
        if not self._is_ours or (ids and ids[0] != str(self._cseq)):
            return
        self._accept()
        if status >= 200:
            self._finish()
            line.tell(ReferDone(line.handle, status, reason))
        elif state.strip().lower() == "terminated":
            self._finish()
            line.tell(ReferDone(line.handle, 408, reason))
        else:
            line.tell(ReferProgress(line.handle, status, reason))

    def _accept(self) -> None:
        if self._is_ours and not self._is_accepted:
            self._is_accepted = True
            self._line.tell(ReferAccepted(self._line.handle))

    def _fall_silent(self, _now: float) -> None:
        self._finish()
        self._line.tell(ReferSilent(self._line.handle))

    def _finish(self) -> None:
        self._is_ours = False
        if self._silence is not None:
            self._silence.cancel()

    # The peer's.

    def receive_refer(self, server: ServerTransaction, now: float) -> None:
        """Take a REFER."""
        line = self._line
        if self._theirs is not None or self._their_cseq is not None:
            line.respond(server, 491, now)
            return
        try:
            target = Address.parse(server.request.headers.require("Refer-To"), "Refer-To")
            referred_by = server.request.headers.get("Referred-By") or ""
        except ProtocolError:
            line.respond(server, 400, now, reason="Bad Refer-To")
            return
        self._theirs = server
        replaces = "replaces=" in target.uri.headers.lower()
        line.tell(Referred(line.handle, target, readable(referred_by), replaces))

    def accept(self, now: float) -> None:
        """Answer the peer's REFER with 202 and tell it 100 Trying.

        Raises:
            InvalidState: there is none.
        """
        server = self._pop_theirs()
        self._their_cseq = server.request.cseq.number
        self._line.respond(server, 202, now)
        self._notify(100, "", now)

    def refuse(self, status: int, now: float) -> None:
        """Refuse the peer's REFER.

        Raises:
            InvalidState: there is none.
        """
        self._line.respond(self._pop_theirs(), status, now)

    def notify(self, status: int, reason: str, now: float) -> None:
        """Tell the peer how its REFER goes.

        Raises:
            InvalidState: there is none, or it has had its last word.
        """
        if self._their_cseq is None:
            raise InvalidState("no transfer of the peer's is accepted")
        self._notify(status, reason, now)
        if status >= 200:
            self._their_cseq = None

    def stop(self, now: float) -> None:
        """The call is over: answer what is open, and let nothing happen any more."""
        self._finish()
        if self._theirs is not None:
            self._line.respond(self._pop_theirs(), 487, now)

    def _notify(self, status: int, reason: str, now: float) -> None:
        state = (
            f"active;expires={SUBSCRIPTION_S}" if status < 200 else "terminated;reason=noresource"
        )
        phrase = " ".join((reason or REASONS.get(status, "")).split())
        self._line.send(
            "NOTIFY",
            now,
            _ignore,
            (("Event", f"refer;id={self._their_cseq}"), ("Subscription-State", state)),
            f"SIP/2.0 {status} {phrase}\r\n".encode(),
            SIPFRAG,
        )

    def _pop_theirs(self) -> ServerTransaction:
        if self._theirs is None:
            raise InvalidState("the peer transfers nothing")
        server, self._theirs = self._theirs, None
        return server


def _ignore(_reply: Response | Silence, _now: float) -> None:
    """Take the answer to a NOTIFY: whatever it is, the call goes on."""
