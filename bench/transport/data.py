"""Audio as data packets: reliable and in order, as in the product, or lossy with redundancy."""

from __future__ import annotations

import asyncio
import struct
import time

from bench.transport.wire import RATE_HZ, Concealed, Trips
from bridges.data_room import DataRoom
from contracts.ids import MEDIA_TOPIC
from contracts.media import Heard, Speech, parse_down, parse_up, serialize

PACKET_S = 0.04
PCM = bytes(int(PACKET_S * RATE_HZ) * 2)
KEPT_NUMBERS = 256
NUDGES = 4
NUDGE_EACH_S = 0.02


class ReliableWire:
    """The product's own packets: `Heard` up, `Speech` down."""

    frame_s = PACKET_S

    def __init__(self, *, echoing: bool) -> None:
        self.trips = Trips()
        self._echoing = echoing
        self._peer = ""
        self._room = DataRoom(self._receive)

    async def join(self, url: str, token: str, peer: str) -> None:
        """Join a room; `peer` is the other end's identity."""
        self._peer = peer
        await self._room.join(url, token)

    def speak(self, number: int, now: float) -> None:
        """Send the `number`-th packet."""
        self.trips.sent_at[number] = now
        self._send(serialize(Heard(number, 0, 0, PCM)))

    async def concealed(self) -> Concealed:
        """Return nothing: what is late is late, as the trips tell."""
        return Concealed()

    async def leave(self) -> None:
        """Leave the room."""
        await self._room.leave()

    def _send(self, payload: bytes) -> None:
        self._room.send(payload, self._peer, MEDIA_TOPIC)

    def _receive(self, _identity: str, _topic: str, payload: bytes) -> None:
        if self._echoing:
            heard = parse_up(payload)
            assert isinstance(heard, Heard)
            self._send(serialize(Speech(heard.at_ms, heard.pcm)))
        else:
            speech = parse_down(payload)
            assert isinstance(speech, Speech)
            self.trips.returned(speech.segment, time.monotonic())


class LossyWire(ReliableWire):
    """Packets sent once, each with the audio of the one before it, so that one loss is mended."""

    _HEAD = struct.Struct("<I")

    def __init__(self, *, echoing: bool) -> None:
        super().__init__(echoing=echoing)
        self._seen: set[int] = set()

    def speak(self, number: int, now: float) -> None:
        self.trips.sent_at[number] = now
        self._send(self._HEAD.pack(number) + PCM + PCM)

    def _send(self, payload: bytes) -> None:
        self._room.send(payload, self._peer, MEDIA_TOPIC, reliable=False)

    def _receive(self, _identity: str, _topic: str, payload: bytes) -> None:
        (number,) = self._HEAD.unpack_from(payload)
        now = time.monotonic()
        for each in (number - 1, number):
            if each < 0 or each in self._seen:
                continue
            self._seen.add(each)
            self._seen.discard(each - KEPT_NUMBERS)
            if self._echoing:
                self._send(self._HEAD.pack(each) + PCM + PCM)
            else:
                self.trips.returned(each, now)


class LoneWire(ReliableWire):
    """Small packets with nothing behind them, like a `Pause`: a loss shows only by a time-out."""

    frame_s = 0.5

    def speak(self, number: int, now: float) -> None:
        self.trips.sent_at[number] = now
        self._send(serialize(Heard(number, 0, 0, b"")))


class NudgedWire(LoneWire):
    """The same with a few empty lossy packets behind each: they show what is missing."""

    def _send(self, payload: bytes) -> None:
        super()._send(payload)
        loop = asyncio.get_running_loop()
        for number in range(1, NUDGES + 1):
            loop.call_later(number * NUDGE_EACH_S, self._nudge)

    def _nudge(self) -> None:
        self._room.send(b"", self._peer, "nudge", reliable=False)

    def _receive(self, identity: str, topic: str, payload: bytes) -> None:
        if topic == MEDIA_TOPIC:
            super()._receive(identity, topic, payload)
