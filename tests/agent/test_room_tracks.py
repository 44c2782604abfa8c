"""Which of a room's tracks is listened to, and what of ours is sent."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc

from agent.caller import Caller
from agent.room_tracks import HELD_FRAMES, MAX_QUEUED_S, RoomTracks
from tests.fakes.phone_room import FakeCaller, PhoneRoom

AUDIO, VIDEO = rtc.TrackKind.KIND_AUDIO, rtc.TrackKind.KIND_VIDEO
MICROPHONE = rtc.TrackSource.SOURCE_MICROPHONE
SCREEN = rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO


class Publication:
    """A track somebody has published."""

    def __init__(self, kind: int = AUDIO, source: int = MICROPHONE) -> None:
        self.kind, self.source = kind, source
        self.wanted = False
        self.packets: int | None = 0
        self.track = SimpleNamespace(kind=kind, frames=[b"\1\0" * 160], get_stats=self._get_stats)

    def set_subscribed(self, wanted: bool) -> None:
        self.wanted = wanted

    async def _get_stats(self) -> list[Any]:
        if self.packets is None:
            raise Exception("closed")
        if not self.packets:
            return []  # as the SDK has it before the first
        received = SimpleNamespace(packets_received=self.packets)
        others = SimpleNamespace(packets_received=0)
        return [
            SimpleNamespace(inbound_rtp=SimpleNamespace(received=one)) for one in (others, received)
        ]


class FakeStream:
    """The frames of a track, then silence."""

    opened: list[dict[str, Any]]
    closed: list[Any]

    def __init__(self, track: Any, **options: Any) -> None:
        FakeStream.opened.append(options)
        self._track = track

    async def __aiter__(self) -> Any:
        for pcm in self._track.frames:
            yield SimpleNamespace(frame=SimpleNamespace(data=pcm))
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        FakeStream.closed.append(self._track)


class FakeSource:
    def __init__(self, *_: Any, **__: Any) -> None:
        self.queued_duration = 0.0
        self.captured: list[rtc.AudioFrame] = []
        self.cleared = 0

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        self.captured.append(frame)

    def clear_queue(self) -> None:
        self.cleared += 1

    async def aclose(self) -> None:
        return


class TrackRoom(PhoneRoom):
    """A room that takes tracks."""

    def __init__(self) -> None:
        super().__init__("caller")
        self.options: Any = None

    async def publish_track(self, _: Any, options: Any) -> Any:
        self.options = options
        return SimpleNamespace(wait_for_subscription=self._subscribed)

    async def _subscribed(self) -> None:
        return


@pytest.fixture(autouse=True)
def no_native_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeStream.opened, FakeStream.closed = [], []
    monkeypatch.setattr(rtc, "AudioStream", FakeStream)
    monkeypatch.setattr(rtc, "AudioSource", FakeSource)
    monkeypatch.setattr(rtc.LocalAudioTrack, "create_audio_track", lambda *_: None)


class Listening:
    """`RoomTracks` that listen, and what they heard."""

    def __init__(self) -> None:
        self.room = TrackRoom()
        anything: Any = self.room
        self.tracks = RoomTracks(anything, Caller(anything, "caller"), 8000)
        self.heard: list[bytes] = []
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Listening:
        self.task = asyncio.create_task(self.tracks.listen(self.heard.append))
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def subscribe(self, publication: Publication, who: Any = None) -> None:
        who = who or self.room.caller
        self.room.emit("track_subscribed", publication.track, publication, who)
        for _ in range(5):
            await asyncio.sleep(0)


async def test_callers_microphone_is_listened_to_and_nothing_else() -> None:
    listening = Listening()
    before, screen, video = Publication(), Publication(source=SCREEN), Publication(kind=VIDEO)
    listening.room.caller.track_publications = {"a": before, "b": screen, "c": video}
    async with listening:
        others = Publication()
        listening.room.emit("track_published", others, FakeCaller("supervisor"))
        assert [p.wanted for p in (before, screen, video, others)] == [True, False, False, False]
        await listening.subscribe(others, FakeCaller("supervisor"))
        assert listening.heard == []
        await listening.subscribe(before)
        assert listening.heard == [b"\1\0" * 160]
        (options,) = FakeStream.opened
        assert (options["capacity"], options["sample_rate"]) == (HELD_FRAMES, 8000)
        assert options["frame_size_ms"] == 20
    assert FakeStream.closed == [before.track]
    assert not any(listening.room._handlers.values())


async def test_of_many_microphones_the_newest_alone_is_received() -> None:
    listening = Listening()
    many = [Publication() for _ in range(5)]
    listening.room.caller.track_publications = {"a": many[0]}
    async with listening:
        # The last is told of twice, as after this agent has lost its connection.
        for publication in (*many[1:], many[-1]):
            listening.room.emit("track_published", publication, listening.room.caller)
        assert [each.wanted for each in many] == [False, False, False, False, True]


async def test_microphone_that_is_published_again_takes_the_place_of_the_old_one() -> None:
    async with Listening() as listening:
        first, second = Publication(), Publication()
        second.track.frames = [b"\2\0" * 160]
        await listening.subscribe(first)
        await listening.subscribe(second)
        assert listening.heard == [b"\1\0" * 160, b"\2\0" * 160]
        assert FakeStream.closed == [first.track]


async def test_track_is_published_as_measured() -> None:
    listening = Listening()
    await listening.tracks.publish()
    await listening.tracks.subscribed()
    options = listening.room.options
    assert (options.dtx, options.red, options.source) == (False, False, MICROPHONE)


async def test_voice_is_shed_rather_than_late_for_the_rest_of_the_call() -> None:
    listening = Listening()
    await listening.tracks.push(b"\1\0" * 160)
    await listening.tracks.publish()
    source: Any = listening.tracks._source
    await listening.tracks.push(b"\1\0" * 160)
    source.queued_duration = MAX_QUEUED_S + 0.01
    await listening.tracks.push(b"\1\0" * 160)
    assert (len(source.captured), listening.tracks.shed_frames) == (1, 1)
    listening.tracks.clear()
    assert source.cleared == 1
    await listening.tracks.aclose()


async def test_packets_of_the_track_that_is_listened_to_are_counted() -> None:
    async with Listening() as listening:
        assert await listening.tracks.packets() == 0
        microphone = Publication()
        await listening.subscribe(microphone)
        assert await listening.tracks.packets() == 0
        microphone.packets = 7
        assert await listening.tracks.packets() == 7
        microphone.packets = None
        assert await listening.tracks.packets() is None


async def test_track_that_takes_anothers_place_tells_nothing_of_the_packets_so_far() -> None:
    async with Listening() as listening:
        first, second = Publication(), Publication()
        first.packets, second.packets = 200, 7
        await listening.subscribe(first)
        assert await listening.tracks.packets() == 200
        await listening.subscribe(second)
        assert await listening.tracks.packets() is None
