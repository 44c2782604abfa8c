"""One call's dialog: how requests are sent in it, and answered."""

from __future__ import annotations

from collections.abc import Callable

from bridges.wire.close import InvalidState
from bridges.wire.sip.core import Core
from bridges.wire.sip.dialog import Dialog
from bridges.wire.sip.digest import Prover
from bridges.wire.sip.event import CallEvent, CallHandle, EndCause, HeaderFields
from bridges.wire.sip.layer import ClientTransaction, OnReply, ServerTransaction, Silence
from bridges.wire.sip.message import Request, Response
from bridges.wire.sip.reply import respond

MOST_ATTEMPTS = 3
"""How often a request is sent anew because its proof was asked for, or had grown stale."""
LOST = (408, 481)
"""Statuses that say the peer has forgotten the whole dialog (RFC 5057 section 5.1)."""


class Line:
    """What the parts of a call share.

    Attributes:
        handle: the call's.
        dialog: None until there is one.
        is_over: whether the call has ended; replies may still come.
        on_lost: what to call when the dialog turns out to be gone.
    """

    def __init__(self, core: Core, handle: CallHandle, prover: Prover | None = None) -> None:
        self.core = core
        self.handle = handle
        self.prover = prover
        self.dialog: Dialog | None = None
        self.is_over = False
        self.on_lost: Callable[[EndCause, float], None] = lambda _cause, _now: None

    def tell(self, event: CallEvent) -> None:
        """Tell the driver something of this call, unless it is over."""
        if not self.is_over:
            self.core.tell(event)

    def require_dialog(self) -> Dialog:
        """Return the dialog.

        Raises:
            InvalidState: there is none yet.
        """
        if self.dialog is None:
            raise InvalidState("not before the call is answered")
        return self.dialog

    def send(
        self,
        method: str,
        now: float,
        on_reply: OnReply,
        headers: HeaderFields = (),
        body: bytes = b"",
        content_type: str = "application/sdp",
        attempt: int = 1,
    ) -> ClientTransaction:
        """Send a request in the dialog; a challenge is answered and the request sent again."""
        dialog = self.require_dialog()
        everything = (*headers, *self.core.identity("User-Agent"))
        request = dialog.request(method, everything, body, content_type)
        self.prove(request)
        target, fallback = dialog.next_hop()

        def receive(reply: Response | Silence, now: float) -> None:
            if (
                isinstance(reply, Response)
                and reply.status in (401, 407)
                and attempt < MOST_ATTEMPTS
                and self.prover is not None
                and self.prover.take(reply)
            ):
                self.send(method, now, on_reply, headers, body, content_type, attempt + 1)
                return
            if isinstance(reply, Response) and reply.flow is not None:
                dialog.flow = reply.flow
            on_reply(reply, now)

        return self.core.layer.request(request, target, now, receive, fallback)

    def prove(self, request: Request) -> None:
        """Add the proofs that were asked for before."""
        if self.prover is not None:
            for name, value in self.prover.headers(request.method, request.uri_text):
                request.headers.append_received(name, value)

    def send_ack(self, cseq: int) -> None:
        """Acknowledge the 2xx to the INVITE with that number; once more for each of them."""
        dialog = self.require_dialog()
        ack = dialog.ack(cseq, self.core.identity("User-Agent"))
        self.core.layer.send_ack(ack, dialog.next_hop()[0])

    def respond(
        self,
        server: ServerTransaction,
        status: int,
        now: float,
        headers: HeaderFields = (),
        body: bytes = b"",
        reason: str = "",
    ) -> Response:
        """Answer a request of this dialog; return the response."""
        dialog = self.require_dialog()
        if status >= 300:
            self.core.count_refusal(status)
        elif status > 100 and server.request.method in ("INVITE", "UPDATE", "REFER"):
            headers = (("Contact", dialog.contact), *headers)
        response = respond(
            server.request,
            status,
            tag=dialog.local.tag,
            reason=reason,
            headers=(*headers, *self.core.identity("Server")),
            body=body,
        )
        self.core.layer.respond(server, response, now)
        return response

    def is_lost(self, reply: Response | Silence, now: float) -> bool:
        """Tell whether the reply says that the dialog is gone; if so, the call ends."""
        if isinstance(reply, Response) and reply.status not in LOST:
            return False
        self.on_lost(EndCause.DIALOG_LOST, now)
        return True


def status_of(reply: Response | Silence) -> tuple[int, str]:
    """Return a reply's status and reason; 408 for none."""
    if isinstance(reply, Silence):
        return 408, reply.detail
    return reply.status, reply.reason
