"""A LiveKit room for data alone: cheap, and sure of every packet's sender.

What the stock SDK does otherwise, and why it matters with many rooms in one process:

- It looks a packet's sender up among the participants it has been told of and drops the name of
  one it does not know yet. Data may overtake that news: an agent's first words came from nobody.
- It wakes every room for every event of any room, and each packet sent subscribes to all of them
  until it is acknowledged: the cost grows with the square of the rooms.

This is the only file that touches the SDK's internals; `livekit` is pinned for it, and the
integration tests fail should they change.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
from collections.abc import Callable
from types import SimpleNamespace

from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._ffi_client import FfiClient, FfiHandle
from livekit.rtc._proto import ffi_pb2, room_pb2

OnData = Callable[[str, str, bytes], None]
"""Called with `(identity, topic, payload)`."""

PANIC_SIGNAL = signal.SIGUSR1
"""What the SDK sends its own process when its native side has panicked, once `tell_panics` ran."""

_ANSWERS = {"publish_track", "unpublish_track"}
"""To requests of some room, which one only the waiting request can tell. They are rare."""


def tell_panics() -> None:
    """Let the SDK end this process by a signal of its own: by SIGTERM it asks like an operator."""
    _ffi_client.signal = SimpleNamespace(SIGTERM=PANIC_SIGNAL)  # type: ignore[assignment, attr-defined]


class DataRoom(rtc.Room):
    """`rtc.Room` with `on_data` in place of its `data_received` event, and `send`."""

    def __init__(self, on_data: OnData) -> None:
        super().__init__()
        self._on_data = on_data
        self._joining: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None

    def attach(self, on_data: OnData) -> None:
        """Hand on what comes from now on to somebody else."""
        self._on_data = on_data

    async def join(self, url: str, token: str) -> None:
        """Connect, and from then on hear of this room alone.

        Cancelled, it goes on by itself until `leave`: the SDK takes a join that nobody waits for
        to its end for a panic, and 20 s later ends the whole process, every other call's too.

        Raises:
            rtc.ConnectError: the server cannot be reached, or refuses.
        """
        self._joining = asyncio.create_task(self._join(url, token))
        await asyncio.shield(self._joining)

    async def leave(self) -> None:
        """Disconnect, once a join that is under way has come to its end; then also cancelled."""
        self._leaving = asyncio.create_task(self._leave())
        await asyncio.shield(self._leaving)

    async def _leave(self) -> None:
        if self._joining is not None:
            # Whoever asked for it has heard of its failure, or has gone.
            await asyncio.gather(self._joining, return_exceptions=True)
        await self.disconnect()

    async def _join(self, url: str, token: str) -> None:
        await self.connect(url, token, rtc.RoomOptions(auto_subscribe=False))
        events = FfiClient.instance.queue
        with events._lock:
            events._subscribers = [
                (queue, loop, self._is_ours if queue is self._ffi_queue else wanted)
                for queue, loop, wanted in events._subscribers
            ]

    def send(self, payload: bytes, identity: str, topic: str, *, reliable: bool = True) -> None:
        """Send a packet, in order with those before it, without waiting for it to leave.

        One that is not `reliable` is sent once, and may be lost or come out of order.
        """
        request = ffi_pb2.FfiRequest()
        packet = request.publish_data
        packet.local_participant_handle = self.local_participant._ffi_handle.handle
        # The native side copies the payload before `request` returns.
        packet.data_ptr = ctypes.cast(ctypes.c_char_p(payload), ctypes.c_void_p).value or 0
        packet.data_len = len(payload)
        packet.reliable = reliable
        packet.topic = topic
        packet.destination_identities.append(identity)
        FfiClient.instance.request(request)

    async def send_last(self, payload: bytes, identity: str, topic: str) -> None:
        """Send a packet and wait until it, and with it all before it, has left.

        Raises:
            livekit.rtc.participant.PublishDataError: it cannot leave any more.
        """
        await self.local_participant.publish_data(
            payload, destination_identities=[identity], topic=topic
        )

    def _is_ours(self, event: ffi_pb2.FfiEvent) -> bool:
        """Tell, on the SDK's own thread, whether an event is worth waking this room's loop for."""
        message = event.WhichOneof("message")
        if message in _ANSWERS:
            return True
        handle = self._ffi_handle
        return (
            handle is not None
            and message == "room_event"
            and event.room_event.room_handle == handle.handle
        )

    def _on_room_event(self, event: room_pb2.RoomEvent) -> None:
        packet = event.data_packet_received
        if event.WhichOneof("message") != "data_packet_received" or not packet.HasField("user"):
            super()._on_room_event(event)
            return
        owned = packet.user.data
        payload = ctypes.string_at(owned.data.data_ptr, owned.data.data_len)
        FfiHandle(owned.handle.id).dispose()
        self._on_data(packet.participant_identity, packet.user.topic, payload)
