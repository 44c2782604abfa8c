"""The UDP socket: datagrams both ways, and who answers that nobody listens.

A socket of our own under the event loop rather than its datagram endpoint, which loses a datagram
for every error that another one had caused, and cannot tell whose error it was.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import sys
from collections.abc import Callable

MAX_DATAGRAM_BYTES = 65_535
MAX_READS = 64
"""Datagrams taken at a time; others are to have their turn in a flood."""
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024

# linux/in.h, linux/in6.h, linux/errqueue.h; the socket module names none of them before 3.12.
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_MSG_ERRQUEUE = 0x2000
_FROM_ICMP = (2, 3)  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6
_EXTENDED_ERROR = struct.Struct("IBBBBII")


class DatagramSocket:
    """One bound UDP socket.

    Args:
        on_datagram: told each datagram, its sender's address and port.
        on_unreachable: told an address and port to which a datagram could not be brought, and why.
    """

    def __init__(
        self,
        bound: socket.socket,
        on_datagram: Callable[[bytes, str, int], None],
        on_unreachable: Callable[[str, int, str], None],
    ) -> None:
        self._socket = bound
        self._on_datagram = on_datagram
        self._on_unreachable = on_unreachable
        self._loop = asyncio.get_running_loop()
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if sys.platform != "linux":
            pass  # Nobody tells: what is unreachable does not answer.
        elif bound.family is socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        else:
            bound.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        self._loop.add_reader(bound.fileno(), self._read)

    def send(self, data: bytes, host: str, port: int) -> None:
        """Send a datagram; what cannot be sent is told, never raised.

        A full send buffer drops it: with UDP whoever sent it has a timer for that.
        """
        try:
            self._send(data, host, port)
        except BlockingIOError:
            return
        except OSError as error:
            reason = errno.errorcode.get(error.errno or 0, "unknown")
            self._loop.call_soon(self._on_unreachable, host, port, f"cannot send: {reason}")

    def close(self) -> None:
        """Stop reading and close."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _send(self, data: bytes, host: str, port: int) -> None:
        try:
            self._socket.sendto(data, (host, port))
        except OSError as error:
            if error.errno not in _PENDING:
                raise
            # That was an earlier datagram's error, told once. This one is still to be sent.
            self._loop.call_soon(self._read_errors)
            self._socket.sendto(data, (host, port))

    def _read(self) -> None:
        for number in range(MAX_READS):
            try:
                data, address = self._socket.recvfrom(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                if number == 0:
                    self._read_errors()
                return
            except OSError:
                self._read_errors()
                continue
            self._on_datagram(data, str(address[0]), int(address[1]))
            if self._socket.fileno() < 0:
                return

    def _read_errors(self) -> None:
        while self._socket.fileno() >= 0:
            try:
                _, ancillary, _, address = self._socket.recvmsg(1, 512, _MSG_ERRQUEUE)
            except OSError:
                return
            for _, _, content in ancillary:
                if len(content) < _EXTENDED_ERROR.size:
                    continue
                number, origin, *_ = _EXTENDED_ERROR.unpack_from(content)
                if origin in _FROM_ICMP and address:
                    reason = errno.errorcode.get(number, "unknown")
                    self._on_unreachable(str(address[0]), int(address[1]), f"no way: {reason}")


_PENDING = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH})
"""What an ICMP message for an earlier datagram makes the next call return."""


def bind(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """Return a socket bound to an address (a TCP one that may be bound again at once).

    Raises:
        OSError: it is in use, or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, kind)
    try:
        if kind is socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
