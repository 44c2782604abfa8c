"""Between whom octets go: transports, the path a message came on, and where one is to go."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Transport(StrEnum):
    """How octets travel; the value is that of the URI parameter `transport`, TLS excepted."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"

    @property
    def is_reliable(self) -> bool:
        """Whether what was sent arrives or the connection breaks."""
        return self is not Transport.UDP

    @property
    def default_port(self) -> int:
        """The port where none is named (RFC 3261 section 19.1.2)."""
        return 5061 if self is Transport.TLS else 5060


@dataclass(frozen=True, slots=True)
class Flow:
    """The path a message came on: what is sent back there passes every NAT it came through.

    Attributes:
        host: the far end's address, IPv6 without brackets.
        port: the far end's port.
        connection: the driver's number of a TCP or TLS connection, never used twice; 0 for UDP.
    """

    transport: Transport
    host: str
    port: int
    connection: int = 0


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a message is to go that belongs to no flow.

    Attributes:
        host: a name or an address, IPv6 without brackets; the driver resolves names.
        server_name: whom a TLS certificate must name; `""` for `host`.
    """

    transport: Transport
    host: str
    port: int
    server_name: str = ""


Target = Flow | Destination


@dataclass(frozen=True, slots=True)
class Send:
    """One message to put on the wire.

    To a `Flow`: on this very connection (or, with UDP, to this address); gone, the driver says so
    by `Endpoint.transport_failed`. To a `Destination`: on a connection already open to it, or on a
    new one, whose `Flow` the driver names when octets come back.
    """

    data: bytes
    to: Target
