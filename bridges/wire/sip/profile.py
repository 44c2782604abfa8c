"""Who an endpoint is: its address as peers see it, what it is able to do, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridges.wire.sip.flow import Transport

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY"
"""What is implemented, and nothing else (RFC 3261 section 20.5)."""
SUPPORTED = "timer"
"""Option tags: session timers (RFC 4028). Not `100rel`, not `replaces`."""
ACCEPT = "application/sdp, application/dtmf-relay, application/dtmf, message/sipfrag"

DIGEST_ALGORITHMS = ("SHA-256", "MD5")
"""The better one first (RFC 8760 section 2.3)."""

T1_S = 0.5
"""The round trip that retransmissions start from (RFC 3261 section 17.1.1.1)."""
T2_S = 4.0
"""The longest wait between two retransmissions, but for INVITE."""
T4_S = 5.0
"""How long a message may stay in the network."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an endpoint keeps at most, so that a flood cannot grow it.

    Attributes:
        calls: calls, ringing or answered, both ways; above it an INVITE is answered 503.
        server_transactions: requests remembered for their retransmissions; above it every
            request outside of a call is answered 503, and nothing of it kept.
        retry_after_s: what such a 503 tells.
    """

    calls: int = 2_000
    server_transactions: int = 20_000
    retry_after_s: int = 5


@dataclass(frozen=True, slots=True)
class Profile:
    """An endpoint's face.

    Attributes:
        host: the address peers reach it at, for Via and Contact; IPv6 without brackets. Behind a
            NAT the public one.
        ports: of each transport it listens on; a transport that is not here is not used.
        contact_user: the user part of Contact where a call brings none.
        user_agent: what User-Agent and Server say; `""` for nothing.
        session_expires_s: what calls are refreshed by (RFC 4028); 0 never asks for it.
        min_session_s: the shortest refresh we put up with.
        digest_algorithms: what callers are challenged with, the best first. A phone should pass
            over those it does not know, but some, such as those built on libre up to 1.0, give up
            if there is one: for them, `("MD5",)`.
        t1_s: the round trip assumed of UDP.
    """

    host: str
    ports: Mapping[Transport, int] = field(default_factory=lambda: {Transport.UDP: 5060})
    contact_user: str = "voicefleet"
    user_agent: str = "Voicefleet"
    session_expires_s: int = 1800
    min_session_s: int = 90
    digest_algorithms: tuple[str, ...] = DIGEST_ALGORITHMS
    t1_s: float = T1_S
    limits: Limits = Limits()

    @property
    def host_text(self) -> str:
        """The host as a header field has it: IPv6 in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host
