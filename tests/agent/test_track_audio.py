"""Audio over tracks: played by our own clock, heard once the phone is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from livekit import rtc
from livekit.agents.voice.io import PlaybackFinishedEvent

from agent.heard import BotLine
from agent.room_tracks import HearPcm
from agent.track_audio import LEAD_MS, NO_MEDIA_S, SUBSCRIBED_S, TrackLink
from tests.fakes.virtual_time import virtual_time

RATE_HZ = 8000
FRAME_BYTES = 320
VOICE = b"\x00\x20" * 160


class FakeTracks:
    """Both tracks: plays what is pushed by the loop's clock, hears what the test says.

    Attributes:
        sent: what left, each piece with when it was pushed.
        clears: when what waited was dropped.
        packets_in: how many packets the caller's has brought; silence is heard without any.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[float, bytes]] = []
        self.clears: list[float] = []
        self.published = asyncio.Event()
        self.subscription = asyncio.Event()
        self.closed = False
        self.packets_in: int | None = 0
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()
        self._now = asyncio.get_running_loop().time

    async def publish(self) -> None:
        self.published.set()

    async def subscribed(self) -> None:
        await self.subscription.wait()

    async def listen(self, hear: HearPcm) -> None:
        while True:
            hear(await self._frames.get())

    async def push(self, pcm: bytes) -> None:
        self.sent.append((self._now(), pcm))

    async def packets(self) -> int | None:
        return self.packets_in

    def clear(self) -> None:
        self.clears.append(self._now())

    async def aclose(self) -> None:
        self.closed = True

    async def bring(self, seconds: float, pcm: bytes = VOICE) -> None:
        """The caller's track brings this, in real time."""
        for _ in range(round(seconds / 0.02)):
            await asyncio.sleep(0.02)
            self._frames.put_nowait(pcm)
        await asyncio.sleep(0.001)

    def sent_s(self) -> float:
        return sum(len(pcm) for _, pcm in self.sent) / 2 / RATE_HZ


class Call:
    """A link on fake tracks, and what came of it."""

    def __init__(self, began_s_ago: float = 0.0) -> None:
        self.tracks = FakeTracks()
        self.missed: list[float] = []
        self.recorded: list[tuple[int, bytes, bytes]] = []
        self.link = TrackLink(
            self.tracks,
            rate_hz=RATE_HZ,
            clock=asyncio.get_running_loop().time,
            on_audio=lambda *audio: self.recorded.append(audio),
            began_s_ago=began_s_ago,
            on_no_media=lambda: self.missed.append(asyncio.get_running_loop().time()),
        )
        self.started: list[float] = []
        self.finished: list[PlaybackFinishedEvent] = []
        output = self.link.output
        output.on("playback_started", lambda event: self.started.append(event.created_at))
        output.on("playback_finished", self.finished.append)

    async def say(self, seconds: float, text: str = "one two three four") -> None:
        line = BotLine()
        line.add(text)
        self.link.output.expect(line)
        samples = round(seconds * RATE_HZ)
        frame = rtc.AudioFrame(b"\x00\x10" * samples, RATE_HZ, 1, samples)
        await self.link.output.capture_frame(frame)
        self.link.output.flush()

    def played_s(self) -> float:
        return sum(len(bot) for _, _, bot in self.recorded) / 2 / RATE_HZ


@asynccontextmanager
async def answered(began_s_ago: float = 0.0) -> AsyncIterator[Call]:
    call = Call(began_s_ago)
    running = asyncio.create_task(call.link.run())
    await call.tracks.published.wait()
    call.tracks.subscription.set()
    call.link.open()
    await asyncio.sleep(0.01)
    try:
        yield call
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        call.link.close()


@virtual_time
async def test_nothing_is_heard_or_played_before_the_answer() -> None:
    call = Call()
    running = asyncio.create_task(call.link.run())
    call.tracks.subscription.set()
    await call.say(1.0)
    await call.tracks.bring(0.5)
    assert (call.tracks.sent, call.recorded) == ([], [])
    call.link.open()
    await call.tracks.bring(0.5)
    assert call.tracks.sent
    assert sum(len(caller) for _, caller, _ in call.recorded) == 25 * FRAME_BYTES
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert call.tracks.closed


@virtual_time
async def test_first_word_waits_for_somebody_who_hears_it() -> None:
    call = Call()
    running = asyncio.create_task(call.link.run())
    call.link.open()
    await call.say(1.0)
    await asyncio.sleep(SUBSCRIBED_S / 2)
    assert call.tracks.sent == []
    call.tracks.subscription.set()
    await asyncio.sleep(0.1)
    assert call.tracks.sent
    running.cancel()


@virtual_time
async def test_first_word_does_not_wait_for_ever() -> None:
    call = Call()
    running = asyncio.create_task(call.link.run())
    call.link.open()
    await call.say(1.0)
    await asyncio.sleep(SUBSCRIBED_S + 0.1)
    assert call.tracks.sent
    running.cancel()


