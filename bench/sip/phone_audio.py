"""A phone's audio on UDP: A-law out each 20 ms, and what comes in with the kernel's own times.

Those do not depend on when this process gets round to reading: the phones share the machine with
what they judge.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass, field

from bridges.audio.g711 import A_LAW

FRAME_S = 0.02
FRAME_SAMPLES = 160
RATE_HZ = 8000
LOUD = 8000
"""What a pulse has, and no line noise."""
AUDIBLE = 300
PULSE_EVERY = 37
"""Frames. An odd number, so that pulses fall on either half of a packet to the agent."""
_SILENCE = b"\xd5" * FRAME_SAMPLES
_PULSE = b"\xaa\x2a" * (FRAME_SAMPLES // 2)
"""The loudest A-law has, at half the rate: no codec or level control mistakes it for noise."""
_PCMA = 8
_SO_TIMESTAMPNS = 35
_TIME = struct.Struct("@qq")
_HEAD = struct.Struct(">BBHII")
_MOST_BYTES = 2048


@dataclass(slots=True)
class PhoneAudio:
    """One call's audio. Times are `time.monotonic()` seconds. `start` it, and `close` it.

    Attributes:
        pulses: when each pulse was sent.
        loud: when each loud packet came that followed a silent one.
        loud_packets: how many loud ones came.
        heard_at: when the first packet came in which anything is to be heard; 0.0 before.
        audible_at: when the last one of those came.
        arrivals: RTP timestamp and time of every packet.
        heard: all audio that came, PCM16.
        is_pulsing: whether to send a pulse each `PULSE_EVERY` frames.
    """

    pulses: list[float] = field(default_factory=list)
    loud: list[float] = field(default_factory=list)
    loud_packets: int = 0
    heard_at: float = 0.0
    audible_at: float = 0.0
    arrivals: list[tuple[int, float]] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)
    is_pulsing: bool = False
    _mouth: deque[bytes] = field(default_factory=deque)
    _was_loud: bool = False
    _socket: socket.socket = field(
        default_factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    )
    _talking: asyncio.Task[None] | None = None

    def open(self) -> int:
        """Listen; return the port."""
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind(("127.0.0.1", 0))
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        return int(self._socket.getsockname()[1])

    def start(self, remote: tuple[str, int]) -> None:
        """Send a frame each 20 ms from now on."""
        self._talking = asyncio.create_task(self._talk(remote))

    def say(self, pcm: bytes) -> None:
        """Send PCM16, after what is being said."""
        octets = A_LAW.encode(pcm)
        pieces = (octets[at : at + FRAME_SAMPLES] for at in range(0, len(octets), FRAME_SAMPLES))
        self._mouth.extend(piece.ljust(FRAME_SAMPLES, b"\xd5") for piece in pieces)

    async def close(self) -> None:
        """Fall silent, and be deaf. Idempotent."""
        if self._socket.fileno() < 0:
            return
        if self._talking is not None:
            self._talking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._talking
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    async def _talk(self, remote: tuple[str, int]) -> None:
        due, sequence = time.monotonic(), 1
        ssrc = secrets.randbits(32)
        while True:
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            payload = self._mouth.popleft() if self._mouth else _SILENCE
            if self.is_pulsing and sequence % PULSE_EVERY == 0:
                payload = _PULSE
                self.pulses.append(time.monotonic())
            stamp = sequence * FRAME_SAMPLES & 0xFFFFFFFF
            head = _HEAD.pack(0x80, _PCMA, sequence & 0xFFFF, stamp, ssrc)
            self._socket.sendto(head + payload, remote)
            sequence += 1

    def _read(self) -> None:
        while True:
            try:
                data, notes, *_ = self._socket.recvmsg(_MOST_BYTES, socket.CMSG_SPACE(_TIME.size))
            except BlockingIOError:
                return
            if len(data) > _HEAD.size and data[1] & 0x7F == _PCMA:
                self._take(data, _came_at(notes))

    def _take(self, data: bytes, at: float) -> None:
        self.arrivals.append((_HEAD.unpack_from(data)[3], at))
        pcm = A_LAW.decode(data[_HEAD.size :])
        self.heard += pcm
        loudest = max(map(abs, memoryview(pcm).cast("h")))
        if loudest > AUDIBLE:
            self.heard_at = self.heard_at or at
            self.audible_at = at
        is_loud = loudest > LOUD
        self.loud_packets += is_loud
        if is_loud and not self._was_loud:
            self.loud.append(at)
        self._was_loud = is_loud


def _came_at(notes: list[tuple[int, int, bytes]]) -> float:
    """Return when the kernel took a datagram, on the monotonic clock."""
    seconds, nanoseconds = _TIME.unpack(notes[0][2])
    waited_s: float = time.time() - seconds - nanoseconds / 1e9
    return time.monotonic() - waited_s
