"""A call that goes out, until it is answered or comes to nothing (RFC 3261 section 13.2)."""

from __future__ import annotations

from collections.abc import Callable

from bridges.wire.close import InvalidState
from bridges.wire.sip.agenda import Alarm
from bridges.wire.sip.dialog import Dialog
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import (
    Answered,
    EarlyMedia,
    Failed,
    HeaderFields,
    Ringing,
    Unreachable,
)
from bridges.wire.sip.flow import Destination, Flow
from bridges.wire.sip.header import Headers, readable
from bridges.wire.sip.layer import ClientTransaction, Silence
from bridges.wire.sip.line import MOST_ATTEMPTS, Line
from bridges.wire.sip.message import Request, Response
from bridges.wire.sip.reoffer import Reoffers, takes_updates
from bridges.wire.sip.reply import cancel_of, credentials_of
from bridges.wire.sip.session_timer import INTERVAL_TOO_SMALL

REQUEST_TERMINATED = 487
MOST_FORKS = 16
"""Phones that one INVITE of ours may reach; more is an attack."""
NO_SDP = "no SDP in the answer"


class Outgoing:
    """One INVITE, its forks and its end.

    Attributes:
        is_open: whether nothing final is known.
    """

    def __init__(
        self,
        line: Line,
        reoffers: Reoffers,
        destination: Destination,
        sdp: bytes,
        on_answer: Callable[[Dialog], None],
        on_over: Callable[[float], None],
    ) -> None:
        self.is_open = True
        self._line = line
        self._reoffers = reoffers
        self._destination = destination
        self._sdp = sdp
        self._on_answer = on_answer
        self._on_over = on_over
        self._heard: ClientTransaction | None = None
        self._attempts = 0
        self._early: dict[str, bytes] = {}
        self._forks = 0
        self._cancel_reason: str | None = None
        self._cancel_sent = False
        self._patience: Alarm | None = None
        self._winner = ""

    def start(self, uri_text: str, headers: Headers, cseq: int, now: float) -> None:
        """Send the INVITE, with a number of its own and what was asked for before."""
        self._attempts += 1
        fresh = Headers(
            each for each in headers if each[0] not in ("CSeq", "Session-Expires", "Min-SE")
        )
        fresh.add("CSeq", f"{cseq} INVITE")
        for name, value in self._reoffers.timer.request_headers():
            fresh.add(name, value)
        request = Request("INVITE", uri_text, fresh, self._sdp)
        self._line.prove(request)

        def receive(reply: Response | Silence, now: float) -> None:
            if isinstance(reply, Silence):
                self._fall_silent(reply, now)
            else:
                self._receive(reply, client, headers, now)

        client = self._line.core.layer.request(request, self._destination, now, receive)

    def cancel(self, reason: str, now: float) -> None:
        """Give the call up.

        Raises:
            InvalidState: it is answered, or given up already.
        """
        if not self.is_open or self._cancel_reason is not None:
            raise InvalidState("there is nothing to give up")
        self._cancel_reason = reason
        # Not before there was a provisional response (section 9.1).
        if self._heard is not None:
            self._send_cancel(self._heard, now)

    def _send_cancel(self, client: ClientTransaction, now: float) -> None:
        if self._cancel_sent:
            return
        self._cancel_sent = True
        layer = self._line.core.layer
        request = cancel_of(client.request, self._cancel_reason or "")
        branch = client.request.vias[0].branch
        layer.request(request, client.target, now, _ignore, branch=branch)
        wait_s = 64 * self._line.core.profile.t1_s
        self._patience = self._line.core.agenda.at(now + wait_s, self._lose_patience)

    def _lose_patience(self, now: float) -> None:
        self._fail(REQUEST_TERMINATED, "no final response to CANCEL", now)

    def _fall_silent(self, silence: Silence, now: float) -> None:
        if self._cancel_reason is not None:
            self._fail(REQUEST_TERMINATED, silence.detail, now)
        else:
            self._over(Unreachable(self._line.handle, silence.detail), now)

    def _receive(
        self, response: Response, client: ClientTransaction, plan: Headers, now: float
    ) -> None:
        request, status = client.request, response.status
        if status < 200:
            self._heard = client
            self._take_provisional(response, client, now)
        elif status < 300:
            self._take_answer(response, request, now)
        elif self.is_open:
            if self._cancel_reason is None and self._can_retry(response):
                self._heard = None
                self.start(request.uri_text, plan, request.cseq.number + 1, now)
            else:
                reason = readable(response.reason)
                self._fail(status, reason, now, response.headers.readable())

    def _can_retry(self, response: Response) -> bool:
        """Tell whether asking again makes sense: with a proof, or for a longer session."""
        if self._attempts >= MOST_ATTEMPTS:
            return False
        if response.status in (401, 407):
            prover = self._line.prover
            return prover is not None and prover.take(response)
        try:
            return response.status == INTERVAL_TOO_SMALL and self._reoffers.timer.raise_minimum(
                response
            )
        except ProtocolError:
            return False

    def _take_provisional(self, response: Response, client: ClientTransaction, now: float) -> None:
        if not self.is_open:
            return
        if self._cancel_reason is not None:
            self._send_cancel(client, now)
            return
        if response.status == 100:
            return
        handle, sdp = self._line.handle, response.sdp
        if sdp is not None and len(self._early) < MOST_FORKS:
            self._early[response.to_address.tag] = sdp
        if sdp is None or response.status != 183:
            self._line.tell(Ringing(handle, response.status))
        if sdp is not None:
            self._line.tell(EarlyMedia(handle, response.status, sdp))

    def _take_answer(self, response: Response, request: Request, now: float) -> None:
        """Acknowledge every 2xx: the first, the same again, and those of other forks."""
        tag = response.to_address.tag
        is_first = self.is_open
        if not is_first and tag == self._winner and self._line.dialog is not None:
            self._acknowledge(self._line.dialog, request)
            return
        if self._forks >= MOST_FORKS:
            return
        self._forks += 1
        dialog = self._dialog_of(response, request)
        self._acknowledge(dialog, request)
        if not is_first:
            self._hang_up(dialog, now)
            return
        # Some leave the answer out that their 183 had.
        sdp = response.sdp or self._early.get(tag)
        self._winner = tag
        if self._cancel_reason is not None or sdp is None:
            status = 488 if self._cancel_reason is None else REQUEST_TERMINATED
            reason = NO_SDP if self._cancel_reason is None else "answered while it was given up"
            self._hang_up(dialog, now)
            self._fail(status, reason, now, is_answered=True)
            return
        self.is_open = False
        self._reoffers.establish(self._sdp, None)
        self._reoffers.offers_updates = takes_updates(response)
        self._on_answer(dialog)
        self._reoffers.timer.take(response, now)
        self._line.tell(Answered(self._line.handle, sdp, response.headers.readable()))

    def _dialog_of(self, response: Response, request: Request) -> Dialog:
        contact = request.headers.require("Contact")
        there = self._destination
        flow = response.flow or Flow(there.transport, there.host, there.port)
        return Dialog.of_client(request, response, contact, there.transport, flow)

    def _acknowledge(self, dialog: Dialog, request: Request) -> None:
        # The ACK carries the INVITE's proofs (RFC 3261 section 22.1).
        headers = (*credentials_of(request), *self._line.core.identity("User-Agent"))
        ack = dialog.ack(request.cseq.number, headers)
        self._line.core.layer.send_ack(ack, dialog.next_hop()[0])

    def _hang_up(self, dialog: Dialog, now: float) -> None:
        target, fallback = dialog.next_hop()
        self._line.core.layer.request(dialog.request("BYE"), target, now, _ignore, fallback)

    def _fail(
        self,
        status: int,
        reason: str,
        now: float,
        headers: HeaderFields = (),
        *,
        is_answered: bool = False,
    ) -> None:
        self._over(Failed(self._line.handle, status, reason, headers, is_answered), now)

    def _over(self, event: Failed | Unreachable, now: float) -> None:
        self.is_open = False
        if self._patience is not None:
            self._patience.cancel()
        self._line.tell(event)
        self._on_over(now)


def _ignore(_reply: Response | Silence, _now: float) -> None:
    """Take the answer to a CANCEL or to the BYE of a fork: neither changes anything."""
