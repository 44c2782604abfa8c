"""A phone's line, whatever the carrier: who may hold back speech, and what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bridges.clock import Clock
from bridges.leg import LegEvent, Played
from bridges.line import Line
from bridges.race import cancel
from contracts.media import Clear, Finished, Heard, Pause, Resume, Speech, SpeechEnd
from tests.fakes.virtual_time import virtual_time

FRAME = b"\x10\x27" * 160


@dataclass
class Phone:
    """What reaches a phone and what is told of it."""

    is_deaf: bool = False
    sent: list[bytes] = field(default_factory=list)
    stops: int = 0
    told: list[LegEvent] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)

    def send(self, pcm: bytes) -> bool:
        if not self.is_deaf:
            self.sent.append(pcm)
        return not self.is_deaf

    def stop(self) -> None:
        self.stops += 1


@asynccontextmanager
async def line(phone: Phone) -> AsyncIterator[Line]:
    clock = Clock(now=asyncio.get_running_loop().time)
    carried = Line(clock, phone.told.append, phone.send, phone.stop, phone.late_s.append)

    async def drive() -> None:
        while True:
            carried.tick()
            await carried.sleep()

    driving = asyncio.create_task(drive())
    await asyncio.sleep(0)
    yield carried
    await cancel(driving)


def say(carried: Line, seconds: float = 1.0, segment: int = 1) -> None:
    carried.accept(Speech(segment, FRAME * round(seconds * 50)))
    carried.accept(SpeechEnd(segment))


@virtual_time
async def test_nothing_flows_before_the_answer() -> None:
    phone = Phone()
    async with line(phone) as carried:
        carried.hear(FRAME)
        carried.flush()
        say(carried)
        await asyncio.sleep(5)
        assert phone.sent == []
        assert phone.told == []
        carried.start()
        await asyncio.sleep(1.1)
        assert len(phone.sent) == len(phone.late_s) == 50
        assert phone.told.count(Played(FRAME)) == 50
        assert phone.told[-1] == Finished(1, 8000, interrupted=False)


@virtual_time
async def test_frame_that_did_not_leave_was_not_played() -> None:
    phone = Phone(is_deaf=True)
    async with line(phone) as carried:
        carried.start()
        say(carried)
        await asyncio.sleep(1.1)
        assert phone.late_s == []
        assert not any(isinstance(event, Played) for event in phone.told)
        assert carried.stats()["frame_lateness_ms"]["frames"] == 0


@virtual_time
async def test_last_words_are_told_though_no_packet_is_full() -> None:
    phone = Phone()
    async with line(phone) as carried:
        carried.start()
        carried.hear(bytes(320))
        assert phone.told == []
        carried.flush()
        (heard,) = phone.told
        assert isinstance(heard, Heard)
        assert carried.stats()["heard_bytes"] == 320


@virtual_time
async def test_speech_waits_for_everybody_who_holds_it() -> None:
    phone = Phone()
    async with line(phone) as carried:
        carried.start()
        carried.hold("keys")
        carried.hold("far end")
        say(carried)
        carried.release("keys")
        await asyncio.sleep(1)
        assert phone.sent == []
        carried.release("far end")
        await asyncio.sleep(1.1)
        assert len(phone.sent) == 50
        assert max(phone.late_s) < 0.001


@virtual_time
async def test_agent_cannot_undo_a_hold() -> None:
    phone = Phone()
    async with line(phone) as carried:
        carried.start()
        carried.hold("far end")
        carried.accept(Resume())
        carried.accept(Clear(1))
        say(carried, segment=2)
        carried.reset()
        say(carried)
        await asyncio.sleep(1)
        assert phone.sent == []
        carried.release("far end")
        await asyncio.sleep(1.1)
        assert len(phone.sent) == 50


@virtual_time
async def test_hold_cannot_undo_the_agents_pause() -> None:
    phone = Phone()
    async with line(phone) as carried:
        carried.start()
        say(carried)
        await asyncio.sleep(0.1)
        carried.accept(Pause())
        assert phone.stops == 1
        sent = len(phone.sent)
        carried.hold("far end")
        carried.release("far end")
        await asyncio.sleep(1)
        assert len(phone.sent) == sent
        carried.accept(Resume())
        await asyncio.sleep(1.1)
        assert len(phone.sent) == 50


@virtual_time
async def test_agent_that_is_replaced_leaves_no_pause_behind() -> None:
    phone = Phone()
    async with line(phone) as carried:
        carried.start()
        carried.accept(Pause())
        carried.reset()
        carried.hold("keys")
        carried.release("keys")
        say(carried)
        await asyncio.sleep(1.1)
        assert len(phone.sent) == 50


@virtual_time
async def test_speech_does_not_wait_for_the_mark_before_it() -> None:
    phone, marks = Phone(), list[int]()
    clock = Clock(now=asyncio.get_running_loop().time)
    carried = Line(
        clock, phone.told.append, phone.send, phone.stop, phone.late_s.append, marks.append
    )
    carried.tune(16_000)
    carried.resize(3200, 400, mark_every_s=0.2)

    async def drive() -> None:
        while True:
            carried.tick()
            await carried.sleep()

    driving = asyncio.create_task(drive())
    carried.start()
    say(carried, seconds=0.2)  # at twice the rate it takes half the time
    await asyncio.sleep(0.5)
    assert (marks, carried.is_idle) == ([1], False)
    say(carried, seconds=0.2, segment=2)
    await asyncio.sleep(0.05)
    assert marks == [1, 2]

    assert carried.confirm(2)
    await asyncio.sleep(0.05)
    assert [event for event in phone.told if isinstance(event, Finished)] == [
        Finished(1, 1600, interrupted=False),
        Finished(2, 1600, interrupted=False),
    ]
    assert (carried.is_idle, carried.missed_marks, carried.confirm(2)) == (True, 0, False)
    await cancel(driving)
