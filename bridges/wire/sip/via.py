"""Which way a request came and its response goes (RFC 3261 section 18.2, RFC 3581)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from bridges.wire.sip import grammar
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.flow import Destination, Flow, Transport
from bridges.wire.sip.grammar import Params

BRANCH_COOKIE = "z9hG4bK"
"""What the branch of an RFC 3261 element begins with; others are matched by other means."""

_TOKEN = r"([A-Za-z0-9\-.!%*_+`'~]+)"
_SENT_BY = re.compile(rf"{_TOKEN} ?/ ?{_TOKEN} ?/ ?{_TOKEN} (.+)")
"""Of any version: a request of a later one is answered too, that we do not speak it."""


@dataclass(frozen=True, slots=True)
class Via:
    """One hop.

    Attributes:
        transport: in upper case, any token.
        host: IPv6 in brackets.
        protocol: name and version.
    """

    transport: str
    host: str
    port: int | None = None
    params: Params = ()
    protocol: str = "SIP/2.0"

    @classmethod
    def parse(cls, text: str) -> Via:
        """Read one value.

        Raises:
            ProtocolError: it is none.
        """
        sent, semicolon, rest = grammar.collapse(text).partition(";")
        match = _SENT_BY.fullmatch(sent.strip(" "))
        if match is None:
            raise ProtocolError("Via: expected a protocol and a host")
        host, port = grammar.parse_host_port(match[4], "Via")
        protocol = f"{match[1]}/{match[2]}".upper()
        params = grammar.parse_params(semicolon + rest, "Via")
        return cls(match[3].upper(), host, port, params, protocol)

    @property
    def branch(self) -> str:
        """The transaction's id, `""` if it has none."""
        return grammar.param(self.params, "branch") or ""

    @property
    def has_cookie(self) -> bool:
        """Whether the branch tells transactions apart (RFC 3261 section 8.1.1.7)."""
        return len(self.branch) > len(BRANCH_COOKIE) and self.branch.lower().startswith(
            BRANCH_COOKIE.lower()
        )

    @property
    def sent_by(self) -> str:
        """Host and port as they are written, in lower case."""
        return self.host.lower() if self.port is None else f"{self.host.lower()}:{self.port}"

    def received_on(self, flow: Flow) -> Via:
        """Return the value with where the request really came from (RFC 3581 section 4)."""
        params = self.params
        asks_port = grammar.param(params, "rport") is not None
        if asks_port:
            params = grammar.with_param(params, "rport", str(flow.port))
        if asks_port or self.host.strip("[]").lower() != flow.host.lower():
            params = grammar.with_param(params, "received", flow.host)
        return replace(self, params=params)

    def return_address(self, flow: Flow) -> Flow | Destination:
        """Return where the response goes: with UDP to the sender's port if it asked for that."""
        if flow.transport.is_reliable or grammar.param(self.params, "rport") is not None:
            return flow
        return replace(flow, port=self.port or Transport.UDP.default_port)

    def fallback(self, flow: Flow) -> Destination:
        """Return where a response goes whose connection is gone (RFC 3261 section 18.2.2)."""
        return Destination(flow.transport, flow.host, self.port or flow.transport.default_port)

    def serialize(self) -> str:
        """Return the value as it is written."""
        port = "" if self.port is None else f":{self.port}"
        params = grammar.format_params(self.params)
        return f"{self.protocol}/{self.transport} {self.host}{port}{params}"
