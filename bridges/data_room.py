"""A LiveKit room for data alone: who sent a packet is known from the packet itself.

The SDK looks a sender up among the participants it has been told of and drops the name of one it
does not know yet. Data may overtake that news, so the agent's first words would come from nobody.
This is the only file that touches the SDK's internals; `livekit` is pinned for it, and an
integration test fails should they change.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from livekit import rtc
from livekit.rtc._ffi_client import FfiHandle
from livekit.rtc._proto import room_pb2

OnData = Callable[[str, str, bytes], None]
"""Called with `(identity, topic, payload)`."""


class DataRoom(rtc.Room):
    """`rtc.Room`, with `on_data` in place of its `data_received` event."""

    def __init__(self, on_data: OnData) -> None:
        super().__init__()
        self._on_data = on_data

    def _on_room_event(self, event: room_pb2.RoomEvent) -> None:
        packet = event.data_packet_received
        if event.WhichOneof("message") != "data_packet_received" or not packet.HasField("user"):
            super()._on_room_event(event)
            return
        owned = packet.user.data
        payload = ctypes.string_at(owned.data.data_ptr, owned.data.data_len)
        FfiHandle(owned.handle.id).dispose()
        self._on_data(packet.participant_identity, packet.user.topic, payload)
