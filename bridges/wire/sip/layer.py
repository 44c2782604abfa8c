"""The transaction layer: which message belongs to which transaction, and what is sent again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bridges.wire.sip import reply
from bridges.wire.sip.agenda import Agenda, Alarm
from bridges.wire.sip.flow import Destination, Flow, Send, Target
from bridges.wire.sip.message import Request, Response
from bridges.wire.sip.profile import Profile
from bridges.wire.sip.transaction import Action, Input, Kind, State, Transaction
from bridges.wire.sip.via import BRANCH_COOKIE

NO_RESPONSE = "no response"

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Silence:
    """What came instead of a response.

    Attributes:
        detail: the transport's words, or `NO_RESPONSE`.
        is_fault: whether it could not be sent.
    """

    detail: str
    is_fault: bool


OnReply = Callable[[Response | Silence, float], None]
"""Takes each provisional response, then the final one or a `Silence`; of an INVITE, each 2xx."""
OnCancel = Callable[[Request, float], None]
"""Takes the CANCEL of an INVITE that has no final response."""
OnEnd = Callable[[bool, float], None]
"""Takes whether an INVITE's final response, other than 2xx, was acknowledged."""


@dataclass(eq=False)
class ClientTransaction:
    """A request we sent.

    Attributes:
        request: with our Via.
        target: where it goes.
        fallback: where it goes if there is no way to that.
    """

    machine: Transaction
    request: Request
    target: Target
    fallback: Destination | None
    on_reply: OnReply
    alarm: Alarm | None = None


@dataclass(eq=False)
class ServerTransaction:
    """A request we received.

    Attributes:
        request: with where it really came from in its Via.
        flow: what it came on.
        target: where responses go.
        response: the last one sent, as octets.
    """

    machine: Transaction
    request: Request
    flow: Flow
    target: Target
    key: Key
    response: bytes = b""
    on_cancel: OnCancel | None = None
    on_end: OnEnd | None = None
    alarm: Alarm | None = None

    @property
    def is_answered(self) -> bool:
        """Whether it has had its final response."""
        return self.machine.state not in (State.TRYING, State.PROCEEDING)


