"""What a peer can do wrong."""

from __future__ import annotations


class ProtocolError(Exception):
    """The peer sent what is not SIP.

    Attributes:
        reason: what was expected and what was found. Holds nothing the peer sent but lengths and
            the names of header fields, so it may be logged.
        status: what a request like this is answered with, where it can be answered at all.
    """

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
