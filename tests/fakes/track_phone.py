"""A phone as LiveKit SIP puts one into a room: a participant with attributes and a microphone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

from livekit import api, rtc

from contracts.ids import SIP_CALL_STATUS
from tests.integration.livekit_server import LiveKitServer

RATE_HZ = 8000
FRAME_S = 0.02
_FRAME_BYTES = int(RATE_HZ * FRAME_S) * 2


def sip_token(server: LiveKitServer, room: str, identity: str, attributes: dict[str, str]) -> str:
    """Return what lets a phone of LiveKit SIP's into a room."""
    grants = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True)
    token = api.AccessToken(server.key, server.secret).with_identity(identity)
    return token.with_kind("sip").with_attributes(attributes).with_grants(grants).to_jwt()


class TrackPhone:
    """A caller at a phone. Times are seconds since it joined.

    Attributes:
        heard: what the bot's track brought, from the first frame on.
        heard_from_s: when that was; None before.
        subscribed: set once the bot's track is received: what makes LiveKit SIP answer.
    """

    def __init__(self, *, sends: bool = True) -> None:
        self.heard = bytearray()
        self.heard_from_s: float | None = None
        self.subscribed = asyncio.Event()
        self.room = rtc.Room()
        # One that keeps a queue sends silence where there is nothing in it.
        self._source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=200 if sends else 0)
        self._sends = sends
        self._to_say = bytearray()
        self._joined_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self.room.on("track_subscribed", self._on_subscribed)

    @classmethod
    @asynccontextmanager
    async def in_room(
        cls, url: str, token: str, *, sends: bool = True
    ) -> AsyncIterator[TrackPhone]:
        """Join, ringing, with a microphone that is on, or brings no packet at all."""
        phone = cls(sends=sends)
        async with phone.joined(url, token):
            yield phone

    @asynccontextmanager
    async def joined(self, url: str, token: str, *, microphone: bool = True) -> AsyncIterator[None]:
        """Be in the room, with a microphone unless there is none."""
        self._joined_at = monotonic()
        await self.room.connect(url, token)
        if microphone:
            await self.unmute()
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.room.disconnect()
            await self._source.aclose()

    async def unmute(self) -> rtc.LocalTrackPublication:
        """Publish the microphone; what is said before anybody has subscribed to it is lost."""
        track = rtc.LocalAudioTrack.create_audio_track("phone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
        published = await self.room.local_participant.publish_track(track, options)
        if self._sends:
            self._tasks.append(asyncio.create_task(self._speak()))
        return published

    def now_s(self) -> float:
        return monotonic() - self._joined_at

    async def answer(self) -> None:
        """The call is up: LiveKit SIP says so."""
        await self.room.local_participant.set_attributes({SIP_CALL_STATUS: "active"})

    async def say(self, pcm: bytes) -> float:
        """Say something, and return when its last sound was made."""
        self._to_say += pcm
        await self.until(lambda: not self._to_say, 60)
        return self.now_s()

    async def press(self, digits: str) -> None:
        for digit in digits:
            code = "0123456789*#".index(digit)
            await self.room.local_participant.publish_dtmf(code=code, digit=digit)

    async def until(self, happened: Callable[[], bool], timeout_s: float = 10.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not happened():  # noqa: ASYNC110 - audio frames tell nobody
                await asyncio.sleep(FRAME_S)

    def loudness(self, last_s: float) -> int:
        """Return the loudest sample of the last stretch that was heard."""
        pcm = self.heard[-int(last_s * RATE_HZ) * 2 :]
        return max(map(abs, memoryview(bytes(pcm)).cast("h")), default=0)

    async def hear_out(self, quiet_s: float = 0.9) -> None:
        """Wait until the bot has begun to speak, and has finished."""
        await self.until(lambda: self.loudness(0.1) > 500)
        await self.until(lambda: self.loudness(quiet_s) < 300, 30)

    async def _speak(self) -> None:
        while True:
            piece = bytes(self._to_say[:_FRAME_BYTES])
            del self._to_say[:_FRAME_BYTES]
            frame = rtc.AudioFrame(piece.ljust(_FRAME_BYTES, b"\0"), RATE_HZ, 1, _FRAME_BYTES // 2)
            await self._source.capture_frame(frame)

    def _on_subscribed(self, track: rtc.Track, *_: object) -> None:
        self.subscribed.set()
        self._tasks.append(asyncio.create_task(self._listen(track)))

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE_HZ, num_channels=1, frame_size_ms=20)
        try:
            async for event in stream:
                if self.heard_from_s is None:
                    self.heard_from_s = self.now_s() - FRAME_S
                self.heard += bytes(event.frame.data)
        finally:
            await stream.aclose()
