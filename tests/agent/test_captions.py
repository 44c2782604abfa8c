"""What a visitor reads: streams of segments, as they would see them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from agent.caller import Caller
from agent.captions import FINAL, SEGMENT, TRACK, Captions, CaptionText
from tests.fakes.virtual_time import virtual_time
from tests.fakes.written_room import WrittenRoom


@dataclass
class Screen:
    room: WrittenRoom
    captions: Captions

    def streams(self) -> list[tuple[str, str, str]]:
        return [(each.sender, each.text, each.attributes[FINAL]) for each in self.room.written]


@asynccontextmanager
async def reading() -> AsyncIterator[Screen]:
    room = WrittenRoom("caller")
    anything: Any = room
    captions = Captions(anything, Caller(anything, "caller"))
    running = asyncio.create_task(captions.run())
    try:
        yield Screen(room, captions)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@virtual_time
async def test_bots_line_is_one_stream_that_grows() -> None:
    async with reading() as screen:
        screen.room.publish_microphone(screen.room, "TR_bot")
        line = object()
        for text in ("", "Hello", "Hello", "Hello there"):
            screen.captions.said(line, text, is_over=False)
            await asyncio.sleep(0.1)
        (stream,) = screen.room.written
        assert (stream.topic, stream.sender) == ("lk.transcription", "bot")
        assert (stream.writes, stream.is_closed) == (["Hello", " there"], False)
        assert (stream.attributes[FINAL], stream.attributes[TRACK]) == ("false", "TR_bot")
        screen.captions.said(line, "Hello there.", is_over=True)
        await screen.captions.sent(1)
        assert (stream.text, stream.attributes[FINAL]) == ("Hello there.", "true")
        assert stream.is_closed


@virtual_time
async def test_line_that_was_cut_ends_where_it_was_heard_and_the_next_is_another() -> None:
    async with reading() as screen:
        cut, unheard, after = object(), object(), object()
        screen.captions.said(cut, "One two", is_over=False)
        screen.captions.said(cut, "One", is_over=True)
        screen.captions.said(unheard, "", is_over=True)
        screen.captions.said(after, "Three", is_over=True)
        await screen.captions.sent(1)
        assert screen.streams() == [("bot", "One two", "true"), ("bot", "Three", "true")]
        first, second = screen.room.written
        assert first.attributes[SEGMENT] != second.attributes[SEGMENT]
        assert TRACK not in first.attributes


@virtual_time
async def test_callers_words_are_sent_whole_until_they_are_final() -> None:
    async with reading() as screen:
        screen.room.publish_microphone(screen.room.caller, "TR_mic")
        for text, is_final in (("", False), ("When", False), ("When are you", False)):
            screen.captions.heard(text, is_final=is_final)
            await asyncio.sleep(0.1)
        screen.captions.heard("When are you open?", is_final=True)
        screen.captions.heard("Hello?", is_final=True)
        await screen.captions.sent(1)
        assert screen.streams() == [
            ("caller", "When", "false"),
            ("caller", "When are you", "false"),
            ("caller", "When are you open?", "true"),
            ("caller", "Hello?", "true"),
        ]
        segments = [each.attributes[SEGMENT] for each in screen.room.written]
        assert segments[0] == segments[1] == segments[2] != segments[3]
        assert {each.attributes[TRACK] for each in screen.room.written} == {"TR_mic"}


@virtual_time
async def test_words_that_are_taken_back_leave_an_empty_line() -> None:
    async with reading() as screen:
        screen.captions.heard("Hm", is_final=False)
        await asyncio.sleep(0.1)
        screen.captions.heard("", is_final=True)
        await screen.captions.sent(1)
        assert screen.streams() == [("caller", "Hm", "false"), ("caller", "", "true")]


@virtual_time
async def test_interim_words_that_come_faster_than_they_can_be_sent_are_left_out() -> None:
    async with reading() as screen:
        for count in range(1, 100):
            screen.captions.heard("word " * count, is_final=False)
        screen.captions.heard("done", is_final=True)
        await screen.captions.sent(1)
        assert screen.streams() == [("caller", "done", "true")]


@virtual_time
async def test_connection_that_takes_nothing_holds_nothing_up_and_forgets() -> None:
    async with reading() as screen:
        screen.room.is_stuck = True
        for number in range(200):
            screen.captions.heard(f"line {number}", is_final=True)
        await screen.captions.sent(1)
        await asyncio.sleep(3)
        screen.room.is_stuck = False
        screen.room.is_broken = True
        screen.captions.heard("lost too", is_final=True)
        await asyncio.sleep(200)
        screen.room.is_broken = False
        screen.captions.heard("Hello again", is_final=True)
        await screen.captions.sent(10)
        assert len(screen.room.written) < 55
        assert screen.streams()[-1] == ("caller", "Hello again", "true")
        assert "lost too" not in [text for _, text, _ in screen.streams()]


@virtual_time
async def test_text_of_a_written_call_is_read_as_it_comes() -> None:
    async with reading() as screen:
        text = CaptionText(screen.captions)
        for line in (("We are ", "open."), ("Good", "bye.")):
            for piece in line:
                await text.capture_text(piece)
                await asyncio.sleep(0.1)
            text.flush()
        await screen.captions.sent(1)
        assert screen.streams() == [
            ("bot", "We are open.", "true"),
            ("bot", "Goodbye.", "true"),
        ]
        assert screen.room.written[0].writes == ["We are", " open."]
