"""A dialler's connection that cannot make us hold more for it than its call is worth."""

from __future__ import annotations

from websockets.asyncio.server import ServerConnection

MAX_UNREAD_BYTES = 64 * 1024
"""Far above what a call has on its way; only answers to pings, which nobody else bounds, get here.
They hurt everybody: the event loop's cost of each write grows with what is unsent."""


class Peer(ServerConnection):
    """Hung up on as soon as it asks without reading the answers."""

    def data_received(self, data: bytes) -> None:
        """Take what came, answers to pings included."""
        super().data_received(data)
        if self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self.transport.abort()
