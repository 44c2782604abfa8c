"""What leaves for the bridge, and what follows it where nothing else does."""

from __future__ import annotations

import asyncio
from typing import Any

from agent.outgoing import NUDGE_TOPIC, NUDGES, Outgoing
from contracts import media
from contracts.ids import MEDIA_TOPIC
from tests.fakes.virtual_time import virtual_time


class FakeRoom:
    """Keeps what is published: `(payload, topic, reliable)`."""

    def __init__(self) -> None:
        self.local_participant = self
        self.published: asyncio.Queue[tuple[bytes, str, bool]] = asyncio.Queue()

    async def publish_data(
        self, payload: bytes, *, reliable: bool, destination_identities: list[str], topic: str
    ) -> None:
        assert destination_identities == ["caller-1"]
        self.published.put_nowait((payload, topic, reliable))

    async def media(self) -> media.DownPacket:
        while True:
            payload, topic, reliable = await self.published.get()
            if topic == MEDIA_TOPIC:
                assert reliable
                return media.parse_down(payload)

    async def nudges(self) -> int:
        """Count what follows until nothing does, or a packet does."""
        count = 0
        while True:
            try:
                async with asyncio.timeout(0.3):
                    payload, topic, reliable = await self.published.get()
            except TimeoutError:
                return count
            assert (payload, topic, reliable) == (b"", NUDGE_TOPIC, False)
            count += 1


@virtual_time
async def test_lone_packet_is_followed_up_and_then_there_is_quiet() -> None:
    room: Any = FakeRoom()
    outgoing = Outgoing(room, "caller-1", lambda _segment: None)
    running = asyncio.create_task(outgoing.run())
    outgoing.put(media.Pause())
    assert await room.media() == media.Pause()
    assert await room.nudges() == NUDGES
    outgoing.put(media.Resume())
    assert await room.media() == media.Resume()
    running.cancel()


@virtual_time
async def test_speech_is_followed_up_where_it_begins_and_where_it_ends() -> None:
    room: Any = FakeRoom()
    left: list[int] = []
    outgoing = Outgoing(room, "caller-1", left.append)
    running = asyncio.create_task(outgoing.run())
    outgoing.put(media.Speech(1, b"\1\0"))
    assert await room.media() == media.Speech(1, b"\1\0")
    assert await room.nudges() == NUDGES
    outgoing.put(media.Speech(1, b"\2\0"))
    assert await room.media() == media.Speech(1, b"\2\0")
    assert await room.nudges() == 0
    outgoing.put(media.SpeechEnd(1))
    assert await room.media() == media.SpeechEnd(1)
    assert await room.nudges() == NUDGES
    assert left == [1, 1]
    running.cancel()


@virtual_time
async def test_packets_in_a_row_leave_without_anything_between() -> None:
    room: Any = FakeRoom()
    outgoing = Outgoing(room, "caller-1", lambda _segment: None)
    packets: list[media.DownPacket] = [media.Pause(), media.Clear(3), media.Speech(4, b"\1\0")]
    for packet in packets:
        outgoing.put(packet)
    running = asyncio.create_task(outgoing.run())
    published = [await room.published.get() for _ in packets]
    assert [media.parse_down(payload) for payload, _, _ in published] == packets
    running.cancel()
