"""What a visitor types, within bounds."""

from __future__ import annotations

import asyncio
from typing import Any

from livekit.rtc.data_stream import StreamError

from agent.caller import Caller
from agent.chat import AT_ONCE, MAX_CHARS, OPEN_AT_ONCE, OPEN_S, TYPING_S, Allowance, Chat
from tests.fakes.phone_room import FakeCaller
from tests.fakes.virtual_time import virtual_time
from tests.fakes.written_room import WrittenRoom


class Desk:
    """A chat, and what came of it."""

    def __init__(self, *, begin: bool = True) -> None:
        self.room = WrittenRoom("caller")
        anything: Any = self.room
        self.taken: list[str] = []
        self.refused: list[str] = []
        self.typings: list[float] = []
        now = asyncio.get_running_loop().time
        self.chat = Chat(
            anything,
            Caller(anything, "caller"),
            take=self.taken.append,
            typing=lambda: self.typings.append(now()),
            refused=self.refused.append,
        )
        self.chat.open()
        if begin:
            self.chat.begin()


def test_allowance_comes_back_with_time() -> None:
    allowance = Allowance(2, 0.5)
    assert [allowance.take(0.0) for _ in range(3)] == [True, True, False]
    assert not allowance.take(1.9)
    assert allowance.take(2.0)
    assert [allowance.take(100.0) for _ in range(3)] == [True, True, False]


@virtual_time
async def test_message_of_the_callers_is_taken_whole() -> None:
    desk = Desk()
    message = desk.room.begin()
    for piece in (" When are\n", "you open?\x00\x07 ", None):
        message.put(piece)
    await asyncio.sleep(0.1)
    assert desk.taken == ["When are\nyou open?"]
    assert message.closes == 1


@virtual_time
async def test_joined_letters_and_emoji_stay() -> None:
    desk = Desk()
    desk.room.type("क्\u200dष 👩\u200d🚀")
    await asyncio.sleep(0.1)
    assert desk.taken == ["क्\u200dष 👩\u200d🚀"]


@virtual_time
async def test_nobody_elses_message_is_read() -> None:
    desk = Desk()
    message = desk.room.type("Goodbye", sender="intruder")
    nobody = FakeCaller("intruder")
    desk.room.tell_typing(nobody)
    await asyncio.sleep(0.1)
    assert (desk.taken, desk.typings, message.closes) == ([], [], 1)


@virtual_time
async def test_what_comes_before_the_bot_talks_is_kept() -> None:
    desk = Desk(begin=False)
    desk.room.type("Hello?")
    await asyncio.sleep(5)
    assert desk.taken == []
    desk.chat.begin()
    assert desk.taken == ["Hello?"]


@virtual_time
async def test_empty_message_is_nothing() -> None:
    desk = Desk()
    desk.room.type(" \n ")
    await asyncio.sleep(0.1)
    assert (desk.taken, desk.refused) == ([], [])


@virtual_time
async def test_long_message_is_refused_and_read_no_further() -> None:
    desk = Desk()
    message = desk.room.begin()
    for _ in range(50):
        message.put("x" * 1000)
    await asyncio.sleep(0.1)
    assert (desk.taken, desk.refused, message.closes) == ([], ["too_long"], 1)
    (told,) = desk.room.written
    assert (told.topic, told.text) == ("vf.chat_refused", "too_long")
    assert told.destinations == ["caller"]
    assert told.attributes == {"vf.stream_id": message.info.stream_id}
    desk.room.type("y" * MAX_CHARS)
    await asyncio.sleep(0.1)
    assert desk.taken == ["y" * MAX_CHARS]


@virtual_time
async def test_flood_is_refused_and_so_are_the_refusals() -> None:
    desk = Desk()
    for number in range(1000):
        desk.room.type(f"message {number}")
        await asyncio.sleep(0.001)
    assert 0 < len(desk.taken) <= AT_ONCE + 1
    assert set(desk.refused) == {"too_many"}
    assert len(desk.refused) <= AT_ONCE + 1
    await asyncio.sleep(2)
    desk.room.type("And now?")
    await asyncio.sleep(0.1)
    assert desk.taken[-1] == "And now?"


@virtual_time
async def test_messages_that_never_end_are_given_up() -> None:
    desk = Desk()
    held = [desk.room.begin() for _ in range(OPEN_AT_ONCE + 1)]
    held[0].put("half a ")
    await asyncio.sleep(0.1)
    assert [message.closes for message in held] == [0] * OPEN_AT_ONCE + [1]
    held[1].put(StreamError("aborted"))
    await asyncio.sleep(OPEN_S)
    assert [message.closes for message in held] == [1] * (OPEN_AT_ONCE + 1)
    desk.room.type("Hello")
    await asyncio.sleep(0.1)
    assert desk.taken == ["Hello"]


@virtual_time
async def test_refusal_that_cannot_be_told_changes_nothing() -> None:
    desk = Desk()
    desk.room.is_broken = True
    desk.room.type("x" * 3000)
    await asyncio.sleep(3)
    assert (desk.refused, desk.room.written) == (["too_long"], [])


@virtual_time
async def test_typing_is_believed_for_a_minute() -> None:
    desk = Desk()
    for _ in range(round(2 * TYPING_S)):
        for _ in range(5):
            desk.room.tell_typing()
        await asyncio.sleep(1)
    assert len(desk.typings) == TYPING_S
    desk.room.type("There.")
    await asyncio.sleep(1)
    desk.room.tell_typing()
    assert len(desk.typings) == TYPING_S + 1
    await asyncio.sleep(2 * TYPING_S)
    desk.room.tell_typing()
    desk.chat.spoken()
    await asyncio.sleep(1)
    desk.room.tell_typing()
    assert len(desk.typings) == TYPING_S + 2


@virtual_time
async def test_nothing_is_taken_after_the_end() -> None:
    desk = Desk()
    begun = desk.room.begin()
    await asyncio.sleep(0.1)
    desk.chat.close()
    await asyncio.sleep(0.1)
    begun.put("Too late")
    begun.put(None)
    desk.room.type("Too late")
    desk.room.tell_typing()
    await asyncio.sleep(0.1)
    assert (desk.taken, desk.typings, begun.closes) == ([], [], 1)
