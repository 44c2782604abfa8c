"""A 200 to an INVITE, sent again until its ACK comes (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

from collections.abc import Callable

from bridges.wire.sip.agenda import Alarm
from bridges.wire.sip.core import Core
from bridges.wire.sip.layer import ServerTransaction
from bridges.wire.sip.message import Response
from bridges.wire.sip.profile import T2_S


class Acceptance:
    """One 200 that waits for its ACK; over TCP too, for what gets lost may get lost a hop on.

    Attributes:
        cseq: the number that the ACK must have.
        is_offer: whether the 200 carries our offer, so that the ACK must carry an answer.
    """

    def __init__(
        self,
        core: Core,
        server: ServerTransaction,
        response: Response,
        now: float,
        on_timeout: Callable[[float], None],
        *,
        is_offer: bool,
    ) -> None:
        self.cseq = server.request.cseq.number
        self.is_offer = is_offer
        self._core = core
        self._server = server
        self._response = response
        self._on_timeout = on_timeout
        self._wait_s = core.profile.t1_s
        self._again: Alarm = core.agenda.at(now + self._wait_s, self._resend)
        self._end: Alarm = core.agenda.at(now + 64 * core.profile.t1_s, self._give_up)

    def stop(self) -> None:
        """The ACK is here, or nobody wants it any more."""
        self._again.cancel()
        self._end.cancel()

    def _resend(self, now: float) -> None:
        self._core.layer.respond(self._server, self._response, now)
        self._wait_s = min(2 * self._wait_s, T2_S)
        self._again = self._core.agenda.at(now + self._wait_s, self._resend)

    def _give_up(self, now: float) -> None:
        self.stop()
        self._on_timeout(now)
