"""Exotel's socket as a leg, on loopback: what it tells, what it says, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from bridges import exotel_leg
from bridges.ending import Ending
from bridges.exotel_leg import ExotelLeg
from bridges.leg import AgentReplaced, LegEvent, Offered, Planned
from contracts.command import HangUp, Transfer
from contracts.media import Clear, Finished, Heard, Pause, Speech, SpeechEnd
from contracts.outcome import Reason
from contracts.report import (
    DigitPressed,
    LegAnswered,
    LegStarted,
    Noticed,
    TransferFailed,
    TransferSent,
)
from tests.fakes.leg import AT
from tests.fakes.live_stream import EXOTEL, VECTORS, Stream, stream

INCOMING = (VECTORS / "exotel" / "incoming.jsonl").read_text().splitlines()
CONNECTED, START, MEDIA = INCOMING[:3]
SPOKEN = b"\x01\x02" * 1600
"""200 ms at 8 kHz: one chunk."""

Live = Stream[ExotelLeg]


def start_at(rate_hz: int, encoding: str = "raw") -> str:
    message = json.loads(START)
    message["start"]["media_format"] = {"encoding": encoding, "sample_rate": str(rate_hz)}
    return json.dumps(message)


async def answered(live: Live, start: str = START, chunk_bytes: int = 3200) -> None:
    await live.say(CONNECTED, start)
    await live.until(lambda: any(isinstance(event, LegAnswered) for event in live.told))
    live.leg.accept(Planned(20, chunk_bytes, 3600))


def say(live: Live, pcm: bytes, segment: int = 1) -> None:
    live.leg.accept(Speech(segment, pcm))
    live.leg.accept(SpeechEnd(segment))


async def messages_until(live: Live, event: str, count: int = 1) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    while sum(message["event"] == event for message in messages) < count:
        messages.append(await live.next_message())
    return messages


async def echo(live: Live, name: str) -> None:
    await live.say(json.dumps({"event": "mark", "mark": {"name": name}}))


def payload(message: dict[str, Any]) -> bytes:
    return base64.b64decode(message["media"]["payload"])


async def test_call_is_told_in_the_other_sides_words() -> None:
    async with stream(EXOTEL) as live:
        await live.say(*INCOMING)
        ending = await live.ending()

    assert (ending.reason, ending.detail) == (Reason.CALLER_HUNG_UP, "callended")
    offered, started, picked_up, digit, heard = live.told
    assert isinstance(offered, Offered)
    assert (offered.caller_id, offered.did) == ("+10000000001", "10000000002")
    assert (offered.stream_id, offered.media_rate_hz) == ("stream-1", 8000)
    assert offered.connected_event["campaign"] == "renewals"
    assert offered.connected_event["call_sid"] == "call-1"
    assert isinstance(started, LegStarted)
    assert isinstance(picked_up, LegAnswered)
    assert isinstance(digit, DigitPressed)
    assert (digit.digit, digit.duration_ms) == ("5", 120)
    assert isinstance(heard, Heard)
    assert len(heard.pcm) == 8
    assert live.leg.stats()["unknown_marks"] == 1


@pytest.mark.parametrize(
    ("rate_hz", "chunk_bytes", "sent_bytes"),
    [
        (8000, 3200, 3200),
        (16000, 3200, 3200),
        (24000, 3200, 3200),
        (8000, 320, 320),
        (8000, 32_000, 6400),  # no message is so long that the next cannot wait
        (24000, 32_000, 19_200),
    ],
)
async def test_chunks_are_as_large_as_the_account_takes(
    rate_hz: int, chunk_bytes: int, sent_bytes: int
) -> None:
    async with stream(EXOTEL) as live:
        await answered(live, start_at(rate_hz), chunk_bytes)
        say(live, bytes(rate_hz))

        media, *_ = await messages_until(live, "media")

        assert len(payload(media)) == sent_bytes
        assert media.keys() == {"event", "stream_sid", "media"}
        assert media["media"].keys() == {"payload"}


async def test_mu_law_stream_gets_mu_law() -> None:
    async with stream(EXOTEL) as live:
        await answered(live, start_at(8000, "mulaw"), 320)
        say(live, bytes(640))

        media, mark = await messages_until(live, "mark")

        assert payload(media) == b"\xff" * 320
        assert mark["mark"] == {"name": "1"}


async def test_utterance_is_padded_and_has_a_mark_and_ends_with_its_echo() -> None:
    async with stream(EXOTEL) as live:
        await answered(live)
        say(live, SPOKEN + b"\x01\x02" * 10)

        first, one, last, two = await messages_until(live, "mark", 2)
        assert payload(first) == SPOKEN
        assert payload(last) == (b"\x01\x02" * 10).ljust(3200, b"\0")
        await echo(live, one["mark"]["name"])
        await asyncio.sleep(0.5)
        assert not any(isinstance(event, Finished) for event in live.told)
        await echo(live, two["mark"]["name"])
        await live.until(lambda: Finished(1, 1610, interrupted=False) in live.told)
        assert live.leg.stats()["missed_marks"] == 0


async def test_no_more_than_a_second_is_ever_ahead_of_what_plays() -> None:
    async with stream(EXOTEL) as live:
        await answered(live)
        say(live, SPOKEN * 20)

        await asyncio.sleep(0.1)
        live.leg.accept(Pause())
        sent = [message["event"] for message in await messages_until(live, "clear")]
        assert sent.count("media") == 3  # 0.2 s each


@pytest.mark.parametrize("command", [Clear(1), Pause(), AgentReplaced()])
async def test_interruption_reaches_exotel_at_once(command: LegEvent) -> None:
    async with stream(EXOTEL) as live:
        await answered(live)
        live.leg.accept(Speech(1, SPOKEN * 20))
        await messages_until(live, "media")

        live.leg.accept(command)

        assert (await messages_until(live, "clear"))[-1] == {
            "event": "clear",
            "stream_sid": "stream-1",
        }
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(live.peer.recv(), 0.3)


async def test_bot_hangs_up_after_its_last_mark() -> None:
    async with stream(EXOTEL) as live:
        await answered(live)
        say(live, SPOKEN)
        *_, mark = await messages_until(live, "mark")
        live.leg.accept(HangUp(message="Goodbye"))
        live.leg.accept(HangUp(message="again"))
        await asyncio.sleep(0.4)
        assert not live.run.done()

        await echo(live, mark["mark"]["name"])
        ending = await live.ending()
        await live.leg.hang_up(ending)

        with pytest.raises(ConnectionClosed) as closed:
            await live.peer.recv()
    assert (ending.reason, ending.detail) == (Reason.BOT_ENDED, "Goodbye")
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "Goodbye")


async def test_end_does_not_wait_for_a_mark_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exotel_leg, "LAST_WORDS_S", 0.1)
    async with stream(EXOTEL) as live:
        await answered(live)
        say(live, SPOKEN * 3)
        live.leg.accept(HangUp())

        assert (await live.ending()).reason is Reason.BOT_ENDED


async def test_transfer_gives_the_caller_back_once_all_was_heard() -> None:
    async with stream(EXOTEL) as live:
        await answered(live)
        say(live, SPOKEN)
        *_, mark = await messages_until(live, "mark")
        live.leg.accept(Transfer(to="+10000000003"))
        live.leg.accept(Transfer(to="+10000000003"))
        await asyncio.sleep(0.3)
        assert not any(isinstance(event, TransferSent) for event in live.told)

        await echo(live, mark["mark"]["name"])
        ending = await live.ending()
        await live.leg.hang_up(ending)

        assert (ending.reason, ending.close_code) == (Reason.TRANSFERRED, 1000)
        assert sum(isinstance(event, TransferSent) for event in live.told) == 1
        with pytest.raises(ConnectionClosed):
            await live.peer.recv()


async def test_transfer_of_a_caller_who_is_not_there_fails() -> None:
    async with stream(EXOTEL) as live:
        await live.say(CONNECTED)
        live.leg.accept(Transfer(to="+10000000003"))

        assert [type(event) for event in live.told] == [TransferFailed]
        assert not live.run.done()


async def test_caller_who_hangs_up_first_was_not_transferred() -> None:
    async with stream(EXOTEL) as live:
        await answered(live)
        say(live, SPOKEN * 5)
        live.leg.accept(Transfer(to="+10000000003"))
        await live.say(INCOMING[-1])

        assert (await live.ending()).reason is Reason.CALLER_HUNG_UP
        assert not any(isinstance(event, TransferSent) for event in live.told)


async def test_stream_that_becomes_too_long_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exotel_leg, "STREAM_LIMIT_NOTICE_S", 60.0)
    async with stream(EXOTEL) as live:
        await answered(live)
        live.leg.accept(Planned(20, 3200, 60))

        def noticed() -> list[str]:
            return [event.name for event in live.told if isinstance(event, Noticed)]

        await live.until(lambda: noticed() == ["stream_limit_near"])


@pytest.mark.parametrize("name", ["", "x", "9" * 40, "²", "-1"])
async def test_mark_that_is_none_of_ours_changes_nothing(name: str) -> None:
    async with stream(EXOTEL) as live:
        await answered(live)
        await echo(live, name)
        await live.until(lambda: live.leg.unknown_marks == 1)
        assert not live.run.done()


async def test_call_refused_is_only_closed() -> None:
    async with stream(EXOTEL) as live:
        await live.say(CONNECTED, START)
        await live.leg.hang_up(Ending(Reason.OUTSIDE_HOURS, AT, "closed on Sundays"))

        with pytest.raises(ConnectionClosed) as closed:
            await live.peer.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4403, "closed on Sundays")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("hello", 4400),
        (b"\0\1", 1003),
        ('{"event":"media","media":{"payload":"AA=="}}', 4422),
        (START, 4409),
    ],
)
async def test_broken_protocol_ends_the_call_with_its_code(message: str | bytes, code: int) -> None:
    async with stream(EXOTEL) as live:
        await answered(live)
        await live.say(message)
        ending = await live.ending()

    assert (ending.reason, ending.close_code) == (Reason.PROTOCOL_BROKEN, code)


@pytest.mark.parametrize("spoken", [0, 1])
async def test_unfinished_handshake_ends_the_call(spoken: int) -> None:
    async with stream(EXOTEL, handshake_timeout_s=0.2) as live:
        await live.say(*INCOMING[:spoken])
        ending = await live.ending()

    assert (ending.reason, ending.close_code) == (Reason.HANDSHAKE_TIMEOUT, 4408)
