"""To which call a message goes, and what becomes of one that goes to none."""

from __future__ import annotations

from collections.abc import Callable

from bridges.wire.sip.admission import refusal_of
from bridges.wire.sip.call import Call
from bridges.wire.sip.core import Core
from bridges.wire.sip.dialog import Dialog
from bridges.wire.sip.digest import Verifier, claimed_username
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import CallHandle, Invited
from bridges.wire.sip.flow import Flow, Target
from bridges.wire.sip.header import readable
from bridges.wire.sip.incoming import Incoming
from bridges.wire.sip.layer import ServerTransaction
from bridges.wire.sip.line import Line
from bridges.wire.sip.message import Request, Response, parse_message
from bridges.wire.sip.profile import Profile
from bridges.wire.sip.reply import respond
from bridges.wire.sip.session_timer import INTERVAL_TOO_SMALL

_FIRST_CSEQ = 1


class Router:
    """All calls of an endpoint.

    Attributes:
        calls: by handle.
    """

    def __init__(self, profile: Profile, random: Callable[[int], bytes]) -> None:
        self.core = Core(profile, random)
        self.calls: dict[CallHandle, Call] = {}
        self._dialogs: dict[tuple[str, str], Call] = {}
        self._verifier = Verifier(random(32), profile.digest_algorithms)

    def add(self, call: Call) -> None:
        """Take a new call in."""
        self.calls[call.handle] = call

    def index(self, call: Call) -> None:
        """Take note of a call's dialog, so that requests find it."""
        dialog = call.line.require_dialog()
        self._dialogs[dialog.call_id, dialog.local.tag] = call

    def forget(self, call: Call) -> None:
        """Let go of a call that is over."""
        self.calls.pop(call.handle, None)
        dialog = call.line.dialog
        if dialog is not None:
            self._dialogs.pop((dialog.call_id, dialog.local.tag), None)

    @property
    def is_full(self) -> bool:
        """Whether there is no place for another call."""
        return len(self.calls) >= self.core.profile.limits.calls

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """Take one message.

        Raises:
            ProtocolError: it came on a stream and is no SIP.
        """
        if not data.strip(b"\r\n\0"):
            return  # keeps a NAT's hole open
        try:
            message = parse_message(data)
            message.flow = flow
            if isinstance(message, Response):
                message.check()
                if not self.core.layer.receive_response(message, now):
                    self.core.counters.stray_responses += 1
            else:
                self._receive_request(message, flow, now)
        except ProtocolError as error:
            self.core.counters.malformed += 1
            if flow.transport.is_reliable and error.status == 400:
                raise

    def fault(self, target: Target, detail: str, now: float) -> None:
        """Take note that there is no way to `target`."""
        for call in self._dialogs.values() if target.transport.is_reliable else ():
            dialog = call.line.dialog
            if dialog is not None and dialog.flow == target:
                dialog.flow = None
        self.core.layer.fault(target, detail, now)

    def _receive_request(self, request: Request, flow: Flow, now: float) -> None:
        try:
            request.check()
        except ProtocolError as error:
            if request.method != "ACK":
                self.core.refuse_statelessly(request, flow, error.status)
            raise
        layer = self.core.layer
        if request.method == "ACK":
            call = self._call_of(request)
            is_known = layer.receive_ack(request, now) or (
                call is not None and call.receive_ack(request, now)
            )
            self.core.counters.stray_acks += not is_known
            return
        is_known = layer.is_known(request)
        if not is_known and self._is_overloaded(request):
            self.core.counters.overloads += 1
            retry_after = (("Retry-After", str(self.core.profile.limits.retry_after_s)),)
            self.core.refuse_statelessly(request, flow, 503, retry_after)
            return
        server = layer.receive_request(request, flow, now)
        if server is None:
            self.core.counters.retransmissions += 1
            return
        try:
            self._receive_new(server, now)
        except ProtocolError as error:
            self.core.refuse(server, error.status, now)
            raise

    def _is_overloaded(self, request: Request) -> bool:
        if request.method in ("BYE", "CANCEL"):
            return False
        limits = self.core.profile.limits
        if len(self.core.layer.servers) >= limits.server_transactions:
            return True
        return request.method == "INVITE" and not request.to_address.tag and self.is_full

    def _receive_new(self, server: ServerTransaction, now: float) -> None:
        request = server.request
        if request.method == "CANCEL":
            self._cancel(server, now)
            return
        refusal = refusal_of(request)
        if refusal is not None:
            self.core.refuse(server, refusal.status, now, refusal.headers)
        elif request.to_address.tag:
            call = self._call_of(request)
            if call is None:
                self.core.counters.unknown_dialogs += 1
                self.core.refuse(server, 481, now)
            else:
                call.receive(server, now)
        elif self.core.layer.is_merged(server):
            self.core.refuse(server, 482, now)
        else:
            self._receive_outside(server, now)

    def _receive_outside(self, server: ServerTransaction, now: float) -> None:
        """Take a request that is of no dialog."""
        match server.request.method:
            case "INVITE":
                self._invited(server, now)
            case "OPTIONS":
                # Able to answer is not the same as free: who asks wants to know the former.
                headers = (*self.core.abilities(), *self.core.identity("Server"))
                tag = self.core.token()
                response = respond(server.request, 200, tag=tag, headers=headers)
                self.core.layer.respond(server, response, now)
            case "REFER":
                self.core.refuse(server, 403, now)
            case "NOTIFY" if "refer" not in (server.request.headers.get("Event") or "").lower():
                # A PBX that tells of waiting messages unasked.
                self.core.refuse(server, 489, now, (("Allow-Events", "refer"),))
            case _:
                self.core.counters.unknown_dialogs += 1
                self.core.refuse(server, 481, now)

    def _invited(self, server: ServerTransaction, now: float) -> None:
        core, request, flow = self.core, server.request, server.flow
        tag = core.token()
        handle = CallHandle(tag)
        user = request.uri.user or core.profile.contact_user
        contact = core.contact(flow.transport, user.partition(";")[0])
        line = Line(core, handle)
        line.dialog = Dialog.of_server(request, tag, contact, _FIRST_CSEQ, flow)
        call = Call(core, line, self.forget, is_caller=False)
        too_small = call.reoffers.timer.refuses(request)
        if too_small is not None:
            core.refuse(server, INTERVAL_TOO_SMALL, now, too_small, tag=tag)
            return
        call.incoming = Incoming(line, server, call.reoffers, self._verifier, call.abandon)
        self.add(call)
        self.index(call)
        core.layer.respond(server, respond(request, 100), now)
        core.tell(
            Invited(
                call=handle,
                flow=flow,
                request_uri=request.uri,
                caller=request.from_address,
                callee=request.to_address,
                call_id=readable(request.call_id),
                headers=request.headers.readable(),
                sdp=request.sdp,
                username=claimed_username(request),
            )
        )

    def _cancel(self, server: ServerTransaction, now: float) -> None:
        """Answer CANCEL, then what it cancels, if that is still to be answered (section 9.2)."""
        invite = self.core.layer.cancelled_by(server.request)
        if invite is None:
            self.core.refuse(server, 481, now)
            return
        tag = self.core.token()
        self.core.layer.respond(server, respond(server.request, 200, tag=tag), now)
        if invite.on_cancel is not None:
            invite.on_cancel(server.request, now)

    def _call_of(self, request: Request) -> Call | None:
        """Return the call whose dialog the request is of, whatever it came on."""
        call = self._dialogs.get((request.call_id, request.to_address.tag))
        if call is None or call.line.dialog is None:
            return None
        return call if call.line.dialog.remote.tag == request.from_address.tag else None
