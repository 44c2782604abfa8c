"""Audio as tracks: tone bursts in, found again by their pitch in what comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

from bench.transport.wire import RATE_HZ, Concealed, Trips
from bridges.race import cancel

FRAME_S = 0.02
FRAME_SAMPLES = int(FRAME_S * RATE_HZ)
QUEUE_MS = 200
SHED_ABOVE_S = 0.03
"""More than this in the source's queue would be delay for the rest of the call."""
BURST_EVERY_FRAMES = 10
BURST_FRAMES = 5
PITCHES_HZ = (500, 700, 900, 1100, 1300, 1500, 1700, 1900)
LOUD = 2000.0

_TIMES = np.arange(BURST_FRAMES * FRAME_SAMPLES) / RATE_HZ
_BURSTS = [(9000 * np.sin(2 * np.pi * hz * _TIMES)).astype(np.int16) for hz in PITCHES_HZ]
_PROBES = np.array([np.exp(-2j * np.pi * hz * _TIMES[:FRAME_SAMPLES]) for hz in PITCHES_HZ])


class TrackWire:
    """A published and a subscribed track, with the queues that measured best."""

    frame_s = FRAME_S

    def __init__(self, *, echoing: bool) -> None:
        self.trips = Trips()
        self._echoing = echoing
        self._room = rtc.Room()
        self._source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=QUEUE_MS)
        self._track: rtc.Track | None = None
        self._frames: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._was_loud = True
        self._room.on("track_subscribed", self._subscribed)

    async def join(self, url: str, token: str, peer: str) -> None:
        """Join a room; whoever else is there is heard."""
        await self._room.connect(url, token)
        track = rtc.LocalAudioTrack.create_audio_track("voice", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        options.dtx = options.red = False
        await self._room.local_participant.publish_track(track, options)
        self._start(self._pump())

    def speak(self, number: int, now: float) -> None:
        """Send the `number`-th frame: a burst each 200 ms, silence between."""
        burst, at = divmod(number, BURST_EVERY_FRAMES)
        pcm = bytes(FRAME_SAMPLES * 2)
        if at == 0:
            self.trips.sent_at[burst] = now
        if at < BURST_FRAMES:
            tone = _BURSTS[burst % len(_BURSTS)]
            pcm = tone[at * FRAME_SAMPLES : (at + 1) * FRAME_SAMPLES].tobytes()
        self._frames.put_nowait(rtc.AudioFrame(pcm, RATE_HZ, 1, FRAME_SAMPLES))

    async def concealed(self) -> Concealed:
        """Return what the jitter buffer made up so far."""
        if self._track is None:
            return Concealed()
        for stats in await self._track.get_stats():
            if stats.HasField("inbound_rtp"):
                inbound = stats.inbound_rtp.inbound
                return Concealed(
                    inbound.concealed_samples,
                    inbound.concealment_events,
                    inbound.total_samples_received,
                )
        return Concealed()

    async def leave(self) -> None:
        """Leave the room."""
        await cancel(*self._tasks)
        await self._room.disconnect()

    def _subscribed(self, track: rtc.Track, *_: object) -> None:
        self._track = track
        self._start(self._listen(track))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pump(self) -> None:
        while True:
            frame = await self._frames.get()
            if self._source.queued_duration <= SHED_ABOVE_S:
                await self._source.capture_frame(frame)

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(
            track, sample_rate=RATE_HZ, num_channels=1, frame_size_ms=20, capacity=50
        )
        async for event in stream:
            if self._echoing:
                self._frames.put_nowait(event.frame)
            else:
                self._find(np.frombuffer(event.frame.data, np.int16), time.monotonic())

    def _find(self, samples: NDArray[np.int16], now: float) -> None:
        is_loud = bool(np.abs(samples).max() > LOUD)
        if is_loud and not self._was_loud:
            # The first half of a burst may be in the frame; its pitch tells which one it is.
            pitch = int(np.argmax(np.abs(_PROBES @ samples)))
            sent = [n for n in self.trips.sent_at if n % len(PITCHES_HZ) == pitch]
            if sent:
                self.trips.returned(max(sent), now)
        self._was_loud = is_loud
