"""The SDK's side of a call over audio tracks: one published, the caller's subscribed to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog
from livekit import rtc

from agent.caller import Caller

log = structlog.get_logger(__name__)

FRAME_MS = 20
HELD_FRAMES = 50
"""Caller audio kept while this process stalls, and taken up at once afterwards."""
QUEUE_MS = 200
MAX_QUEUED_S = 0.08
"""What may wait to be sent, above what is kept ahead on purpose: more would be delay that stays."""
MAX_BITRATE = 96_000
"""Opus takes half the processor time at this rate that it takes at its default."""
_STATS_S = 2.0

HearPcm = Callable[[bytes], None]
"""Takes 20 ms of the caller's PCM."""


class Tracks(Protocol):
    """One call's two tracks."""

    async def publish(self) -> None:
        """Publish the bot's."""
        ...

    async def subscribed(self) -> None:
        """Return once somebody receives it."""
        ...

    async def listen(self, hear: HearPcm) -> None:
        """Pass on what the caller's brings, whenever there is one, until cancelled."""
        ...

    async def push(self, pcm: bytes) -> None:
        """Send a piece of the bot's voice after those before it."""
        ...

    async def packets(self) -> int | None:
        """Return how many packets the caller's has brought so far; None where nobody can tell."""
        ...

    def clear(self) -> None:
        """Drop what was pushed and not sent."""
        ...

    async def aclose(self) -> None:
        """Let go of both."""
        ...


class RoomTracks:
    """`Tracks` in a LiveKit room. Only the caller's microphone is listened to.

    Attributes:
        shed_frames: what was not sent because too much was waiting.
    """

    def __init__(self, room: rtc.Room, caller: Caller, rate_hz: int) -> None:
        self.shed_frames = 0
        self._room = room
        self._caller = caller
        self._rate_hz = rate_hz
        self._source: rtc.AudioSource | None = None
        self._publication: rtc.LocalTrackPublication | None = None
        self._published = asyncio.Event()
        self._heard: asyncio.Queue[rtc.Track] = asyncio.Queue()
        self._wanted: rtc.RemoteTrackPublication | None = None
        self._listened: rtc.Track | None = None
        self._is_republished = False

    async def publish(self) -> None:
        """Publish a silent track.

        Raises:
            livekit.rtc.participant.PublishTrackError: the room does not take it.
        """
        self._source = rtc.AudioSource(self._rate_hz, 1, queue_size_ms=QUEUE_MS)
        track = rtc.LocalAudioTrack.create_audio_track("bot", self._source)
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=False
        )
        options.audio_encoding.max_bitrate = MAX_BITRATE
        self._publication = await self._room.local_participant.publish_track(track, options)
        self._published.set()

    async def subscribed(self) -> None:
        """Return once somebody receives the bot's track."""
        await self._published.wait()
        assert self._publication is not None
        await self._publication.wait_for_subscription()

    async def listen(self, hear: HearPcm) -> None:
        """Listen to the caller's microphone; to the newest, if it is published again."""
        on, off = self._room.on, self._room.off
        on("track_published", self._on_published)
        on("track_subscribed", self._on_subscribed)
        self._want_published()
        listening: asyncio.Task[None] | None = None
        try:
            while True:
                track = await self._heard.get()
                self._is_republished |= self._listened is not None
                self._listened = track
                if listening is not None:
                    listening.cancel()
                listening = asyncio.create_task(self._read(track, hear))
        finally:
            off("track_published", self._on_published)
            off("track_subscribed", self._on_subscribed)
            if listening is not None:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

    async def push(self, pcm: bytes) -> None:
        """Send a piece of the bot's voice; dropped where too much is waiting."""
        if self._source is None:
            return
        if self._source.queued_duration > MAX_QUEUED_S:
            self.shed_frames += 1
            return
        await self._source.capture_frame(rtc.AudioFrame(pcm, self._rate_hz, 1, len(pcm) // 2))

    async def packets(self) -> int | None:
        """Return how many packets the caller's microphone has brought so far.

        Frames tell nothing: a track that never brought a packet is heard as silence. Nor does the
        newest track of several, which counts from its own beginning.
        """
        if self._listened is None:
            return 0
        if self._is_republished:
            return None
        try:
            async with asyncio.timeout(_STATS_S):
                stats = await self._listened.get_stats()
        except Exception as error:
            # The SDK has no error of its own for this.
            log.warning("packets_not_counted", error=type(error).__name__)
            return None
        return sum(one.inbound_rtp.received.packets_received for one in stats)

    def clear(self) -> None:
        """Drop what was pushed and not sent."""
        if self._source is not None:
            self._source.clear_queue()

    async def aclose(self) -> None:
        """Let go of the source; the room takes the tracks along when it is left."""
        if self._source is not None:
            await self._source.aclose()
        if self.shed_frames:
            log.warning("frames_shed", count=self.shed_frames)

    def _want_published(self) -> None:
        caller = self._caller.participant
        for publication in list(caller.track_publications.values()) if caller else []:
            self._want(publication)

    def _on_published(
        self, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        if self._caller.is_(who):
            self._want(publication)

    def _want(self, publication: rtc.RemoteTrackPublication) -> None:
        if (
            publication.kind == rtc.TrackKind.KIND_AUDIO
            and publication.source == rtc.TrackSource.SOURCE_MICROPHONE
        ):
            # One at a time: each is decoded, and a visitor may publish as many as they like.
            if self._wanted is not None:
                self._wanted.set_subscribed(False)
            publication.set_subscribed(True)
            self._wanted = publication

    def _on_subscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant
    ) -> None:
        if self._caller.is_(who) and track.kind == rtc.TrackKind.KIND_AUDIO:
            self._heard.put_nowait(track)

    async def _read(self, track: rtc.Track, hear: HearPcm) -> None:
        stream = rtc.AudioStream(
            track,
            sample_rate=self._rate_hz,
            num_channels=1,
            frame_size_ms=FRAME_MS,
            capacity=HELD_FRAMES,
        )
        try:
            async for event in stream:
                hear(bytes(event.frame.data))
        finally:
            await stream.aclose()
