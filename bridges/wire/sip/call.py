"""One call: its parts, what each request within it goes to, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum, auto

from bridges.wire.close import InvalidState
from bridges.wire.sip.core import Core
from bridges.wire.sip.dialog import Dialog
from bridges.wire.sip.event import CallHandle, EndCause, Ended, HeaderFields, Released
from bridges.wire.sip.header import readable
from bridges.wire.sip.incoming import Incoming
from bridges.wire.sip.keypad import Keypad
from bridges.wire.sip.layer import ServerTransaction, Silence
from bridges.wire.sip.line import Line
from bridges.wire.sip.message import Request, Response
from bridges.wire.sip.outgoing import Outgoing
from bridges.wire.sip.reoffer import Reoffers
from bridges.wire.sip.transfer import Transfer


class Phase(Enum):
    """How far a call is."""

    RINGING = auto()
    """Not answered, whoever called."""
    ANSWERED = auto()
    CLOSING = auto()
    """We hang up: the BYE is sent, or waits for an ACK."""
    OVER = auto()


class Call:
    """One call.

    Attributes:
        phase: how far it is.
        line: its dialog.
        incoming: its INVITE if it came in.
        outgoing: its INVITE if it went out.
    """

    def __init__(
        self, core: Core, line: Line, on_over: Callable[[Call], None], *, is_caller: bool
    ) -> None:
        self.phase = Phase.RINGING
        self.line = line
        self.reoffers = Reoffers(line, is_caller=is_caller)
        self.transfer = Transfer(line)
        self.keypad = Keypad(line)
        self.incoming: Incoming | None = None
        self.outgoing: Outgoing | None = None
        self._core = core
        self._on_over = on_over
        self._farewell: HeaderFields | None = None
        line.on_lost = self.lose

    @property
    def handle(self) -> CallHandle:
        """What the driver calls it."""
        return self.line.handle

    def require_answered(self) -> None:
        """Ask for a call that can be changed.

        Raises:
            InvalidState: it is not answered, or is being hung up.
        """
        if self.phase is not Phase.ANSWERED:
            raise InvalidState(f"the call is {self.phase.name.lower()}")

    def answered(self) -> None:
        """Take note that it is answered."""
        self.phase = Phase.ANSWERED

    # What the peer sends within it.

    def receive(self, server: ServerTransaction, now: float) -> None:
        """Take a request of this dialog, other than ACK and CANCEL."""
        request, line = server.request, self.line
        dialog = line.require_dialog()
        dialog.flow = request.flow or dialog.flow
        if not dialog.accepts(request):
            # Section 12.2.2: older than what we have had.
            line.respond(server, 500, now)
            return
        match request.method:
            case "BYE":
                self._receive_bye(server, now)
            case "OPTIONS":
                line.respond(server, 200, now, self._core.abilities())
            case "INFO" if self.phase is Phase.ANSWERED:
                self.keypad.receive(server, now)
            case "NOTIFY" if self.phase is Phase.ANSWERED:
                self.transfer.receive_notify(server, now)
            case "REFER" if self.phase is Phase.ANSWERED:
                self.transfer.receive_refer(server, now)
            case "INVITE" | "UPDATE" if self.phase is Phase.ANSWERED:
                self.reoffers.receive(server, now)
            case "INVITE" | "UPDATE" if self.phase is Phase.RINGING:
                line.respond(server, 491, now)
            case _:
                line.respond(server, 481, now)

    def receive_ack(self, request: Request, now: float) -> bool:
        """Take an ACK of a 200; return whether it was waited for."""
        if not self.reoffers.receive_ack(request, now):
            return False
        if self._farewell is not None:
            self._send_bye(self._farewell, now)
        return True

    def _receive_bye(self, server: ServerTransaction, now: float) -> None:
        request = server.request
        self.line.respond(server, 200, now)
        if self.incoming is not None and self.incoming.is_open:
            # The caller may end an early dialog so too (section 15).
            self.incoming.cancel(request, now)
        elif self.phase is Phase.ANSWERED:
            reason = ", ".join(readable(each) for each in request.headers.lines("Reason"))
            headers = request.headers.readable()
            self._over(Ended(self.handle, EndCause.BYE, reason, headers), now)
        elif self._farewell is not None:
            # They hung up while our BYE waited for their ACK.
            self._over(Released(self.handle, answered=True), now)

    # How we end it.

    def bye(self, headers: HeaderFields, now: float) -> None:
        """Hang up.

        Raises:
            InvalidState: it is not answered, or is being hung up.
        """
        self.require_answered()
        self.phase = Phase.CLOSING
        if self.reoffers.is_waiting_for_ack:
            self._farewell = headers
        else:
            self._send_bye(headers, now)

    def lose(self, cause: EndCause, now: float) -> None:
        """End it because it cannot go on; the peer gets a BYE, in case it is there."""
        if self._farewell is not None:
            self._send_bye(self._farewell, now)
        elif self.phase is Phase.ANSWERED:
            self.line.send("BYE", now, _ignore)
            self._over(Ended(self.handle, cause), now)

    def abandon(self, now: float) -> None:
        """Take note that its INVITE came to nothing; the driver knows."""
        self.phase = Phase.OVER
        self.line.is_over = True
        self._stop(now)
        self._on_over(self)

    def snapshot(self) -> str | None:
        """Return what a BYE needs, as JSON; None while there is no dialog."""
        dialog = self.line.dialog
        if dialog is None:
            return None
        return json.dumps({"call": self.handle, "dialog": dialog.to_json()})

    def restore(self, dialog: Dialog) -> None:
        """Take over a dialog that another process had."""
        self.line.dialog = dialog
        self.phase = Phase.ANSWERED

    def _send_bye(self, headers: HeaderFields, now: float) -> None:
        self._farewell = None
        self._stop(now)

        def receive(reply: Response | Silence, now: float) -> None:
            if isinstance(reply, Silence) or reply.is_final:
                # 481 is an answer too: the peer knows of no call.
                self._over(Released(self.handle, isinstance(reply, Response)), now)

        self.line.send("BYE", now, receive, headers)

    def _over(self, event: Ended | Released, now: float) -> None:
        self.line.tell(event)
        self.abandon(now)

    def _stop(self, now: float) -> None:
        self.reoffers.stop(now)
        self.transfer.stop(now)


def _ignore(_reply: Response | Silence, _now: float) -> None:
    """Take the answer to a BYE nobody waits for."""
