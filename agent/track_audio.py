"""Call audio over tracks, for callers that no bridge of ours carries: LiveKit SIP, browsers.

The bot's voice is played by our own clock, as a bridge plays it, into a track that keeps little
ahead: pauses, interruptions, positions and both channels of the recording come from that clock.
What it cannot see is what lies behind it: the network, and the far end's jitter buffer. So a line
counts as heard when it has left, some tens of milliseconds before the phone plays it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from agent.ear import Ear
from agent.frame_clock import FrameClock
from agent.leg_clock import LegClock
from agent.room_audio import OnAudio, RoomAudioOutput
from agent.room_input import RoomAudioInput
from agent.room_tracks import Tracks
from contracts.media import DownPacket, Finished, Speech
from contracts.playout import Frame, Playout, PlayoutEvent, Stopped

log = structlog.get_logger(__name__)

LEAD_MS = 40
"""With the 20 ms being sent the track holds at most 60 ms: enough for a late wake-up of ours."""
SUBSCRIBED_S = 2.0
"""How long the first word waits for the caller to receive our track."""
NO_MEDIA_S = 10.0
"""How long a phone that is answered may bring no packet at all."""
_SAMPLE_BYTES = 2


class TrackLink:
    """Both ways between this agent and a caller who has tracks.

    The leg's clock is this agent's own: it counts from the answer.

    Args:
        tracks: the room's.
        rate_hz: of both ways.
        clock: wall time in seconds, as the framework has it.
        on_audio: given all that is heard and played, for the recording.
        began_s_ago: how long ago the call was answered, where another agent served it before.
        on_no_media: told once where the caller's track brought nothing in `NO_MEDIA_S` of an
            answered call; None where a caller may be silent, as a browser's is that is muted.
    """

    def __init__(
        self,
        tracks: Tracks,
        *,
        rate_hz: int,
        clock: Callable[[], float],
        on_audio: OnAudio,
        began_s_ago: float = 0.0,
        on_no_media: Callable[[], None] | None = None,
    ) -> None:
        self.clock = clock
        self.leg_clock = LegClock()
        self.ear = Ear(rate_hz)
        self.input = RoomAudioInput(rate_hz)
        self.output = RoomAudioOutput(self._take, rate_hz, clock)
        self._tracks = tracks
        self._rate_hz = rate_hz
        self._on_audio = on_audio
        self._began_s_ago = began_s_ago
        self._on_no_media = on_no_media
        self._playout = Playout(rate_hz, lead_ms=LEAD_MS)
        self._frames = FrameClock()
        self._now = asyncio.get_running_loop().time
        self._opened_at: float | None = None
        self._opened = asyncio.Event()
        self._packets: list[DownPacket] = []
        self._wake = asyncio.Event()

    def open(self) -> None:
        """The phone is answered: from now on the caller is heard, and hears."""
        if self._opened_at is None:
            self._opened_at = self._now() - self._began_s_ago
            self._opened.set()

    async def run(self) -> None:
        """Publish, then carry both ways until cancelled or the room is gone."""
        try:
            await self._tracks.publish()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tracks.listen(self._hear))
                tasks.create_task(self._play())
                tasks.create_task(self._start())
                if self._on_no_media is not None:
                    tasks.create_task(self._miss_media(self._on_no_media))
        finally:
            await self._tracks.aclose()

    def close(self) -> None:
        """Finish what was playing."""
        self.output.abandon()

    async def _start(self) -> None:
        """Let playback begin: once the phone is answered and the caller receives our track."""
        await self._opened.wait()
        try:
            async with asyncio.timeout(SUBSCRIBED_S):
                await self._tracks.subscribed()
        except TimeoutError:
            log.warning("track_not_subscribed", timeout_s=SUBSCRIBED_S)
        self._playout.start(self._now())
        self._wake.set()

    async def _miss_media(self, on_no_media: Callable[[], None]) -> None:
        await self._opened.wait()
        # While it rang there may have been a tone, which no phone has sent.
        before = await self._tracks.packets() or 0
        await asyncio.sleep(NO_MEDIA_S)
        packets = await self._tracks.packets()
        if packets is not None and packets <= before:
            on_no_media()

    def _take(self, packet: DownPacket) -> None:
        # Not at once: what follows from it is no affair of whoever speaks.
        self._packets.append(packet)
        self._wake.set()

    async def _play(self) -> None:
        while True:
            self._wake.clear()
            now = self._now()
            packets, self._packets = self._packets, []
            for packet in packets:
                if isinstance(packet, Speech):
                    self.output.leaves(packet.segment)
                await self._perform(self._playout.accept(packet, now), now)
            await self._perform(self._playout.tick(now), now)
            self._progress(now)
            deadline = self._playout.deadline()
            timer = None
            if deadline is not None:
                timer = asyncio.get_running_loop().call_at(deadline, self._wake.set)
            await self._wake.wait()
            if timer is not None:
                timer.cancel()

    async def _perform(self, events: list[PlayoutEvent], now: float) -> None:
        for event in events:
            match event:
                case Frame():
                    await self._tracks.push(event.pcm)
                case Stopped():
                    self._tracks.clear()
                case Finished():
                    at_ms = self._leg_ms(now)
                    pcm = self.output.finish(
                        event.segment,
                        event.played_samples,
                        interrupted=event.interrupted,
                        at_ms=at_ms,
                    )
                    self._played(pcm, at_ms)

    def _progress(self, now: float) -> None:
        segment, played = self._playout.position(now)
        at_ms = self._leg_ms(now)
        self._played(self.output.advance(segment, played, at_ms), at_ms)

    def _played(self, pcm: bytes, at_ms: float) -> None:
        if pcm:
            self._on_audio(round(at_ms), b"", pcm)

    def _hear(self, pcm: bytes) -> None:
        if self._opened_at is None:
            return
        now = self._now()
        ended_at = self._frames.ends_at(len(pcm) / _SAMPLE_BYTES / self._rate_hz, now)
        at_ms = self._leg_ms(ended_at)
        self.leg_clock.observe(self._leg_ms(now), self.clock())
        self.ear.hear(pcm, at_ms)
        self.input.push(pcm)
        self._on_audio(round(at_ms), pcm, b"")

    def _leg_ms(self, now: float) -> float:
        return 0.0 if self._opened_at is None else max(0.0, 1000 * (now - self._opened_at))
