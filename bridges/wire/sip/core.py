"""What everything in an endpoint shares: who we are, the agenda, transactions, and what is told."""

from __future__ import annotations

from collections.abc import Callable

from bridges.wire.sip.agenda import Agenda
from bridges.wire.sip.event import Counters, Event, HeaderFields
from bridges.wire.sip.flow import Flow, Transport
from bridges.wire.sip.layer import Layer, ServerTransaction
from bridges.wire.sip.message import Request
from bridges.wire.sip.profile import ACCEPT, ALLOW, SUPPORTED, Profile
from bridges.wire.sip.reply import respond
from bridges.wire.sip.uri import escape_user


class Core:
    """The shared part.

    Attributes:
        events: told and not yet fetched.
    """

    def __init__(self, profile: Profile, random: Callable[[int], bytes]) -> None:
        self.profile = profile
        self.random = random
        self.counters = Counters()
        self.agenda = Agenda()
        self.layer = Layer(profile, self.agenda, random)
        self.events: list[Event] = []

    def token(self) -> str:
        """Return a word that nobody guesses: tags, Call-IDs, handles."""
        return self.random(10).hex()

    def tell(self, event: Event) -> None:
        """Tell the driver something."""
        self.events.append(event)

    def contact(self, transport: Transport, user: str) -> str:
        """Return the Contact that leads to us by that transport."""
        port = self.profile.ports.get(transport, transport.default_port)
        kind = "" if transport is Transport.UDP else f";transport={transport}"
        return f"<sip:{escape_user(user)}@{self.profile.host_text}:{port}{kind}>"

    def abilities(self) -> HeaderFields:
        """Return what says what we can do."""
        return (("Allow", ALLOW), ("Supported", SUPPORTED), ("Accept", ACCEPT))

    def identity(self, name: str) -> HeaderFields:
        """Return what says what we are, in the header field of that name."""
        agent = self.profile.user_agent
        return ((name, agent),) if agent else ()

    def refuse(
        self,
        server: ServerTransaction,
        status: int,
        now: float,
        headers: HeaderFields = (),
        reason: str = "",
        tag: str = "",
    ) -> None:
        """Answer a request with an error, and count it."""
        self.count_refusal(status)
        headers = (*headers, *self.identity("Server"))
        response = respond(
            server.request, status, tag=tag or self.token(), reason=reason, headers=headers
        )
        self.layer.respond(server, response, now)

    def refuse_statelessly(
        self, request: Request, flow: Flow, status: int, headers: HeaderFields = ()
    ) -> None:
        """Answer a request with an error, count it, and keep nothing of it."""
        self.count_refusal(status)
        request.vias = (request.vias[0].received_on(flow), *request.vias[1:])
        response = respond(request, status, tag=self.token(), headers=headers)
        self.layer.respond_statelessly(request, flow, response)

    def count_refusal(self, status: int) -> None:
        """Count a request that was answered with an error."""
        self.counters.refusals[status] = self.counters.refusals.get(status, 0) + 1
