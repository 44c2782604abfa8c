"""A call that comes in, until it is answered or refused (RFC 3261 section 13.3)."""

from __future__ import annotations

from collections.abc import Callable

from bridges.wire.close import InvalidState
from bridges.wire.sip.digest import Credentials, Verdict, Verifier
from bridges.wire.sip.event import Cancelled, HeaderFields, Released
from bridges.wire.sip.header import readable
from bridges.wire.sip.layer import ServerTransaction
from bridges.wire.sip.line import Line
from bridges.wire.sip.message import Request
from bridges.wire.sip.reoffer import Reoffers, takes_updates


class Incoming:
    """One INVITE and what we answer to it.

    Attributes:
        server: the INVITE's transaction.
        is_open: whether it has had no final response.
    """

    def __init__(
        self,
        line: Line,
        server: ServerTransaction,
        reoffers: Reoffers,
        verifier: Verifier,
        on_over: Callable[[float], None],
    ) -> None:
        self.server = server
        self.is_open = True
        self._line = line
        self._reoffers = reoffers
        self._verifier = verifier
        self._on_over = on_over
        server.on_cancel = self.cancel

    def ring(self, now: float) -> None:
        """Send 180.

        Raises:
            InvalidState: it has its final response.
        """
        self._require_open()
        self._line.respond(self.server, 180, now)

    def progress(self, sdp: bytes, now: float) -> None:
        """Send 183 with SDP.

        Raises:
            InvalidState: it has its final response, or made no offer.
        """
        self._require_open()
        if self.server.request.sdp is None:
            raise InvalidState("no early media without an offer")
        self._line.respond(self.server, 183, now, body=sdp)

    def answer(self, sdp: bytes, now: float, headers: HeaderFields) -> None:
        """Send 200.

        Raises:
            InvalidState: it has its final response.
        """
        self._require_open()
        self.is_open = False
        self.server.on_cancel = None
        request = self.server.request
        self._reoffers.establish(sdp, request.sdp)
        self._reoffers.offers_updates = takes_updates(request)
        timer = self._reoffers.timer.accept(request, now)
        more = (*self._line.core.abilities(), *timer, *headers)
        response = self._line.respond(self.server, 200, now, more, sdp)
        self._reoffers.await_ack(self.server, response, now, is_offer=request.sdp is None)

    def reject(self, status: int, now: float, reason: str = "", headers: HeaderFields = ()) -> None:
        """Send a final response other than 2xx; `Released` follows once it is acknowledged.

        Raises:
            InvalidState: it has its final response, or the status is none.
        """
        self._require_open()
        if not 300 <= status < 700:
            raise InvalidState("a status from 300 to 699")

        def end(is_acked: bool, _now: float) -> None:
            self._line.core.tell(Released(self._line.handle, is_acked))

        self._close(status, now, reason, headers)
        self.server.on_end = end
        # The transaction waits for the ACK alone: who sends none must not keep a call's place.
        self._on_over(now)

    def cancel(self, request: Request, now: float) -> None:
        """The caller hung up: send 487."""
        self._close(487, now)
        reason = ", ".join(readable(each) for each in request.headers.lines("Reason"))
        self._line.tell(Cancelled(self._line.handle, reason))
        self._on_over(now)

    def authenticate(self, realm: str, credentials: Credentials, now: float) -> bool:
        """Tell whether the INVITE proves to know the credentials; if not, challenge its caller.

        Raises:
            InvalidState: it has its final response.
        """
        self._require_open()
        host = self.server.flow.host
        verdict = self._verifier.check(self.server.request, realm, credentials, host, now)
        if verdict is Verdict.PROVEN:
            return True
        challenges = self._verifier.challenge(realm, host, now, is_stale=verdict is Verdict.STALE)
        self.reject(401, now, headers=challenges)
        return False

    def _close(self, status: int, now: float, reason: str = "", headers: HeaderFields = ()) -> None:
        self.is_open = False
        self.server.on_cancel = None
        self._line.respond(self.server, status, now, headers, reason=reason)

    def _require_open(self) -> None:
        if not self.is_open:
            raise InvalidState("the call has had its answer")