@virtual_time
async def test_voice_leaves_in_real_time_and_little_ahead_of_it() -> None:
    async with answered() as call:
        began = asyncio.get_running_loop().time()
        await call.say(2.0)
        await asyncio.sleep(3)
        assert call.tracks.sent_s() == 2.0
        for number, (at, _) in enumerate(call.tracks.sent):
            ahead_s = (number + 1) * 0.02 - (at - began)
            assert 0 <= ahead_s <= 0.02 + LEAD_MS / 1000 + 1e-6
        assert call.finished == [PlaybackFinishedEvent(2.0, False, None)]
        assert abs(call.started[0] - began) < 0.03


@virtual_time
async def test_pause_keeps_the_rest_and_takes_back_what_waited() -> None:
    async with answered() as call:
        await call.say(2.0)
        await asyncio.sleep(1.0)
        call.link.output.pause()
        await asyncio.sleep(0.05)
        assert len(call.tracks.clears) == 1
        sent = len(call.tracks.sent)
        await asyncio.sleep(5)
        assert len(call.tracks.sent) == sent
        assert abs(call.link.output.remaining_s - 1.0) < 0.03
        call.link.output.resume()
        await asyncio.sleep(2)
        assert call.finished == [PlaybackFinishedEvent(2.0, False, None)]
        assert abs(call.played_s() - 2.0) < 1e-6


@virtual_time
async def test_interrupted_line_is_cut_to_what_was_heard() -> None:
    async with answered() as call:
        await call.say(2.0)
        await asyncio.sleep(1.0)
        call.link.output.clear_buffer()
        await asyncio.sleep(0.1)
        (finished,) = call.finished
        assert finished.interrupted
        assert abs(finished.playback_position - 1.0) < 0.03
        assert finished.synchronized_transcript == "one two"
        assert call.link.output.speaking_line is None
        await call.say(0.5)
        await asyncio.sleep(1)
        assert len(call.finished) == 2


@virtual_time
async def test_both_channels_of_the_recording_have_one_clock() -> None:
    async with answered() as call:
        speaking = asyncio.create_task(call.tracks.bring(3.0))
        await asyncio.sleep(1.0)
        await call.say(1.0)
        await speaking
        bot = [(at, pcm) for at, _, pcm in call.recorded if pcm]
        began_ms = bot[0][0] - len(bot[0][1]) / 16
        assert abs(began_ms - 1010) < 30
        assert abs(bot[-1][0] - 2010) < 30
        caller_ends = [at for at, pcm, _ in call.recorded if pcm]
        assert caller_ends == sorted(caller_ends)
        assert abs(caller_ends[-1] - 3000) < 30


@virtual_time
async def test_line_that_goes_on_without_caller_audio_is_recorded() -> None:
    async with answered() as call:
        await call.say(1.0)
        await asyncio.sleep(1.5)
        assert abs(call.played_s() - 1.0) < 1e-6


@virtual_time
async def test_agent_that_takes_over_goes_on_in_the_calls_time() -> None:
    async with answered(began_s_ago=60.0) as call:
        await call.tracks.bring(0.1)
        assert 60_000 <= call.recorded[0][0] < 60_100
        now_ms = call.link.leg_clock.ms_at(asyncio.get_running_loop().time())
        assert now_ms is not None
        assert 60_000 < now_ms < 60_300


@virtual_time
async def test_input_that_is_off_is_recorded_all_the_same() -> None:
    async with answered() as call:
        call.link.input.on_detached()
        await call.tracks.bring(0.2)
        assert sum(len(caller) for _, caller, _ in call.recorded) == 10 * FRAME_BYTES
        call.link.input.on_attached()
        await call.tracks.bring(0.02)
        assert len((await call.link.input.__anext__()).data) == 160


@virtual_time
async def test_output_on_hold_keeps_what_is_said() -> None:
    async with answered() as call:
        call.link.output.hold()
        await call.say(1.0)
        call.link.output.resume()
        await asyncio.sleep(5)
        assert call.tracks.sent == []
        call.link.output.release()
        await asyncio.sleep(1.5)
        assert call.finished == [PlaybackFinishedEvent(1.0, False, None)]


@virtual_time
async def test_phone_that_brings_no_packet_is_missed_though_its_silence_is_heard() -> None:
    async with answered() as call:
        opened = asyncio.get_running_loop().time()
        await call.tracks.bring(2 * NO_MEDIA_S, pcm=bytes(FRAME_BYTES))
        assert [round(at - opened, 1) for at in call.missed] == [NO_MEDIA_S]


@virtual_time
async def test_tone_while_it_rang_is_no_media_of_the_phones() -> None:
    call = Call()
    running = asyncio.create_task(call.link.run())
    call.tracks.packets_in = 200
    await asyncio.sleep(4 * NO_MEDIA_S)
    assert call.missed == []
    call.link.open()
    await asyncio.sleep(NO_MEDIA_S + 0.1)
    assert len(call.missed) == 1
    running.cancel()


@virtual_time
async def test_phone_that_brings_one_packet_is_not_missed() -> None:
    async with answered() as call:
        await asyncio.sleep(NO_MEDIA_S - 0.1)
        call.tracks.packets_in = 1
        await asyncio.sleep(NO_MEDIA_S)
        assert call.missed == []


@virtual_time
async def test_packets_that_cannot_be_counted_end_no_call() -> None:
    async with answered() as call:
        call.tracks.packets_in = None
        await asyncio.sleep(2 * NO_MEDIA_S)
        assert call.missed == []
        assert not call.tracks.closed
