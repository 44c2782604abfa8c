"""Ports that tests give to servers."""

from __future__ import annotations

import socket
from contextlib import suppress


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody has now, for streams and for datagrams."""
    while True:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            stream.bind(("127.0.0.1", 0))
            port: int = stream.getsockname()[1]
            with suppress(OSError):
                datagrams.bind(("127.0.0.1", port))
                return port
