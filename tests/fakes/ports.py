"""Ports that tests give to servers."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

_BAND = range(20_000, 31_000)
"""Below those the kernel gives whoever asks for any: between the question and a server's start,
nobody comes by one of these by chance."""
_random = random.SystemRandom()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody has now, for streams and for datagrams."""
    while True:
        port = _random.choice(_BAND)
        with (
            suppress(OSError),
            socket.socket() as stream,
            socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        ):
            stream.bind(("127.0.0.1", port))
            datagrams.bind(("127.0.0.1", port))
            return port
