"""A dialler's socket as a leg, on loopback: what it tells, what it says, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bridges import socket_leg, stream_leg
from bridges.clock import Clock
from bridges.ending import Ending
from bridges.leg import AgentReplaced, LegEvent, Offered, Planned
from bridges.stream_leg import StreamLeg
from bridges.wire.dialler import DiallerServer
from bridges.wire.message import MAX_MESSAGE_BYTES
from contracts.command import HangUp, Transfer
from contracts.media import Clear, Finished, Heard, Pause, Speech, SpeechEnd
from contracts.outcome import Reason
from contracts.report import LegAnswered, LegStarted, TransferFailed, TransferSent
from tests.fakes.leg import AT

VECTORS = Path(__file__).parents[1] / "vectors" / "dialler"
INCOMING = (VECTORS / "incoming.jsonl").read_text().splitlines()
HANDSHAKE, MEDIA, HANGUP = INCOMING[:3], INCOMING[3], INCOMING[-1]
FRAME = bytes(320)


@dataclass
class Stream:
    """Both ends of a stream: our leg, and the dialler's bare socket."""

    peer: ClientConnection
    leg: StreamLeg
    run: asyncio.Task[Ending]
    told: list[LegEvent] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)

    async def say(self, *messages: str | bytes) -> None:
        for message in messages:
            await self.peer.send(message)

    async def next_message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await asyncio.wait_for(self.peer.recv(), 5))
        return message

    async def until(self, predicate: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not predicate():  # noqa: ASYNC110 - the leg tells by callback
                await asyncio.sleep(0.005)

    async def answered(self) -> None:
        await self.say(*HANDSHAKE)
        await self.until(lambda: any(isinstance(event, LegAnswered) for event in self.told))

    async def ending(self) -> Ending:
        return await asyncio.wait_for(asyncio.shield(self.run), 10)


@asynccontextmanager
async def stream(**timeouts: float) -> AsyncIterator[Stream]:
    streams: asyncio.Queue[Callable[[ClientConnection], Stream]] = asyncio.Queue()
    over = asyncio.Event()

    async def carry(connection: ServerConnection) -> None:
        kernel_socket = connection.transport.get_extra_info("socket")
        kernel_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        clock, told, late_s = Clock(), list[LegEvent](), list[float]()
        leg = StreamLeg(connection, DiallerServer(clock.now(), **timeouts), clock, late_s.append)
        run = asyncio.create_task(leg.run(told.append))
        streams.put_nowait(lambda peer: Stream(peer, leg, run, told, late_s))
        await over.wait()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        await leg.close()

    with socket.socket() as small:
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with serve(
            carry, "127.0.0.1", 0, max_size=None, ping_interval=None, close_timeout=0.2
        ) as server:
            port = server.sockets[0].getsockname()[1]
            small.setblocking(False)
            await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", port))
            async with connect(
                f"ws://127.0.0.1:{port}", sock=small, compression=None, close_timeout=0.2
            ) as peer:
                yield (await streams.get())(peer)
            over.set()


async def test_call_is_told_in_the_other_sides_words() -> None:
    async with stream() as live:
        await live.say(*INCOMING)
        ending = await live.ending()

    assert (ending.reason, ending.detail) == (Reason.CALLER_HUNG_UP, "customer")
    offered, started, answered, heard = live.told
    assert isinstance(offered, Offered)
    assert (offered.caller_id, offered.did, offered.stream_id) == (
        "+10000000001",
        "10000000002",
        "stream-1",
    )
    assert offered.connected_event["customer_name"] == "Asha"
    assert isinstance(started, LegStarted)
    assert started.stream_id == "stream-1"
    assert isinstance(answered, LegAnswered)
    assert isinstance(heard, Heard)
    assert len(heard.pcm) == 640


async def test_last_words_before_the_hangup_are_told() -> None:
    async with stream() as live:
        await live.answered()
        await live.say(MEDIA, HANGUP)
        await live.ending()

    heard = [event for event in live.told if isinstance(event, Heard)]
    assert [len(event.pcm) for event in heard] == [320]


async def test_speech_before_answer_waits_for_it() -> None:
    async with stream() as live:
        live.leg.accept(Speech(1, b"\x01\x00" * 160))
        live.leg.accept(SpeechEnd(1))
        await live.answered()

        message = await live.next_message()
        assert (message["event"], message["chunk"]) == ("reverse-media", 1)
        await live.until(lambda: Finished(1, 160, interrupted=False) in live.told)
        assert len(live.late_s) == 1
        assert live.leg.stats()["frame_lateness_ms"]["frames"] == 1


async def test_position_is_told_while_the_caller_is_quiet() -> None:
    def moved(event: LegEvent) -> bool:
        return isinstance(event, Heard) and event.segment == 1 and event.played_samples > 0

    async with stream() as live:
        await live.answered()
        live.leg.accept(Speech(1, FRAME * 40))

        await live.until(lambda: any(moved(event) for event in live.told))
        assert all(event.pcm == b"" for event in live.told if isinstance(event, Heard))


async def test_message_is_as_long_as_the_plan_has_it() -> None:
    async with stream() as live:
        live.leg.accept(Planned(200))
        await live.answered()
        live.leg.accept(Speech(1, FRAME * 15))
        live.leg.accept(SpeechEnd(1))

        messages = [await live.next_message() for _ in range(2)]

        assert [message["chunk_durn_ms"] for message in messages] == [200, 200]
        assert [len(base64.b64decode(message["payload"])) for message in messages] == [3200, 3200]
        await live.until(lambda: Finished(1, 15 * 160, interrupted=False) in live.told)


@pytest.mark.parametrize("command", [Clear(1), Pause(), AgentReplaced()])
async def test_interruption_reaches_the_dialler_at_once(command: LegEvent) -> None:
    async with stream() as live:
        await live.answered()
        live.leg.accept(Speech(1, FRAME * 100))
        assert (await live.next_message())["event"] == "reverse-media"

        live.leg.accept(command)

        messages = [await live.next_message()]
        while messages[-1]["event"] == "reverse-media":
            messages.append(await live.next_message())
        assert messages[-1]["event"] == "reverse-media-stop"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(live.peer.recv(), 0.1)


async def test_bot_hangs_up_politely() -> None:
    async with stream() as live:
        await live.answered()
        live.leg.accept(HangUp(message="Goodbye"))
        ending = await live.ending()
        await live.leg.hang_up(ending)

        assert (await live.next_message())["event"] == "reverse-media-stop"
        assert (await live.next_message())["message"] == "Goodbye"
        with pytest.raises(ConnectionClosed) as closed:
            await live.peer.recv()

    assert ending.reason is Reason.BOT_ENDED
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "Goodbye")


