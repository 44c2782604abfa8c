"""Two SIP endpoints on a wire that garbles what they say to each other: nothing may come out but
`ProtocolError`, and nothing may be left once every call is over.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from bridges.wire.close import InvalidState
from bridges.wire.sip.endpoint import Endpoint, UnknownCall
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import FINAL, CallHandle, Event, Invited, Referred, Reoffered
from bridges.wire.sip.flow import Destination, Flow, Transport
from bridges.wire.sip.framing import StreamFramer
from bridges.wire.sip.profile import Profile
from bridges.wire.sip.uri import Uri

TORTURE = Path(__file__).parents[1] / "tests" / "vectors" / "sip" / "torture"
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
STEPS = 12
FOREVER_S = 10_000.0

SPLICES = (
    b"\r\n", b"\r\n\r\n", b"\r", b"\n ", b"\0", b"\xff", b'"', b"<", b">", b",", b";", b";=", b"%",
    b"@", b":", b"Via: x\r\n", b"\r\nContent-Length: -1", b"\r\nl: 99999999999999999999",
    b"\r\nRequire: 100rel", b"\r\nContact: *", b";tag=", b"x" * 5_000, b"sip:" * 500,
)  # fmt: skip


def garble(random: Random, data: bytes) -> bytes:
    """Return the message, cut, doubled or spliced in one to three places."""
    for _ in range(random.randint(1, 3)):
        start, end = sorted((random.randrange(len(data) + 1), random.randrange(len(data) + 1)))
        match random.randrange(4):
            case 0:
                data = data[:start] + data[end:]
            case 1:
                data = data[:end] + data[start:end] + data[end:]
            case _:
                end = min(end, start + random.randrange(3))
                data = data[:start] + random.choice(SPLICES) + data[end:]
    return data


class Side:
    """One endpoint and its driver, who does what comes to mind."""

    def __init__(self, random: Random, number: int, transport: Transport) -> None:
        self.flow = Flow(transport, f"192.0.2.{number}", 5060, int(transport.is_reliable))
        self.endpoint = Endpoint(
            Profile(self.flow.host, {transport: 5060}, session_expires_s=90), random.randbytes
        )
        self.calls: set[CallHandle] = set()
        self._random = random

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """Take a message, and the end of its stream if it was none."""
        try:
            if flow.connection:
                for message in StreamFramer().receive(data):
                    self.react(self.endpoint.receive(message, flow, now), now)
            else:
                self.react(self.endpoint.receive(data, flow, now), now)
        except ProtocolError:
            self.react(self.endpoint.transport_failed(flow, "malformed", now), now)

    def react(self, events: list[Event], now: float) -> None:
        """Do what a driver does about events."""
        for event in events:
            match event:
                case Invited():
                    self.calls.add(event.call)
                    self.endpoint.answer(event.call, SDP, now)
                case Reoffered():
                    self.endpoint.accept_reoffer(event.call, SDP, now)
                case Referred():
                    self.endpoint.accept_refer(event.call, now)
                    self.endpoint.notify_refer(event.call, 200, now)
                case _ if isinstance(event, FINAL):
                    self.calls.discard(event.call)

    def act(self, now: float) -> None:
        """Do something with a call, which may not be in a state for it."""
        if not self.calls:
            return
        call = self._random.choice(sorted(self.calls))
        try:
            match self._random.randrange(5):
                case 0:
                    self.endpoint.reoffer(call, SDP + b"a=%d\r\n" % self._random.randrange(9), now)
                case 1:
                    self.endpoint.refer(call, Uri.parse("sip:carol@192.0.2.3"), now)
                case 2:
                    self.endpoint.send_digit(call, "5", 160, now)
                case _:
                    self.end(call, now)
        except (InvalidState, UnknownCall):
            pass

    def end(self, call: CallHandle, now: float) -> None:
        """End a call, whichever way it takes."""
        for end in (self.endpoint.bye, self.endpoint.cancel):
            try:
                end(call, now)
            except (InvalidState, UnknownCall):
                continue


def torture() -> list[bytes]:
    """Return RFC 4475's messages."""
    return [path.read_bytes() for path in sorted(TORTURE.glob("*.dat"))]


def run_case(random: Random, odd: list[bytes]) -> int:
    """Hold one call over a bad wire; return how many messages were sent.

    Raises:
        AssertionError: something was left when every call was over.
    """
    transport = random.choice((Transport.UDP, Transport.TCP))
    caller, callee = (Side(random, number, transport) for number in (1, 2))
    there = Destination(transport, callee.flow.host, 5060)
    bob, alice = Uri.parse("sip:bob@192.0.2.2"), Uri.parse("sip:alice@192.0.2.1")
    now, sent = 0.0, 0
    caller.calls.add(caller.endpoint.invite(bob, alice, SDP, there, now))
    for step in range(STEPS):
        for side, other in ((caller, callee), (callee, caller)):
            for send in side.endpoint.outgoing():
                sent += 1
                is_garbled = random.random() < 0.3
                other.receive(
                    garble(random, send.data) if is_garbled else send.data, side.flow, now
                )
            if step > 1:
                side.act(now)
            side.receive(garble(random, random.choice(odd)), other.flow, now)
            now += random.choice((0.0, 0.5, 40.0))
            side.react(side.endpoint.expire(now), now)
    for side in (caller, callee):
        for call in sorted(side.calls):
            side.end(call, now)
        while (due := side.endpoint.deadline()) is not None and due < FOREVER_S:
            side.react(side.endpoint.expire(due), due)
            side.endpoint.outgoing()
            for call in sorted(side.calls):
                side.end(call, due)
        assert not side.calls, f"{len(side.calls)} calls are left"
    return sent
