"""What legs on a carrier's socket have in common, at either door."""

from __future__ import annotations

from typing import Any

import pytest

from bridges import socket_leg
from bridges.leg import LegEvent
from contracts.media import Clear, Finished, Heard, Speech, SpeechEnd
from contracts.outcome import Reason
from tests.fakes.live_stream import DIALLER, EXOTEL, Door, stream

FRAME = bytes(320)
doors = pytest.mark.parametrize("door", [DIALLER, EXOTEL], ids=["dialler", "exotel"])


@doors
async def test_last_words_before_the_hangup_are_told(door: Door[Any]) -> None:
    async with stream(door) as live:
        await live.answered()
        await live.say(door.media, door.stop)
        await live.ending()

    (heard,) = [event for event in live.told if isinstance(event, Heard)]
    assert heard.pcm


@doors
async def test_position_is_told_while_the_caller_is_quiet(door: Door[Any]) -> None:
    def moved(event: LegEvent) -> bool:
        return isinstance(event, Heard) and event.segment == 1 and event.played_samples > 0

    async with stream(door) as live:
        await live.answered()
        live.leg.accept(Speech(1, FRAME * 40))

        await live.until(lambda: any(moved(event) for event in live.told))
        assert all(event.pcm == b"" for event in live.told if isinstance(event, Heard))


@doors
async def test_text_that_is_no_text_is_the_librarys_to_refuse(door: Door[Any]) -> None:
    async with stream(door) as live:
        await live.peer.send(b"\xff\xfe", text=True)
        ending = await live.ending()

    assert ending.reason is Reason.PROTOCOL_BROKEN
    assert ending.detail == "invalid start byte at position 0"


@doors
async def test_carrier_without_media_ends_the_call(door: Door[Any]) -> None:
    async with stream(door, media_timeout_s=0.2) as live:
        await live.answered()
        ending = await live.ending()

    assert (ending.reason, ending.close_code) == (Reason.MEDIA_TIMEOUT, 4410)


@doors
async def test_carrier_that_vanishes_ends_the_call(door: Door[Any]) -> None:
    async with stream(door) as live:
        await live.answered()
        live.peer.transport.abort()
        ending = await live.ending()
        await live.leg.hang_up(ending)

    assert ending.reason is Reason.CALLER_DISCONNECTED
    assert ending.detail == "closed by the peer with 1006"


@doors
async def test_carrier_that_stops_reading_hears_gaps_and_is_given_up(
    door: Door[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_leg, "STALL_TIMEOUT_S", 0.3)
    async with stream(door) as live:
        await live.answered()
        live.peer.transport.pause_reading()
        live.leg.accept(Speech(1, FRAME * 500))
        ending = await live.ending()
        unsent_bytes = live.leg._connection.transport.get_write_buffer_size()

    assert (ending.reason, ending.close_code) == (Reason.PEER_STALLED, 4430)
    assert live.leg.dropped_frames >= 10
    assert unsent_bytes < live.leg._max_unsent_bytes + 2048


@doors
async def test_carrier_that_reads_again_hears_the_present(
    door: Door[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_leg, "MAX_UNSENT_BYTES", 0)
    async with stream(door) as live:
        await live.answered()
        live.peer.transport.pause_reading()
        live.leg.accept(Speech(1, FRAME * 500))
        await live.until(lambda: live.leg.dropped_frames > 5)
        live.peer.transport.resume_reading()

        dropped = live.leg.dropped_frames
        sent = len(live.late_s)
        await live.until(lambda: len(live.late_s) > sent + 2)
        assert live.leg.dropped_frames < dropped + 10
        assert not live.run.done()


@doors
async def test_jam_that_is_over_is_forgotten_though_nothing_is_said(
    door: Door[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_leg, "MAX_UNSENT_BYTES", 0)
    async with stream(door) as live:
        await live.answered()
        live.peer.transport.pause_reading()
        live.leg.accept(Speech(1, FRAME * 500))
        await live.until(lambda: live.leg.dropped_frames > 0)
        live.leg.accept(Clear(1))
        live.peer.transport.resume_reading()
        unsent_bytes = live.leg._connection.transport.get_write_buffer_size
        await live.until(lambda: unsent_bytes() <= live.leg._max_unsent_bytes)
        monkeypatch.setattr(socket_leg, "STALL_TIMEOUT_S", 0.0)
        live.leg.accept(SpeechEnd(2))
        await live.until(lambda: any(_is_end_of(event, 2) for event in live.told))
        await live.say(door.media, door.stop)
        ending = await live.ending()

    assert ending.reason is Reason.CALLER_HUNG_UP


def _is_end_of(event: LegEvent, segment: int) -> bool:
    return isinstance(event, Finished) and event.segment == segment