async def test_call_refused_before_answer_is_only_closed() -> None:
    async with stream() as live:
        await live.say(HANDSHAKE[0])
        await live.leg.hang_up(Ending(Reason.OUTSIDE_HOURS, AT, "closed on Sundays"))

        with pytest.raises(ConnectionClosed) as closed:
            await live.peer.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4403, "closed on Sundays")


async def test_transfer_is_asked_for_and_the_dialler_hangs_up() -> None:
    async with stream() as live:
        await live.answered()
        live.leg.accept(Transfer(to="+10000000003"))
        live.leg.accept(Speech(1, FRAME))  # nobody is there to hear it

        assert (await live.next_message())["event"] == "reverse-media-stop"
        assert (await live.next_message())["transferTo"] == "+10000000003"
        assert any(isinstance(event, TransferSent) for event in live.told)
        await live.peer.close()
        assert (await live.ending()).reason is Reason.TRANSFERRED


async def test_dialler_that_never_hangs_up_after_a_transfer_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_leg, "TRANSFER_TIMEOUT_S", 0.05)
    async with stream() as live:
        await live.answered()
        live.leg.accept(Transfer(to="+10000000003"))
        live.leg.accept(HangUp())
        ending = await live.ending()
        await live.leg.hang_up(ending)

        assert ending.reason is Reason.TRANSFERRED
        events = [(await live.next_message())["event"] for _ in range(2)]
        assert events == ["reverse-media-stop", "reverse-call-transfer"]
        with pytest.raises(ConnectionClosed):  # and no hang-up, which would end the new call
            await live.peer.recv()


