"""The bridge alone: how long audio takes through it and back, and how evenly frames leave it.

A dialler, a bridge and an echoing agent share this process; the LiveKit server is a real one.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect

from bench.figure import Figure, figure
from bridges.app import Bridge
from bridges.clock import Clock
from bridges.race import cancel
from bridges.settings import Settings
from bridges.wire.dialler_event import BotAudio
from bridges.wire.dialler_phone import DiallerPhone
from tests.fakes.room_agent import RoomAgent
from tests.fakes.sidecar import FakeSidecar

FRAME_S = 0.02
FRAME_SAMPLES = 160
PULSES = 100
PULSE_EACH_FRAMES = 7
"""An odd number, so that pulses fall on either half of a packet."""
FIRST_PULSE = 1000
SPEECH_S = 10.0
LIMIT_S = 60.0


class RunningFleet(Protocol):
    """What is asked of a fleet: its LiveKit server and what signs tokens for it."""

    @property
    def livekit_url(self) -> str: ...

    @property
    def environ(self) -> Mapping[str, str]: ...


@dataclass(slots=True)
class _Dialler:
    """A dialler that marks frames and notes when each comes back."""

    connection: ClientConnection
    protocol: DiallerPhone = field(default_factory=DiallerPhone)
    sent_at: dict[int, float] = field(default_factory=dict)
    back_after_s: dict[int, float] = field(default_factory=dict)
    arrivals: list[float] = field(default_factory=list)
    pulsing: bool = False
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(self) -> None:
        self.protocol.connect({"callerId": "1", "did": "2", "streamId": "bench"})
        self.protocol.start("bench")
        self.protocol.answer()
        await self._flush()

    async def speak(self) -> None:
        due, frame = time.monotonic(), 0
        while True:
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            level = 0
            if self.pulsing and frame % PULSE_EACH_FRAMES == 0:
                level = FIRST_PULSE + len(self.sent_at)
                self.sent_at[level] = time.monotonic()
            self.protocol.send_media(struct.pack("<h", level) * FRAME_SAMPLES)
            await self._flush()
            frame += 1

    async def listen(self) -> None:
        async for message in self.connection:
            now = time.monotonic()
            for event in self.protocol.receive(message):
                if isinstance(event, BotAudio):
                    self.arrivals.append(now)
                    (level,) = struct.unpack_from("<h", event.pcm)
                    if level in self.sent_at:
                        self.back_after_s.setdefault(level, now - self.sent_at[level])
                        if len(self.back_after_s) >= PULSES:
                            self.enough.set()

    async def _flush(self) -> None:
        for message in self.protocol.outgoing():
            await self.connection.send(message)


async def measure_bridge(fleet: RunningFleet) -> list[Figure]:
    """Place one call through a bridge of its own and return what was measured."""
    sidecar = FakeSidecar(
        fleet.livekit_url,
        fleet.environ["LIVEKIT_API_KEY"],
        fleet.environ["LIVEKIT_API_SECRET"],
    )
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(sidecar.client())
        settings = Settings(bridge_host="127.0.0.1", bridge_port=0)
        bridge = await stack.enter_async_context(Bridge(settings, client, Clock()))
        url = f"ws://127.0.0.1:{bridge.port}/ws/bench"
        connection = await stack.enter_async_context(connect(url, compression=None))
        async with asyncio.timeout(LIMIT_S):
            return await _measure(sidecar, _Dialler(connection))


async def _measure(sidecar: FakeSidecar, dialler: _Dialler) -> list[Figure]:
    await dialler.call()
    (plan,) = await sidecar.planned()
    agent = await RoomAgent.join(sidecar, plan)
    tasks = [asyncio.create_task(work) for work in (dialler.speak(), dialler.listen())]
    try:
        await agent.answered.wait()
        echoing = asyncio.create_task(agent.echo())
        tasks.append(echoing)
        await asyncio.sleep(1.0)
        dialler.pulsing = True
        await dialler.enough.wait()
        dialler.pulsing = False
        await asyncio.sleep(0.5)
        await cancel(echoing)
        dialler.arrivals.clear()
        spoken = len(agent.finished)
        # Well above the echo's numbers, which a bridge would take for old speech.
        await agent.say(1_000_000, bytes(int(SPEECH_S / FRAME_S) * FRAME_SAMPLES * 2))
        await agent.until(lambda: len(agent.finished) > spoken, timeout_s=SPEECH_S + 5)
    finally:
        await cancel(*tasks)
        await agent.leave()
    round_trips = [seconds * 1000 for seconds in dialler.back_after_s.values()]
    return [
        figure("bridge round trip (in, room, echo, room, out)", "ms", round_trips),
        figure("frame lateness, as the dialler sees it", "ms", _lateness_ms(dialler.arrivals)),
    ]


def _lateness_ms(arrivals: list[float]) -> list[float]:
    """Return how much later than a perfect clock, set by the earliest one, each frame came."""
    offsets = [arrival - number * FRAME_S for number, arrival in enumerate(arrivals)]
    return [(offset - min(offsets)) * 1000 for offset in offsets]
