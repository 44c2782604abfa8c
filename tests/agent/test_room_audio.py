"""The bot's voice on its way to the bridge, and how far it was played."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from livekit import rtc
from livekit.agents.voice.io import PlaybackFinishedEvent

from agent.heard import BotLine
from agent.room_audio import MediaLink, RoomAudioOutput
from contracts import media
from contracts.ids import MEDIA_TOPIC

RATE_HZ = 8000
CALLER = "caller-1"


def frame(duration_ms: int) -> rtc.AudioFrame:
    samples = RATE_HZ * duration_ms // 1000
    return rtc.AudioFrame(b"\x01\x00" * samples, RATE_HZ, 1, samples)


class Sink:
    """A `RoomAudioOutput` whose packets are kept, with the events it emitted."""

    def __init__(self) -> None:
        self.sent: list[media.DownPacket] = []
        self.output = RoomAudioOutput(self.sent.append, RATE_HZ, lambda: 50.0)
        self.started: list[float] = []
        self.finished: list[PlaybackFinishedEvent] = []
        self.output.on("playback_started", lambda event: self.started.append(event.created_at))
        self.output.on("playback_finished", self.finished.append)

    async def say(self, duration_ms: int, text: str = "") -> None:
        line = BotLine()
        line.add(text)
        self.output.expect(line)
        await self.output.capture_frame(frame(duration_ms))
        self.output.flush()


async def test_line_is_sent_as_one_segment() -> None:
    sink = Sink()
    await sink.output.capture_frame(frame(100))
    await sink.output.capture_frame(frame(100))
    sink.output.flush()
    assert [type(packet) for packet in sink.sent] == [media.Speech, media.Speech, media.SpeechEnd]
    assert {packet.segment for packet in sink.sent if not isinstance(packet, media.Pause)} == {1}  # type: ignore[union-attr]


async def test_long_audio_is_split_below_the_packet_limit() -> None:
    sink = Sink()
    await sink.output.capture_frame(frame(2000))
    assert all(len(media.serialize(packet)) <= media.MAX_PACKET_BYTES for packet in sink.sent)
    assert sum(len(p.pcm) for p in sink.sent if isinstance(p, media.Speech)) == 32_000


async def test_playback_start_is_dated_back_to_the_first_sample() -> None:
    sink = Sink()
    await sink.say(1000)
    new = sink.output.advance(1, RATE_HZ // 50)
    assert len(new) == 2 * RATE_HZ // 50
    assert sink.started == [50.0 - 0.02]
    assert sink.output.advance(1, RATE_HZ // 50) == b""
    assert sink.output.remaining_s == 0.98


async def test_line_played_to_its_end_is_finished() -> None:
    sink = Sink()
    await sink.say(1000)
    sink.output.finish(1, RATE_HZ, interrupted=False)
    assert sink.finished == [PlaybackFinishedEvent(1.0, False, None)]
    assert sink.output.speaking_line is None


async def test_cut_line_says_what_was_heard() -> None:
    sink = Sink()
    await sink.say(1000, "one two three four")
    sink.output.clear_buffer()
    assert sink.sent[-1] == media.Clear(1)
    sink.output.finish(1, RATE_HZ // 2, interrupted=True)
    assert sink.finished == [PlaybackFinishedEvent(0.5, True, "one two")]


async def test_clear_finishes_lines_that_never_started() -> None:
    sink = Sink()
    await sink.say(1000, "first")
    await sink.say(1000, "second")
    sink.output.clear_buffer()
    assert sink.sent[-1] == media.Clear(2)
    sink.output.finish(2, 0, interrupted=True)
    assert [(e.playback_position, e.interrupted) for e in sink.finished] == [(0, True), (0, True)]


async def test_pause_is_sent_once() -> None:
    sink = Sink()
    await sink.say(1000)
    sink.output.pause()
    sink.output.pause()
    assert sink.output.paused
    sink.output.resume()
    sink.output.resume()
    assert sink.sent[-2:] == [media.Pause(), media.Resume()]
    assert not sink.output.paused


async def test_clear_of_silence_sends_nothing() -> None:
    sink = Sink()
    sink.output.clear_buffer()
    assert sink.sent == []


class FakeParticipant:
    """The sending half of a room: keeps what is published."""

    def __init__(self) -> None:
        self.published: asyncio.Queue[tuple[bytes, dict[str, Any]]] = asyncio.Queue()

    async def publish_data(self, payload: bytes, **how: Any) -> None:
        self.published.put_nowait((payload, how))


class FakeRoom:
    """A room that hands data to whoever listens."""

    def __init__(self) -> None:
        self.local_participant = FakeParticipant()
        self.handlers: list[Callable[[rtc.DataPacket], None]] = []

    def on(self, _: str, handler: Callable[[rtc.DataPacket], None]) -> None:
        self.handlers.append(handler)

    def off(self, _: str, handler: Callable[[rtc.DataPacket], None]) -> None:
        self.handlers.remove(handler)

    def receive(self, data: bytes, identity: str = CALLER, topic: str = MEDIA_TOPIC) -> None:
        class Sender:
            pass

        sender: Any = Sender()
        sender.identity = identity
        for handler in self.handlers:
            handler(
                rtc.DataPacket(
                    data=data,
                    kind=rtc.DataPacketKind.KIND_RELIABLE,
                    participant=sender,
                    topic=topic,
                )
            )


def link_in(room: FakeRoom, heard: list[tuple[int, bytes, bytes]]) -> MediaLink:
    anything: Any = room
    return MediaLink(
        anything,
        caller_identity=CALLER,
        rate_hz=RATE_HZ,
        clock=lambda: 0.0,
        on_audio=lambda *audio: heard.append(audio),
    )


async def test_caller_audio_reaches_session_and_recording_together_with_what_was_played() -> None:
    room, heard = FakeRoom(), list[tuple[int, bytes, bytes]]()
    link = link_in(room, heard)
    await link.output.capture_frame(frame(40))
    link.output.flush()
    room.receive(media.serialize(media.Finished(1, 320, False)))
    room.receive(media.serialize(media.Heard(40, 1, 320, b"\x07\x00" * 320)))
    assert heard == [(40, b"\x07\x00" * 320, b"\x01\x00" * 320)]
    assert bytes((await anext(link.input)).data) == b"\x07\x00" * 320


async def test_strangers_and_garbage_are_dropped_and_counted() -> None:
    room, heard = FakeRoom(), list[tuple[int, bytes, bytes]]()
    link = link_in(room, heard)
    room.receive(media.serialize(media.Heard(40, 0, 0, b"\0\0")), identity="somebody")
    room.receive(b"\xff")
    room.receive(media.serialize(media.Heard(40, 0, 0, b"\0\0")), topic="chat")
    assert heard == []
    assert link.dropped_packets == 2


async def test_packets_leave_in_order_to_the_caller_alone() -> None:
    room = FakeRoom()
    link = link_in(room, [])
    sending = asyncio.create_task(link.run())
    await link.output.capture_frame(frame(20))
    link.output.flush()
    first, how = await room.local_participant.published.get()
    second, _ = await room.local_participant.published.get()
    sending.cancel()
    assert isinstance(media.parse_down(first), media.Speech)
    assert media.parse_down(second) == media.SpeechEnd(1)
    assert how == {"reliable": True, "destination_identities": [CALLER], "topic": MEDIA_TOPIC}


async def test_closing_the_link_finishes_what_was_playing() -> None:
    room = FakeRoom()
    link = link_in(room, [])
    finished: list[PlaybackFinishedEvent] = []
    link.output.on("playback_finished", finished.append)
    await link.output.capture_frame(frame(1000))
    link.output.flush()
    link.output.advance(1, 800)
    link.close()
    assert [(e.playback_position, e.interrupted) for e in finished] == [(0.1, True)]
    assert room.handlers == []


async def test_disabled_input_drops_what_the_caller_says() -> None:
    room = FakeRoom()
    link = link_in(room, [])
    link.input.on_detached()
    room.receive(media.serialize(media.Heard(40, 0, 0, b"\x01\x00" * 320)))
    link.input.on_attached()
    room.receive(media.serialize(media.Heard(80, 0, 0, b"\x02\x00" * 320)))
    assert bytes((await anext(link.input)).data) == b"\x02\x00" * 320


async def test_line_made_after_nobody_is_left_is_finished_at_once() -> None:
    sink = Sink()
    await sink.say(1000)
    sink.output.abandon()
    await sink.output.capture_frame(frame(1000))
    sink.output.flush()
    await sink.output.capture_frame(frame(1000))
    sink.output.clear_buffer()
    assert [(e.playback_position, e.interrupted) for e in sink.finished] == [(0.0, True)] * 3
    assert media.Clear not in {type(packet) for packet in sink.sent}


async def test_audio_of_a_finished_line_is_not_kept() -> None:
    sink = Sink()
    for number in range(1, 101):
        await sink.say(1000)
        sink.output.finish(number, RATE_HZ, interrupted=False)
    assert sink.output.remaining_s == 0
    assert sink.output.speaking_line is None


class Reader:
    """Reads along."""

    def __init__(self) -> None:
        self.read: list[tuple[str, bool]] = []

    def said(self, line: object, text: str, *, is_over: bool) -> None:
        self.read.append((text, is_over))


async def test_line_is_read_as_far_as_it_was_heard() -> None:
    sink, reader = Sink(), Reader()
    sink.output.show(reader)
    await sink.say(1000, "one two three four")
    await sink.say(1000, "five six seven eight")
    sink.output.advance(1, 4000)
    sink.output.finish(1, 8000, interrupted=False)
    sink.output.advance(2, 2400)
    sink.output.finish(2, 4000, interrupted=True)
    assert reader.read == [
        ("one two", False),
        ("one two three four", False),
        ("one two three four", True),
        ("five", False),
        ("five six", False),
        ("five six", True),
    ]
    assert [event.synchronized_transcript for event in sink.finished] == [None, "five six"]


async def test_aside_is_played_for_nobody_to_count_and_ends_with_the_next_line() -> None:
    sink = Sink()
    assert sink.output.put_aside(frame(400))
    sink.output.end_aside()
    assert sink.output.speaking_line is None
    assert (sink.output.is_heard, sink.output.remaining_s) == (False, 0.0)
    assert len(sink.output.advance(1, RATE_HZ // 10)) == 2 * RATE_HZ // 10
    await sink.say(200, "At nine.")
    assert not sink.output.put_aside(frame(100))
    assert [packet for packet in sink.sent if isinstance(packet, media.Clear)] == [media.Clear(1)]
    order = [getattr(packet, "segment", 0) for packet in sink.sent]
    assert order == sorted(order)
    sink.output.finish(1, RATE_HZ // 10, interrupted=True)
    sink.output.finish(2, RATE_HZ // 5, interrupted=False)
    assert sink.finished == [PlaybackFinishedEvent(0.2, False, None)]
    assert len(sink.started) == 1


async def test_aside_waits_for_no_line_and_is_dropped_once() -> None:
    sink = Sink()
    await sink.say(200)
    assert not sink.output.put_aside(frame(100))
    sink.output.finish(1, RATE_HZ // 5, interrupted=False)
    assert sink.output.put_aside(frame(100))
    sink.output.drop_aside()
    sink.output.drop_aside()
    assert not sink.output.put_aside(frame(100))
    assert [packet for packet in sink.sent if isinstance(packet, media.Clear)] == [media.Clear(2)]


async def test_aside_that_is_dropped_amid_a_pause_leaves_it_one() -> None:
    for stop in ("pause", "hold"):
        sink = Sink()
        assert sink.output.put_aside(frame(100))
        if stop == "pause":
            sink.output.pause()
            sink.output.drop_aside()
        else:
            sink.output.hold()
        assert isinstance(sink.sent[-1], media.Pause)


async def test_nothing_is_put_aside_for_a_phone_that_is_gone() -> None:
    sink = Sink()
    sink.output.abandon()
    assert not sink.output.put_aside(frame(100))


async def test_guarded_line_plays_on_under_a_voice_for_so_long() -> None:
    sink = Sink()
    line = BotLine(guard_s=0.5)
    sink.output.expect(line)
    await sink.output.capture_frame(frame(1000))
    # Nothing of it was heard: it begins when the caller is silent.
    sink.output.pause()
    assert sink.output.paused
    sink.output.resume()
    sink.output.advance(1, RATE_HZ // 4)
    assert sink.output.is_guarded
    sink.output.pause()
    assert not sink.output.paused
    sink.output.advance(1, RATE_HZ // 2)
    sink.output.pause()
    assert sink.output.paused


async def test_so_much_of_the_line_was_heard() -> None:
    sink = Sink()
    assert sink.output.heard == ""
    await sink.say(1000, "one two three four")
    sink.output.advance(1, RATE_HZ // 2)
    assert sink.output.heard == "one two"
