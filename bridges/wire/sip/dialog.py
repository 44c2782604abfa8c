"""A dialog: what the two ends of a call know of each other (RFC 3261 section 12).

It owns no connection: whatever path a request comes on, Call-ID and tags say which dialog it is of.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from typing import Any

from bridges.wire.sip.address import Address
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import HeaderFields
from bridges.wire.sip.flow import Destination, Flow, Target, Transport
from bridges.wire.sip.header import Headers
from bridges.wire.sip.message import MAX_CSEQ, Request, Response
from bridges.wire.sip.uri import Uri

_NAME_CONTACT = frozenset({"INVITE", "NOTIFY", "REFER", "UPDATE"})
"""Requests that may change where their sender is reached."""
MAX_ROUTES = 64
"""More proxies no call passes, and every request of ours has to name them all."""
RESTORED_CSEQ_GAP = 1_000
"""How far a restored dialog skips ahead: its former process may have sent that many requests."""


@dataclass
class Dialog:
    """One dialog, confirmed or early.

    Attributes:
        local: our From, with our tag.
        remote: our To, with the peer's tag; without one for peers of RFC 2543.
        remote_target: the peer's Contact: the Request-URI.
        contact: our Contact, as it is written.
        route_set: in the order our requests visit it.
        local_cseq: of the last request we sent.
        remote_cseq: of the last one the peer sent; None before the first.
        transport: what our requests go by where no URI says otherwise.
        flow: what the peer was last heard on.
    """

    call_id: str
    local: Address
    remote: Address
    remote_target: Uri
    contact: str
    route_set: tuple[Address, ...]
    local_cseq: int
    remote_cseq: int | None
    transport: Transport
    flow: Flow | None = None

    @classmethod
    def of_server(cls, invite: Request, tag: str, contact: str, cseq: int, flow: Flow) -> Dialog:
        """Return the callee's dialog (section 12.1.1).

        Raises:
            ProtocolError: the INVITE names more than one Contact, or none we could send to, or too
                many proxies.
        """
        return cls(
            call_id=invite.call_id,
            local=invite.to_address.with_param("tag", tag),
            remote=invite.from_address,
            remote_target=_target_of(invite),
            contact=contact,
            route_set=_route_of(invite),
            local_cseq=cseq,
            remote_cseq=invite.cseq.number,
            transport=flow.transport,
            flow=flow,
        )

    @classmethod
    def of_client(
        cls, invite: Request, response: Response, contact: str, transport: Transport, flow: Flow
    ) -> Dialog:
        """Return the caller's dialog (section 12.1.2).

        A response that names no Contact we could send to leaves the INVITE's target.

        Raises:
            ProtocolError: it names too many proxies.
        """
        contacts = [each for each in response.contacts if each.uri.scheme != "tel"]
        return cls(
            call_id=invite.call_id,
            local=invite.from_address,
            remote=response.to_address,
            remote_target=contacts[0].uri if contacts else invite.uri,
            contact=contact,
            route_set=tuple(reversed(_route_of(response))),
            local_cseq=invite.cseq.number,
            remote_cseq=None,
            transport=transport,
            flow=flow,
        )

    def request(
        self, method: str, headers: HeaderFields = (), body: bytes = b"", content_type: str = ""
    ) -> Request:
        """Return the next request of this dialog, without Via (section 12.2.1.1)."""
        self.local_cseq += 1
        return self._request(method, self.local_cseq, headers, body, content_type)

    def ack(self, cseq: int, headers: HeaderFields = ()) -> Request:
        """Return the ACK of the 2xx to the INVITE with that number."""
        return self._request("ACK", cseq, headers, b"", "")

    def accepts(self, request: Request) -> bool:
        """Tell whether the request is newer than those before it, and remember it."""
        if self.remote_cseq is not None and request.cseq.number <= self.remote_cseq:
            return False
        self.remote_cseq = request.cseq.number
        return True

    def refresh_target(self, message: Request | Response) -> None:
        """Take over the peer's Contact, if it names a new one (section 12.2)."""
        contacts = message.contacts
        if len(contacts) == 1 and contacts[0].uri.scheme != "tel":
            self.remote_target = contacts[0].uri

    def next_hop(self) -> tuple[Target, Destination | None]:
        """Return where requests go, and where if that is gone.

        The route set says where, or else the remote target; but where the peer already has a
        connection to us from that host, or names an address nobody outside its network can
        reach, the request goes back the way the peer came.
        """
        first = self.route_set[0].uri if self.route_set else self.remote_target
        there = destination_of(first, self.transport)
        flow = self.flow
        if flow is None:
            return there, None
        if (
            flow.transport is there.transport
            and flow.transport.is_reliable
            and (flow.host == there.host)
        ):
            return flow, there
        if not there.host:
            return flow, None  # a telephone number, from a peer that names no Contact
        if not self.route_set and _is_behind_nat(there.host, flow.host):
            return flow, there
        return there, None

    def to_json(self) -> str:
        """Return what a request in this dialog needs, as JSON."""
        flow = self.flow
        return json.dumps(
            {
                "call_id": self.call_id,
                "local": self.local.serialize(),
                "remote": self.remote.serialize(),
                "remote_target": self.remote_target.serialize(),
                "contact": self.contact,
                "route_set": [each.serialize() for each in self.route_set],
                "local_cseq": self.local_cseq,
                "remote_cseq": self.remote_cseq,
                "transport": self.transport.value,
                # A connection does not outlive its process, an address does.
                "peer": None if flow is None else [flow.transport.value, flow.host, flow.port],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Dialog:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is no such text.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            peer = fields["peer"]
            if peer is not None and Transport(peer[0]).is_reliable:
                peer = None
            remote_cseq = fields["remote_cseq"]
            return cls(
                call_id=str(fields["call_id"]),
                local=Address.parse(fields["local"]),
                remote=Address.parse(fields["remote"]),
                remote_target=Uri.parse(fields["remote_target"]),
                contact=str(fields["contact"]),
                route_set=tuple(Address.parse(each) for each in fields["route_set"]),
                local_cseq=min(int(fields["local_cseq"]) + RESTORED_CSEQ_GAP, MAX_CSEQ),
                remote_cseq=None if remote_cseq is None else int(remote_cseq),
                transport=Transport(fields["transport"]),
                flow=peer and Flow(Transport(peer[0]), str(peer[1]), int(peer[2])),
            )
        except (ValueError, LookupError, TypeError, AttributeError, ProtocolError) as error:
            raise ValueError("expected a dialog as JSON") from error

    def _request(
        self, method: str, cseq: int, more: HeaderFields, body: bytes, content_type: str
    ) -> Request:
        uri = self.remote_target.without_headers().serialize()
        routes = [each.serialize() for each in self.route_set]
        if routes and self.route_set[0].uri.param("lr") is None:
            # A strict router expects itself in the Request-URI (section 12.2.1.1).
            routes = [*routes[1:], f"<{uri}>"]
            uri = self.route_set[0].uri.without_headers().serialize()
        headers = Headers()
        for route in routes:
            headers.append_received("Route", route)
        headers.append_received("From", self.local.serialize())
        headers.append_received("To", self.remote.serialize())
        headers.append_received("Call-ID", self.call_id)
        headers.add("CSeq", f"{cseq} {method}")
        headers.add("Max-Forwards", "70")
        if method in _NAME_CONTACT:
            headers.add("Contact", self.contact)
        for name, value in more:
            headers.add(name, value)
        if body:
            headers.add("Content-Type", content_type)
        return Request(method, uri, headers, body)


def destination_of(uri: Uri, transport: Transport) -> Destination:
    """Return where a URI points to (RFC 3263 without DNS), by `transport` if it does not say."""
    if uri.scheme == "sips":
        transport = Transport.TLS
    else:
        named = (uri.param("transport") or "").lower()
        transport = Transport(named) if named in tuple(Transport) else transport
    host = (uri.param("maddr") or uri.host).strip("[]")
    return Destination(transport, host, uri.port or transport.default_port)


def _target_of(invite: Request) -> Uri:
    """Return where the caller is reached: From, if it names no Contact as RFC 2543 allowed."""
    uris = [each.uri for each in invite.contacts or (invite.from_address,)]
    if len(uris) != 1 or uris[0].scheme == "tel":
        raise ProtocolError("Contact: expected one SIP URI")
    return uris[0]


def _route_of(message: Request | Response) -> tuple[Address, ...]:
    route = message.record_route
    if len(route) > MAX_ROUTES:
        raise ProtocolError(f"Record-Route: expected at most {MAX_ROUTES} values")
    return route


def _is_behind_nat(named: str, seen: str) -> bool:
    """Tell whether a peer names a private address while it is seen at a public one."""
    try:
        return ipaddress.ip_address(named).is_private and not ipaddress.ip_address(seen).is_private
    except ValueError:
        return False
