"""Somebody listens in: hears both sides, is not noticed by the caller, and leaves no trace."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import numpy as np
from livekit import api, rtc

from bridges.listen_in import BOT_TRACK, CALLER_TRACK
from contracts.media import Finished
from tests.integration.livekit_server import LiveKitServer
from tests.integration.test_bridge import RATE_HZ, Call, call, tone, until

CALLER_HZ = 500
BOT_HZ = 1200
HIDDEN_S = 0.4
"""Stalls of a busy machine; what a carrier's jitter buffer hides is for `bench.listen_in`."""


class Listener:
    """A supervisor: subscribes to whatever there is and keeps it by the track's name."""

    def __init__(self) -> None:
        self.heard: dict[str, bytearray] = defaultdict(bytearray)
        self.gone: list[str] = []
        self.room = rtc.Room()
        self._tasks: list[asyncio.Task[None]] = []
        self.room.on("track_subscribed", self._subscribed)
        self.room.on("track_unpublished", lambda each, _who: self.gone.append(each.name))

    async def join(self, url: str, token: str) -> None:
        await self.room.connect(url, token)

    async def leave(self) -> None:
        await self.room.disconnect()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hears(self, name: str, frequency_hz: int) -> bool:
        """Whether the last half second on a track is this tone, and loud."""
        samples = np.frombuffer(bytes(self.heard[name][-RATE_HZ:]), np.int16)
        if samples.size < RATE_HZ // 2 or np.abs(samples).max() < 3000:
            return False
        strongest = int(np.argmax(np.abs(np.fft.rfft(samples))))
        return abs(strongest * RATE_HZ / samples.size - frequency_hz) < 20

    def _subscribed(self, track: rtc.Track, publication: rtc.TrackPublication, _: object) -> None:
        self._tasks.append(asyncio.create_task(self._listen(track, publication.name)))

    async def _listen(self, track: rtc.Track, name: str) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE_HZ, num_channels=1)
        async for event in stream:
            self.heard[name] += bytes(event.frame.data)


async def published(server: LiveKitServer, live: Call) -> set[str]:
    """Return the names of all audio tracks in the call's room."""
    (plan,) = live.sidecar.plans.values()
    http_url = server.url.replace("ws", "http", 1)
    async with api.LiveKitAPI(http_url, server.key, server.secret) as livekit:
        listed = await livekit.room.list_participants(
            api.ListParticipantsRequest(room=plan.room_name)
        )
    return {
        track.name
        for participant in listed.participants
        for track in participant.tracks
        if track.type == api.TrackType.AUDIO
    }


async def test_listener_hears_both_sides_and_the_phone_notices_nothing(
    livekit_server: LiveKitServer,
) -> None:
    async with call(livekit_server, jitter_buffer_s=HIDDEN_S) as live:
        (plan,) = live.sidecar.plans.values()
        said = tone(8.0, BOT_HZ)
        await live.agent.say(1, said)
        saying = asyncio.create_task(live.phone.say(tone(8.0, CALLER_HZ)))
        await live.phone.wait_for_audio()
        assert await published(livekit_server, live) == set()

        listener = Listener()
        token = live.sidecar.token(plan.room_name, "supervisor")
        await listener.join(plan.livekit_url, token)
        await until(lambda: listener.hears(CALLER_TRACK, CALLER_HZ))
        await until(lambda: listener.hears(BOT_TRACK, BOT_HZ))
        tracks = live.agent.room.remote_participants[plan.caller_identity].track_publications
        assert not any(each.subscribed for each in tracks.values())
        await listener.leave()

        while await published(livekit_server, live):  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.05)
        await live.agent.until(lambda: bool(live.agent.finished))
        await saying

        assert live.agent.finished == [Finished(1, len(said) // 2, interrupted=False)]
        assert said in live.phone.heard()

    stats = (await live.sidecar.ended()).stats
    assert (stats["underruns"], stats["dropped_frames"]) == (0, 0)
