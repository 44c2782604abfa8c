"""The softphone of Exotel's door against a scripted bot on loopback: its rules are enforced."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response

from bridges.exotel_softphone import ExotelSoftphone
from bridges.wire.exotel import ExotelServer
from bridges.wire.exotel_event import (
    AudioReceived,
    ExotelEvent,
    KeyPressed,
    MarkReached,
    StreamStarted,
    StreamStopped,
)
from bridges.wire.message import encode_audio

LOUD = b"\x10\x27\xf0\xd8" * 800
"""200 ms at 8 kHz: one chunk."""


class Bot:
    """The far end: keeps what it was told, and when; says what the test wants."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.server = ExotelServer(0.0)
        self.events: list[ExotelEvent] = []
        self.marks: dict[str, float] = {}

    async def flush(self) -> None:
        for message in self.server.outgoing():
            await self.connection.send(message)

    async def say(self, chunks: int, mark: str) -> None:
        for _ in range(chunks):
            self.server.send_media(LOUD)
        self.server.send_mark(mark)
        await self.flush()


Script = Callable[[Bot], Awaitable[None]]


async def silent(_bot: Bot) -> None:
    pass


@asynccontextmanager
async def listening(script: Script, refusals: int = 0) -> AsyncIterator[tuple[str, list[Bot]]]:
    bots: list[Bot] = []
    asked: list[Request] = []

    def answer(connection: ServerConnection, request: Request) -> Response | None:
        asked.append(request)
        if len(asked) <= refusals:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "full")
        return None

    async def carry(connection: ServerConnection) -> None:
        bot = Bot(connection)
        bots.append(bot)
        loop, talking = asyncio.get_running_loop(), None
        async for message in connection:
            for event in bot.server.receive(message, 0.0):
                bot.events.append(event)
                if isinstance(event, MarkReached):
                    bot.marks[event.name] = loop.time()
                if isinstance(event, StreamStarted):
                    talking = asyncio.create_task(_run(script, bot))
        if talking is not None:
            await talking

    async with serve(carry, "127.0.0.1", 0, compression=None, process_request=answer) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/exotel/desk", bots


async def _run(script: Script, bot: Bot) -> None:
    try:
        await script(bot)
    except ConnectionClosed:
        return


async def test_call_is_placed_spoken_keyed_and_hung_up() -> None:
    async with listening(silent) as (url, bots):
        async with ExotelSoftphone.call(
            url, caller_id="1", did="2", fields={"campaign": "x"}, rate_hz=16000, token="t"
        ) as phone:
            await phone.say(bytes(3200) + b"\x01\x02" * 1600)
            await phone.press("5#")
        (bot,) = bots

    started = bot.events[0]
    assert isinstance(started, StreamStarted)
    assert (started.caller, started.callee, started.rate_hz) == ("1", "2", 16000)
    assert started.fields["campaign"] == "x"
    assert {len(e.pcm) for e in bot.events if isinstance(e, AudioReceived)} == {3200}
    assert [e.digit for e in bot.events if isinstance(e, KeyPressed)] == ["5", "#"]
    assert bot.events[-1] == StreamStopped("callended")
    request = bot.connection.request
    assert request is not None
    assert request.path.endswith("?sample-rate=16000")
    assert request.headers["Authorization"] == "Basic ZXhvdGVsOnQ="
    assert phone.broken == ""


async def test_parameters_of_the_url_are_repeated() -> None:
    async with listening(silent) as (url, bots):
        async with ExotelSoftphone.call(f"{url}?sample-rate=16000&campaign=y", rate_hz=16000):
            pass
        started = bots[0].events[0]

    assert isinstance(started, StreamStarted)
    assert started.fields["campaign"] == "y"
    assert "sample-rate" not in started.fields


async def test_mark_comes_back_when_its_audio_was_played() -> None:
    said_at = 0.0

    async def speak(bot: Bot) -> None:
        nonlocal said_at
        said_at = asyncio.get_running_loop().time()
        await bot.say(2, "end")

    async with listening(speak) as (url, bots):
        async with ExotelSoftphone.call(url) as phone:
            await phone.hear(silence_s=0.1)
        assert bots[0].marks["end"] - said_at == pytest.approx(0.4, abs=0.1)
        assert phone.most_ahead_s == pytest.approx(0.4, abs=0.05)


async def test_clear_spares_what_plays_and_forgets_the_marks_of_the_rest() -> None:
    async def interrupt(bot: Bot) -> None:
        await bot.say(1, "first")
        await bot.say(3, "last")
        await asyncio.sleep(0.1)
        bot.server.clear()
        await bot.flush()

    async with listening(interrupt) as (url, bots):
        async with ExotelSoftphone.call(url) as phone:
            await phone.wait_for_audio()
            await asyncio.sleep(1.0)
        assert list(bots[0].marks) == ["first"]
        assert phone.cleared == 1
        (span,) = phone.bot_audio_segments()
    assert span.end_s - span.start_s == pytest.approx(0.2, abs=0.05)


async def test_phone_that_knows_no_marks_answers_none() -> None:
    async def speak(bot: Bot) -> None:
        await bot.say(1, "end")

    async with listening(speak) as (url, bots):
        async with ExotelSoftphone.call(url, echoes=False) as phone:
            await phone.hear(silence_s=0.1)
        assert bots[0].marks == {}


@pytest.mark.parametrize(
    ("sizes", "code", "why"),
    [
        ([320], 1007, "chunk of 320 bytes"),
        ([3300], 1007, "chunk of 3300 bytes"),
        ([96_000], 1009, "chunk of 96000 bytes"),
        ([6400] * 5, 1008, "ahead of what plays"),
    ],
)
async def test_stream_that_breaks_a_rule_is_ended(sizes: list[int], code: int, why: str) -> None:
    async def speak(bot: Bot) -> None:
        for size in sizes:
            media = {"payload": encode_audio(bytes(size))}
            message = {"event": "media", "stream_sid": "softphone", "media": media}
            await bot.connection.send(json.dumps(message))

    async with listening(speak) as (url, _), ExotelSoftphone.call(url) as phone:
        assert await phone.wait_closed() == code
        assert why in phone.broken
        with pytest.raises(ConnectionError, match=str(code)):
            await phone.say(LOUD)


async def test_handshake_that_fails_is_tried_once_more() -> None:
    async with listening(silent, refusals=1) as (url, _), ExotelSoftphone.call(url) as phone:
        assert phone.is_open

    async with listening(silent, refusals=2) as (url, _):
        with pytest.raises(InvalidStatus):
            async with ExotelSoftphone.call(url):
                pass