@dataclass
class Layer:
    """All transactions of an endpoint.

    Attributes:
        outgoing: what is to be sent, in order; whoever sends it clears it.
        servers: requests we received, by what tells them apart.
    """

    profile: Profile
    agenda: Agenda
    random: Callable[[int], bytes]
    outgoing: list[Send] = field(default_factory=list)
    servers: dict[Key, ServerTransaction] = field(default_factory=dict)
    _clients: dict[Key, ClientTransaction] = field(default_factory=dict)
    _merged: dict[Key, Key] = field(default_factory=dict)

    # Requests we send.

    def request(
        self,
        request: Request,
        target: Target,
        now: float,
        on_reply: OnReply,
        fallback: Destination | None = None,
        branch: str = "",
    ) -> ClientTransaction:
        """Send a request that has no Via yet, and again until a response comes.

        `branch` is the INVITE's for its CANCEL, else a new one.
        """
        branch = branch or BRANCH_COOKIE + self.random(10).hex()
        request.headers.put_first("Via", self._via(target, branch))
        kind = Kind.INVITE_CLIENT if request.method == "INVITE" else Kind.CLIENT
        machine = Transaction(
            kind, now, is_reliable=target.transport.is_reliable, t1_s=self.profile.t1_s
        )
        client = ClientTransaction(machine, request, target, fallback, on_reply)
        self._clients[branch, request.method] = client
        self._send_request(client)
        self._set_alarm(client, now)
        return client

    def send_ack(self, request: Request, target: Target) -> None:
        """Send the ACK of a 2xx, which is no transaction (RFC 3261 section 13.2.2.4)."""
        via = self._via(target, BRANCH_COOKIE + self.random(10).hex())
        request.headers.put_first("Via", via)
        self.outgoing.append(Send(request.serialize(), target))

    def receive_response(self, response: Response, now: float) -> bool:
        """Take a response; return whether it answers something we sent."""
        key = (response.vias[0].branch, response.cseq.method)
        client = self._clients.get(key)
        if client is None:
            return False
        self._advance_client(client, Input.of_status(response.status), now, response)
        return True

    # Requests we receive.

    def receive_request(self, request: Request, flow: Flow, now: float) -> ServerTransaction | None:
        """Take a request other than ACK; return its transaction if it is new."""
        key = self._server_key(request)
        known = self.servers.get(key)
        if known is not None:
            self._advance_server(known, Input.REQUEST, now)
            return None
        vias = (request.vias[0].received_on(flow), *request.vias[1:])
        kind = Kind.INVITE_SERVER if request.method == "INVITE" else Kind.SERVER
        machine = Transaction(
            kind, now, is_reliable=flow.transport.is_reliable, t1_s=self.profile.t1_s
        )
        target = request.vias[0].return_address(flow)
        request.vias = vias
        server = ServerTransaction(machine, request, flow, target, key)
        self.servers[key] = server
        self._merged.setdefault(_merge_key(request), key)
        return server

    def is_known(self, request: Request) -> bool:
        """Tell whether the request has a transaction already."""
        return self._server_key(request) in self.servers

    def receive_ack(self, request: Request, now: float) -> bool:
        """Take an ACK; return whether it acknowledges a final response other than 2xx."""
        server = self.servers.get(self._server_key(request, "INVITE"))
        if server is None or server.machine.state is State.ACCEPTED:
            return False
        self._advance_server(server, Input.ACK, now)
        return True

    def cancelled_by(self, request: Request) -> ServerTransaction | None:
        """Return the INVITE that this CANCEL means (RFC 3261 section 9.2)."""
        return self.servers.get(self._server_key(request, "INVITE"))

    def is_merged(self, server: ServerTransaction) -> bool:
        """Tell whether this request came another way before (RFC 3261 section 8.2.2.2)."""
        return self._merged.get(_merge_key(server.request)) != server.key

    def respond(self, server: ServerTransaction, response: Response, now: float) -> None:
        """Send a response; of an INVITE, a 2xx may be sent again."""
        server.response = response.serialize()
        self._advance_server(server, Input.of_status(response.status), now)

    def respond_statelessly(self, request: Request, flow: Flow, response: Response) -> None:
        """Send a response and keep nothing of it."""
        self.outgoing.append(Send(response.serialize(), request.vias[0].return_address(flow)))

    # Transports.

    def fault(self, target: Target, detail: str, now: float) -> None:
        """Take note that there is no way to `target`."""
        for client in [each for each in self._clients.values() if each.target == target]:
            if client.fallback is not None and client.machine.state in (
                State.CALLING,
                State.TRYING,
            ):
                client.target, client.fallback = client.fallback, None
                self._send_request(client)
            else:
                silence = Silence(detail, is_fault=True)
                self._advance_client(client, Input.FAULT, now, silence)
        if not target.transport.is_reliable:
            return  # responses have no other way; a flood would have all be looked at for each
        for server in self.servers.values():
            if server.target == target and server.flow.transport.is_reliable:
                server.target = server.request.vias[0].fallback(server.flow)

    # Below: both kinds, one step.

    def _advance_client(
        self, client: ClientTransaction, event: Input, now: float, what: Response | Silence
    ) -> None:
        actions = client.machine.advance(event, now)
        self._set_alarm(client, now)
        for action in actions:
            match action:
                case Action.SEND:
                    self._send_request(client)
                case Action.ACK if isinstance(what, Response):
                    ack = reply.ack_of_failure(client.request, what)
                    self.outgoing.append(Send(ack.serialize(), client.target))
                case _:
                    client.on_reply(what, now)

    def _advance_server(self, server: ServerTransaction, event: Input, now: float) -> None:
        actions = server.machine.advance(event, now)
        self._set_alarm(server, now)
        for action in actions:
            if action is Action.SEND:
                if server.response:
                    self.outgoing.append(Send(server.response, server.target))
            elif server.on_end is not None:
                server.on_end(action is Action.TELL, now)

    def _send_request(self, client: ClientTransaction) -> None:
        self.outgoing.append(Send(client.request.serialize(), client.target))

    def _set_alarm(self, each: ClientTransaction | ServerTransaction, now: float) -> None:
        if each.alarm is not None:
            each.alarm.cancel()
            each.alarm = None
        if each.machine.state is State.TERMINATED:
            self._drop(each)
            return
        due = each.machine.deadline()
        if due is not None:
            each.alarm = self.agenda.at(due, lambda now: self._fire(each, now))

    def _fire(self, each: ClientTransaction | ServerTransaction, now: float) -> None:
        for event in each.machine.pop_due(now):
            if isinstance(each, ClientTransaction):
                self._advance_client(each, event, now, Silence(NO_RESPONSE, is_fault=False))
            else:
                self._advance_server(each, event, now)

    def _drop(self, each: ClientTransaction | ServerTransaction) -> None:
        if isinstance(each, ClientTransaction):
            self._clients.pop((each.request.vias[0].branch, each.request.method), None)
            return
        self.servers.pop(each.key, None)
        merge_key = _merge_key(each.request)
        if self._merged.get(merge_key) == each.key:
            del self._merged[merge_key]

    def _via(self, target: Target, branch: str) -> str:
        transport = target.transport
        port = self.profile.ports.get(transport, transport.default_port)
        host = self.profile.host_text
        return f"SIP/2.0/{transport.upper()} {host}:{port};branch={branch};rport"

    def _server_key(self, request: Request, method: str = "") -> Key:
        """Return what tells a request from others (RFC 3261 section 17.2.3)."""
        via, method = request.vias[0], method or request.method
        if via.has_cookie:
            return via.branch, via.sent_by, method
        # RFC 2543 peers. The To tag is left out: an ACK has one that its INVITE had not.
        return (
            request.uri_text, request.call_id, request.from_address.tag, str(request.cseq.number),
            via.sent_by, via.branch, method,
        )  # fmt: skip


def _merge_key(request: Request) -> Key:
    number = str(request.cseq.number)
    return request.call_id, request.from_address.tag, request.to_address.tag, number, request.method
