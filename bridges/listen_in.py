"""Lets others hear a call: a track of either side, for as long as somebody is there to listen.

The call itself needs no tracks, and pays for them only while they are published.
"""

from __future__ import annotations

import asyncio

import structlog
from livekit import rtc
from livekit.rtc.participant import PublishTrackError, UnpublishTrackError

from bridges.race import cancel

log = structlog.get_logger(__name__)

CALLER_TRACK = "caller"
BOT_TRACK = "bot"
QUEUE_MS = 1000
MAX_QUEUED_S = 0.4
"""What may wait to be sent: a carrier's largest message and a packet. More would be delay that
stays."""
MAX_BITRATE = 96_000
"""Opus takes half the processor time at this rate that it takes at its default."""


class _Voice:
    """One side's track."""

    def __init__(self, name: str, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._source = rtc.AudioSource(rate_hz, 1, queue_size_ms=QUEUE_MS)
        self._track = rtc.LocalAudioTrack.create_audio_track(name, self._source)
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self._sid = ""

    async def publish(self, local: rtc.LocalParticipant) -> None:
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=True, red=False
        )
        options.audio_encoding.max_bitrate = MAX_BITRATE
        self._sid = (await local.publish_track(self._track, options)).sid

    async def withdraw(self, local: rtc.LocalParticipant) -> None:
        if self._sid:
            await local.unpublish_track(self._sid)
        await self._source.aclose()

    def push(self, pcm: bytes) -> None:
        self._waiting.put_nowait(pcm)

    async def run(self) -> None:
        while True:
            pcm = await self._waiting.get()
            if self._source.queued_duration <= MAX_QUEUED_S:
                frame = rtc.AudioFrame(pcm, self._rate_hz, 1, len(pcm) // 2)
                await self._source.capture_frame(frame)


class ListenIn:
    """Both sides of one call, as its phone has them. `run` it; tell it who comes and who goes."""

    def __init__(self, rate_hz: int = 8000) -> None:
        self._rate_hz = rate_hz
        self._listeners: set[str] = set()
        self._changed = asyncio.Event()
        self._voices: dict[str, _Voice] = {}

    def come(self, identity: str) -> None:
        """Somebody who is no part of the call is in its room."""
        self._listeners.add(identity)
        self._changed.set()

    def go(self, identity: str) -> None:
        """Somebody has left."""
        self._listeners.discard(identity)
        self._changed.set()

    def push(self, side: str, pcm: bytes) -> None:
        """Take what one side was just heard to say."""
        voice = self._voices.get(side)
        if voice is not None and pcm:
            voice.push(pcm)

    async def run(self, local: rtc.LocalParticipant) -> None:
        """Publish with the first listener, withdraw with the last, until cancelled.

        The call goes on whatever becomes of this.
        """
        try:
            while True:
                await self._wait_for(True)
                log.info("listener_came")
                await self._let_listen(local)
                await self._wait_for(False)
                log.info("last_listener_left")
        except Exception:
            log.exception("listening_in_failed")

    async def _let_listen(self, local: rtc.LocalParticipant) -> None:
        """Publish both sides until nobody listens any more, or it fails."""
        voices = {name: _Voice(name, self._rate_hz) for name in (CALLER_TRACK, BOT_TRACK)}
        tasks = [asyncio.create_task(voice.run()) for voice in voices.values()]
        tasks.append(asyncio.create_task(self._wait_for(False)))
        try:
            for voice in voices.values():
                await voice.publish(local)
            self._voices = voices
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except PublishTrackError as error:
            log.warning("cannot_be_listened_to", error=str(error))
        finally:
            self._voices = {}
            await cancel(*tasks)
        for voice in voices.values():
            await self._withdraw(voice, local)

    async def _withdraw(self, voice: _Voice, local: rtc.LocalParticipant) -> None:
        try:
            await voice.withdraw(local)
        except UnpublishTrackError as error:
            log.warning("track_not_withdrawn", error=str(error))

    async def _wait_for(self, somebody: bool) -> None:
        while bool(self._listeners) is not somebody:
            self._changed.clear()
            await self._changed.wait()
