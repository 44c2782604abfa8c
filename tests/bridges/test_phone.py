"""The softphone against a scripted bot on loopback."""

from __future__ import annotations

import array
import asyncio
import math
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bridges.phone import Phone
from bridges.wire.dialler import DiallerServer
from bridges.wire.dialler_event import Answered, Connected, DiallerEvent, HungUp, MediaReceived

AT = datetime(2026, 6, 5, 10, 0, tzinfo=UTC)


def tone(seconds: float) -> bytes:
    count = int(seconds * 8000)
    wave_form = (int(9000 * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(count))
    return array.array("h", wave_form).tobytes()


class Bot:
    """The far end: keeps what it was told, says what the test wants once the phone is answered."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.server = DiallerServer(0.0)
        self.events: list[DiallerEvent] = []

    async def flush(self) -> None:
        for message in self.server.outgoing():
            await self.connection.send(message)

    async def play(self, pcm: bytes) -> None:
        for start in range(0, len(pcm), 320):
            self.server.send_media(pcm[start : start + 320], AT)
            await self.flush()
            await asyncio.sleep(0.02)

    def heard(self) -> bytes:
        return b"".join(event.pcm for event in self.events if isinstance(event, MediaReceived))


Script = Callable[[Bot], Awaitable[None]]


async def silent(_bot: Bot) -> None:
    pass


@asynccontextmanager
async def listening(script: Script) -> AsyncIterator[tuple[str, list[Bot]]]:
    bots: list[Bot] = []

    async def carry(connection: ServerConnection) -> None:
        bot = Bot(connection)
        bots.append(bot)
        talking: asyncio.Task[None] | None = None
        async for message in connection:
            bot.events += (events := bot.server.receive(message, 0.0))
            if any(isinstance(event, Answered) for event in events):
                talking = asyncio.create_task(_run(script, bot))
        if talking is not None:
            await talking

    async with serve(carry, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/ws/desk", bots


async def _run(script: Script, bot: Bot) -> None:
    await script(bot)
    await bot.flush()


async def test_call_is_placed_spoken_and_hung_up() -> None:
    said = tone(0.2)
    async with listening(silent) as (url, bots):
        async with Phone.call(url, caller_id="1", did="2", fields={"campaign": "x"}) as phone:
            ended_s = await phone.say(said)
            assert phone.speech_ends_at() == pytest.approx(ended_s, abs=0.15)
        (bot,) = bots

    connected = bot.events[0]
    assert isinstance(connected, Connected)
    assert (connected.caller_id, connected.did) == ("1", "2")
    assert connected.fields["campaign"] == "x"
    assert said in bot.heard()
    assert bot.events[-1] == HungUp("customer")
    assert phone.close_code == 1000


async def test_silence_is_sent_all_the_time() -> None:
    async with listening(silent) as (url, bots):
        async with Phone.call(url) as phone:
            await asyncio.sleep(0.25)
        assert len(bots[0].heard()) >= 8 * 320
        assert set(bots[0].heard()) == {0}
        assert phone.speech_ends_at() is None


async def test_bot_is_heard_and_measured() -> None:
    async def speak(bot: Bot) -> None:
        await asyncio.sleep(0.1)
        await bot.play(tone(0.3))

    async with listening(speak) as (url, _), Phone.call(url) as phone:
        span = await phone.hear(silence_s=0.1)

    assert span is not None
    assert span.end_s - span.start_s == pytest.approx(0.3, abs=0.1)
    assert phone.first_audio_s == pytest.approx(span.start_s, abs=0.05)
    assert bytes(phone.received) == tone(0.3)
    assert len(phone.bot_audio_segments()) == 1


async def test_nothing_is_heard_of_a_silent_bot() -> None:
    async with listening(silent) as (url, _), Phone.call(url) as phone:
        assert await phone.hear(timeout_s=0.1) is None


async def test_stop_clears_what_was_sent_ahead() -> None:
    async def interrupt(bot: Bot) -> None:
        for _ in range(50):
            bot.server.send_media(tone(0.02), AT)
        await bot.flush()
        bot.server.stop_media()

    async with listening(interrupt) as (url, _), Phone.call(url) as phone:
        await phone.wait_for_audio()
        await asyncio.sleep(0.1)

    assert phone.chunks == 50
    assert len(phone.heard()) < 25 * 320


async def test_hangup_by_the_bot_ends_the_call() -> None:
    async def hang_up(bot: Bot) -> None:
        bot.server.hang_up("Goodbye")
        await bot.flush()
        await bot.connection.close(1000, "Goodbye")

    async with listening(hang_up) as (url, _), Phone.call(url) as phone:
        assert await phone.wait_closed() == 1000
        with pytest.raises(ConnectionError, match="1000: Goodbye"):
            await phone.say(tone(0.1))
        with pytest.raises(ConnectionError, match="1000: Goodbye"):
            await phone.wait_for_audio()

    assert (phone.hung_up, phone.close_reason) == ("Goodbye", "Goodbye")


async def test_transfer_is_noted() -> None:
    async def transfer(bot: Bot) -> None:
        bot.server.transfer("3", target="t")

    async with listening(transfer) as (url, _), Phone.call(url) as phone:
        await asyncio.sleep(0.1)

    assert phone.transfer is not None
    assert (phone.transfer.to, phone.transfer.target) == ("3", "t")


async def test_call_closed_while_it_rings_is_over_at_once() -> None:
    async def refuse(connection: ServerConnection) -> None:
        await connection.close(4404, "no such bot")

    async with serve(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Phone.call(f"ws://127.0.0.1:{port}/ws/x", ring_s=30.0) as phone:
            assert (phone.is_open, phone.close_code) == (False, 4404)


async def test_both_sides_are_written_as_a_wav(tmp_path: Path) -> None:
    async def speak(bot: Bot) -> None:
        await bot.play(tone(0.1))

    async with listening(speak) as (url, _), Phone.call(url) as phone:
        await phone.say(tone(0.2))
        phone.write_wav(tmp_path / "call.wav")
        said, heard = phone.said(), phone.heard()

    with wave.open(str(tmp_path / "call.wav")) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        frames = array.array("h", file.readframes(file.getnframes()))
    assert frames[0::2].tobytes()[: len(said)] == said
    assert frames[1::2].tobytes()[: len(heard)] == heard