async def test_transfer_before_answer_fails_and_the_call_goes_on() -> None:
    async with stream() as live:
        await live.say(HANDSHAKE[0])
        live.leg.accept(Transfer(to="+10000000003"))
        live.leg.accept(Transfer(to="+10000000003"))

        assert [type(event) for event in live.told if not isinstance(event, Offered)] == [
            TransferFailed,
            TransferFailed,
        ]
        assert not live.run.done()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("hello", 4400),
        (b"\0\1", 1003),
        ('{"event":"media","payload":"AAAA"}', 4422),
        (json.dumps({"event": "media", "payload": "A" * MAX_MESSAGE_BYTES}), 1009),
        (HANDSHAKE[0], 4409),
    ],
)
async def test_broken_protocol_ends_the_call_with_its_code(message: str | bytes, code: int) -> None:
    async with stream() as live:
        await live.answered()
        await live.say(message)
        ending = await live.ending()
        await live.leg.hang_up(ending)

        with pytest.raises(ConnectionClosed) as closed:
            await live.peer.recv()

    assert (ending.reason, ending.close_code) == (Reason.PROTOCOL_BROKEN, code)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, ending.detail)


async def test_text_that_is_no_text_is_the_librarys_to_refuse() -> None:
    async with stream() as live:
        await live.peer.send(b"\xff\xfe", text=True)
        ending = await live.ending()

    assert ending.reason is Reason.PROTOCOL_BROKEN
    assert ending.detail == "invalid start byte at position 0"


@pytest.mark.parametrize("spoken", [0, 1, 2])
async def test_unfinished_handshake_ends_the_call(spoken: int) -> None:
    async with stream(handshake_timeout_s=0.2) as live:
        await live.say(*HANDSHAKE[:spoken])
        ending = await live.ending()

    assert (ending.reason, ending.close_code) == (Reason.HANDSHAKE_TIMEOUT, 4408)


async def test_dialler_without_media_ends_the_call() -> None:
    async with stream(media_timeout_s=0.2) as live:
        await live.answered()
        ending = await live.ending()

    assert (ending.reason, ending.close_code) == (Reason.MEDIA_TIMEOUT, 4410)


async def test_dialler_that_vanishes_ends_the_call() -> None:
    async with stream() as live:
        await live.answered()
        live.peer.transport.abort()
        ending = await live.ending()
        await live.leg.hang_up(ending)

    assert ending.reason is Reason.CALLER_DISCONNECTED
    assert ending.detail == "closed by the peer with 1006"


async def test_dialler_that_stops_reading_hears_gaps_and_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket_leg, "STALL_TIMEOUT_S", 0.3)
    async with stream() as live:
        await live.answered()
        live.peer.transport.pause_reading()
        live.leg.accept(Speech(1, FRAME * 500))
        ending = await live.ending()
        unsent_bytes = live.leg._connection.transport.get_write_buffer_size()

    assert (ending.reason, ending.close_code) == (Reason.PEER_STALLED, 4430)
    assert live.leg.dropped_frames >= 10
    assert unsent_bytes < socket_leg.MAX_UNSENT_BYTES + 2048


async def test_dialler_that_reads_again_hears_the_present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_leg, "MAX_UNSENT_BYTES", 0)
    async with stream() as live:
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
