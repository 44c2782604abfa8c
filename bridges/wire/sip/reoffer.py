"""Changing a call's session: re-INVITE and UPDATE, both ways (RFC 3261 section 14, RFC 3311)."""

from __future__ import annotations

from bridges.wire.close import InvalidState
from bridges.wire.sip.acceptance import Acceptance
from bridges.wire.sip.agenda import Alarm
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import (
    Acked,
    EndCause,
    ReofferAccepted,
    Reoffered,
    ReofferRefused,
)
from bridges.wire.sip.layer import NO_RESPONSE, ServerTransaction, Silence
from bridges.wire.sip.line import LOST, Line, status_of
from bridges.wire.sip.message import Message, Request, Response
from bridges.wire.sip.session_timer import INTERVAL_TOO_SMALL, SessionTimer

MOST_TRIES = 5
"""How often we offer again after glare."""
REQUEST_PENDING = 491


class Reoffers:
    """One call's changes: at most one of ours and one of the peer's at a time.

    Attributes:
        is_caller: whether we made the call; after glare the caller waits longer.
        offers_updates: whether the peer takes UPDATE.
    """

    def __init__(self, line: Line, *, is_caller: bool) -> None:
        self.is_caller = is_caller
        self.offers_updates = False
        self.timer = SessionTimer(
            line.core.profile,
            line.core.agenda,
            self._refresh,
            lambda now: line.on_lost(EndCause.SESSION_EXPIRED, now),
        )
        self._line = line
        self._local_sdp = b""
        self._peer_offer: bytes | None = None
        self._acceptance: Acceptance | None = None
        self._theirs: ServerTransaction | None = None
        self._ours: bytes | None = None
        self._is_sent = False
        self._is_refresh = False
        self._tries = 0
        self._alarm: Alarm | None = None

    def establish(self, local_sdp: bytes, peer_offer: bytes | None) -> None:
        """Take note of the first offer and answer; `peer_offer` is None if the offer was ours."""
        self._local_sdp, self._peer_offer = local_sdp, peer_offer

    def await_ack(
        self, server: ServerTransaction, response: Response, now: float, *, is_offer: bool
    ) -> None:
        """Send the 200 to an INVITE again until its ACK is here."""
        core = self._line.core

        def give_up(now: float) -> None:
            self._acceptance = None
            self._line.on_lost(EndCause.ACK_TIMEOUT, now)

        self._acceptance = Acceptance(core, server, response, now, give_up, is_offer=is_offer)

    @property
    def is_waiting_for_ack(self) -> bool:
        """Whether a 200 of ours is not acknowledged."""
        return self._acceptance is not None

    def receive_ack(self, request: Request, now: float) -> bool:
        """Take an ACK; return whether it was waited for."""
        acceptance = self._acceptance
        if acceptance is None or acceptance.cseq != request.cseq.number:
            return False
        acceptance.stop()
        self._acceptance = None
        sdp = request.sdp if acceptance.is_offer else None
        if acceptance.is_offer and sdp is None:
            self._line.on_lost(EndCause.BAD_ANSWER, now)
        else:
            self._line.tell(Acked(self._line.handle, sdp))
        return True

    # The peer's.

    def receive(self, server: ServerTransaction, now: float) -> None:
        """Take a re-INVITE or an UPDATE."""
        request = server.request
        is_update = request.method == "UPDATE"
        try:
            too_small = self.timer.refuses(request)
        except ProtocolError as error:
            self._line.respond(server, error.status, now)
            return
        if too_small is not None:
            self._line.respond(server, INTERVAL_TOO_SMALL, now, too_small)
        elif self._theirs is not None:
            # Section 14.2: they know that one of theirs is under way.
            wait_s = self._line.core.random(1)[0] % 11
            self._line.respond(server, 500, now, (("Retry-After", str(wait_s)),))
        elif (request.sdp is not None or not is_update) and (
            self._is_sent or self._acceptance is not None
        ):
            self._line.respond(server, REQUEST_PENDING, now)
        else:
            self._line.require_dialog().refresh_target(request)
            if is_update and request.sdp is None:
                self._line.respond(server, 200, now, self.timer.accept(request, now))
            elif request.sdp is not None and request.sdp == self._peer_offer:
                # The same offer once more is a refresh: the same answer is right.
                self._accept(server, self._local_sdp, now)
            else:
                self._theirs = server
                if not is_update:
                    self._line.respond(server, 100, now)  # the driver may think it over
                self._line.tell(Reoffered(self._line.handle, request.sdp))

    def accept(self, sdp: bytes, now: float) -> None:
        """Answer the peer's offer.

        Raises:
            InvalidState: there is none.
        """
        server = self._pop_theirs()
        self._local_sdp, self._peer_offer = sdp, server.request.sdp
        self._accept(server, sdp, now)

    def refuse(self, status: int, now: float) -> None:
        """Refuse the peer's offer.

        Raises:
            InvalidState: there is none.
        """
        self._line.respond(self._pop_theirs(), status, now)

    # Ours.

    def offer(self, sdp: bytes, now: float) -> None:
        """Send a re-INVITE.

        Raises:
            InvalidState: another change is under way.
        """
        if self._is_busy or self._ours is not None:
            raise InvalidState("one change of the session at a time")
        self._begin(sdp, now, is_refresh=False)

    def stop(self, now: float) -> None:
        """The call is over: answer what is open, and let nothing happen any more."""
        self.timer.stop()
        if self._acceptance is not None:
            self._acceptance.stop()
            self._acceptance = None
        self._cancel_alarm()
        if self._theirs is not None:
            self._line.respond(self._pop_theirs(), 487, now)

    @property
    def _is_busy(self) -> bool:
        return self._is_sent or self._theirs is not None or self._acceptance is not None

    def _refresh(self, now: float) -> None:
        if self._is_busy or self._ours is not None:
            self.timer.postpone(now)
        elif self.offers_updates:
            self._send_update(now)
        else:
            self._begin(self._local_sdp, now, is_refresh=True)

    def _begin(self, sdp: bytes, now: float, *, is_refresh: bool) -> None:
        self._ours, self._is_refresh, self._tries = sdp, is_refresh, 0
        self._send_invite(now)

    def _send_invite(self, now: float) -> None:
        if self._is_busy:
            # The peer's change came while we waited to repeat ours.
            self._alarm = self._line.core.agenda.at(now + 1.0, self._send_invite)
            return
        sdp, self._is_sent = self._ours or b"", True
        self._tries += 1
        acked: set[int] = set()
        core = self._line.core
        # A provisional response stops the transaction's own patience, for good.
        self._alarm = core.agenda.at(now + 64 * core.profile.t1_s, self._lose_patience)

        def receive(reply: Response | Silence, now: float) -> None:
            status, reason = status_of(reply)
            if status < 200:
                return
            if isinstance(reply, Response) and status < 300:
                self._line.send_ack(reply.cseq.number)
                if acked or self._line.is_over:
                    return  # the 200 once more: our ACK got lost
                acked.add(reply.cseq.number)
                self._line.require_dialog().refresh_target(reply)
                self.timer.take(reply, now)
                self._conclude_accepted(sdp, reply.sdp, now)
            elif not self._line.is_over:
                self._conclude_refused(reply, status, reason, now)

        headers = (*self._line.core.abilities(), *self.timer.request_headers())
        self._line.send("INVITE", now, receive, headers, sdp)

    def _conclude_accepted(self, local: bytes, answer: bytes | None, now: float) -> None:
        self._conclude()
        self._ours = None
        if answer is None:
            self._line.on_lost(EndCause.BAD_ANSWER, now)
            return
        self._local_sdp, self._peer_offer = local, None
        if not self._is_refresh:
            self._line.tell(ReofferAccepted(self._line.handle, answer))

    def _conclude_refused(
        self, reply: Response | Silence, status: int, reason: str, now: float
    ) -> None:
        self._conclude()
        if status == REQUEST_PENDING and self._tries < MOST_TRIES:
            self._alarm = self._line.core.agenda.at(now + self._glare_wait_s(), self._send_invite)
            return
        if status == INTERVAL_TOO_SMALL and isinstance(reply, Response) and self._raise(reply):
            self._send_invite(now)
            return
        self._ours = None
        if self._is_refresh:
            self.timer.postpone(now)
        else:
            self._line.tell(ReofferRefused(self._line.handle, status, reason))
        self._line.is_lost(reply, now)

    def _conclude(self) -> None:
        self._is_sent = False
        self._cancel_alarm()

    def _cancel_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    def _lose_patience(self, now: float) -> None:
        silence = Silence(NO_RESPONSE, is_fault=False)
        self._conclude_refused(silence, *status_of(silence), now)

    def _raise(self, reply: Response) -> bool:
        try:
            return self._tries < MOST_TRIES and self.timer.raise_minimum(reply)
        except ProtocolError:
            return False

    def _send_update(self, now: float) -> None:
        """Refresh without an offer: nothing can collide with it."""

        def receive(reply: Response | Silence, now: float) -> None:
            status, _ = status_of(reply)
            if status < 200 or self._line.is_over:
                return
            if isinstance(reply, Response) and status < 300:
                self._line.require_dialog().refresh_target(reply)
                self.timer.take(reply, now)
            elif status in LOST:
                self._line.is_lost(reply, now)
            else:
                if isinstance(reply, Response) and status == INTERVAL_TOO_SMALL:
                    self._raise(reply)
                self.offers_updates = status in (REQUEST_PENDING, INTERVAL_TOO_SMALL, 500, 503)
                self.timer.postpone(now)

        headers = (*self._line.core.abilities(), *self.timer.request_headers())
        self._line.send("UPDATE", now, receive, headers)

    def _accept(self, server: ServerTransaction, sdp: bytes, now: float) -> None:
        headers = (*self._line.core.abilities(), *self.timer.accept(server.request, now))
        response = self._line.respond(server, 200, now, headers, sdp)
        if server.request.method == "INVITE":
            self.await_ack(server, response, now, is_offer=server.request.sdp is None)

    def _pop_theirs(self) -> ServerTransaction:
        if self._theirs is None:
            raise InvalidState("the peer changes nothing")
        server, self._theirs = self._theirs, None
        return server

    def _glare_wait_s(self) -> float:
        """Return how long to wait, in units of 10 ms (section 14.1)."""
        fraction = int.from_bytes(self._line.core.random(2), "big") / 65536
        return 2.1 + round(1.9 * fraction, 2) if self.is_caller else round(2.0 * fraction, 2)


def takes_updates(message: Message) -> bool:
    """Tell whether the peer lists UPDATE in Allow."""
    try:
        return "update" in message.headers.tokens("Allow")
    except ProtocolError:
        return False
