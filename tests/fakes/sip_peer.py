"""A SIP peer that says exactly what a test tells it to, right or wrong."""

from __future__ import annotations

from itertools import count

from bridges.wire.sip.digest import Credentials
from bridges.wire.sip.endpoint import Endpoint
from bridges.wire.sip.event import Acked, Answered, CallHandle, Event, HeaderFields, Invited
from bridges.wire.sip.flow import Destination, Flow, Send, Transport
from bridges.wire.sip.header import Headers
from bridges.wire.sip.message import Message, Request, Response, parse_message
from bridges.wire.sip.profile import Profile
from bridges.wire.sip.reply import respond
from bridges.wire.sip.uri import Uri
from tests.fakes.sip_wire import OTHER_SDP, SDP, randomness

HOST = "192.0.2.9"


def an_endpoint(profile: Profile | None = None) -> Endpoint:
    """Return an endpoint at 192.0.2.1 that is the same in every run."""
    ports = {Transport.UDP: 5060, Transport.TCP: 5060, Transport.TLS: 5061}
    return Endpoint(profile or Profile("192.0.2.1", ports), randomness(7))


class Peer:
    """One far end.

    Attributes:
        flow: what it speaks on.
        now: the present.
        told: what the endpoint told its driver, until `take_told`.
        heard: what the endpoint sent, until `take`.
        sends: the same, as it was handed out.
        tag: the peer's own.
        local_tag: the endpoint's, as the last message that had one said.
    """

    def __init__(self, endpoint: Endpoint, transport: Transport = Transport.UDP) -> None:
        self.endpoint = endpoint
        connection = 1 if transport.is_reliable else 0
        self.flow = Flow(transport, HOST, 5060, connection)
        self.now = 1000.0
        self.told: list[Event] = []
        self.heard: list[Request | Response] = []
        self.sends: list[Send] = []
        self.call_id = "call-1"
        self.tag = "peer"
        self.local_tag = ""
        self._branches = count(1)

    def collect(self) -> None:
        """Hear what the endpoint has to say."""
        for send in self.endpoint.outgoing():
            self.sends.append(send)
            message = parse_message(send.data)
            if isinstance(message, Response) and message.to_address.tag:
                self.local_tag = message.to_address.tag
            elif isinstance(message, Request):
                self.local_tag = message.from_address.tag
                self.call_id = message.call_id
            self.heard.append(message)

    def take(self) -> list[Request | Response]:
        """Return what was heard since the last time."""
        self.collect()
        heard, self.heard = self.heard, []
        self.sends = []
        return heard

    def names(self) -> list[str]:
        """Return methods and statuses of what was heard since the last time."""
        return [
            each.method if isinstance(each, Request) else str(each.status) for each in self.take()
        ]

    def take_told(self) -> list[Event]:
        """Return what the driver was told since the last time."""
        told, self.told = self.told, []
        return told

    def send(self, message: Request | Response | bytes, flow: Flow | None = None) -> None:
        """Say something."""
        data = message if isinstance(message, bytes) else message.serialize()
        self.told += self.endpoint.receive(data, flow or self.flow, self.now)
        self.collect()

    def wait(self, seconds: float) -> None:
        """Let time pass, each timer at its own moment."""
        end = self.now + seconds
        while (due := self.endpoint.deadline()) is not None and due <= end:
            self.now = max(due, self.now)
            self.told += self.endpoint.expire(self.now)
            self.collect()
        self.now = end

    def request(
        self,
        method: str,
        cseq: int,
        headers: HeaderFields = (),
        body: bytes = b"",
        content_type: str = "application/sdp",
        *,
        branch: str = "",
        uri: str = "sip:bot@192.0.2.1",
        to_tag: str | None = None,
    ) -> Request:
        """Return a request of this peer, within its dialog if there is one."""
        self.collect()
        to_tag = self.local_tag if to_tag is None else to_tag
        branch = branch or f"z9hG4bK-peer-{next(self._branches)}"
        kind = self.flow.transport.upper()
        fields = Headers(
            [
                ("Via", f"SIP/2.0/{kind} {HOST};branch={branch};rport"),
                ("From", f'"Alice" <sip:alice@{HOST}>;tag={self.tag}'),
                ("To", f"<sip:bot@192.0.2.1>{f';tag={to_tag}' if to_tag else ''}"),
                ("Call-ID", self.call_id),
                ("CSeq", f"{cseq} {method}"),
                ("Max-Forwards", "70"),
                ("Contact", f"<sip:alice@{HOST};transport={self.flow.transport}>"),
                *headers,
            ]
        )
        if body:
            fields.add("Content-Type", content_type)
        return Request(method, uri, fields, body)

    def invite(self, headers: HeaderFields = (), sdp: bytes = SDP, cseq: int = 1) -> Request:
        """Call the endpoint; return the INVITE."""
        self.local_tag = ""
        request = self.request("INVITE", cseq, headers, sdp)
        self.send(request)
        return request

    def say(
        self,
        method: str,
        cseq: int,
        headers: HeaderFields = (),
        body: bytes = b"",
        content_type: str = "application/sdp",
    ) -> Request:
        """Send a request and return it."""
        request = self.request(method, cseq, headers, body, content_type)
        self.send(request)
        return request

    def reply(
        self,
        request: Message,
        status: int,
        headers: HeaderFields = (),
        sdp: bytes = b"",
        tag: str | None = None,
    ) -> Response:
        """Answer a request of the endpoint's, with our Contact if that is an answer."""
        contact = (("Contact", f"<sip:bob@{HOST}>"),) if status < 300 else ()
        response = self.reply_to(request, status, (*contact, *headers), sdp, tag)
        self.send(response)
        return response

    def reply_to(
        self,
        request: Message,
        status: int,
        headers: HeaderFields = (),
        sdp: bytes = b"",
        tag: str | None = None,
    ) -> Response:
        """Return an answer to a request of the endpoint's, and do not send it."""
        assert isinstance(request, Request)
        tag = self.tag if tag is None else tag
        return respond(request, status, tag=tag, headers=headers, body=sdp)


def call_in(peer: Peer, headers: HeaderFields = ()) -> CallHandle:
    """Return a call from the peer that is answered and acknowledged."""
    peer.invite(headers)
    invited = peer.take_told()[-1]
    assert isinstance(invited, Invited)
    peer.endpoint.answer(invited.call, OTHER_SDP, peer.now)
    peer.collect()
    peer.say("ACK", 1)
    assert isinstance(peer.take_told()[-1], Acked)
    peer.take()
    return invited.call


def call_out(
    peer: Peer, headers: HeaderFields = (), credentials: Credentials | None = None
) -> CallHandle:
    """Return a call to the peer that is answered."""
    call = place(peer, credentials)
    peer.reply(peer.take()[-1], 200, headers, OTHER_SDP)
    assert isinstance(peer.take_told()[-1], Answered)
    peer.take()
    return call


def place(peer: Peer, credentials: Credentials | None = None) -> CallHandle:
    """Return a call to the peer that has had no answer yet."""
    call = peer.endpoint.invite(
        Uri.parse(f"sip:bob@{HOST}"),
        Uri.parse("sip:bot@192.0.2.1"),
        SDP,
        Destination(peer.flow.transport, HOST, 5060),
        peer.now,
        credentials=credentials,
    )
    peer.collect()
    return call
