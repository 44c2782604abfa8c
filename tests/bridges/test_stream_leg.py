"""A dialler's socket as a leg, on loopback: what it tells, what it says, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from websockets.exceptions import ConnectionClosed

from bridges import stream_leg
from bridges.ending import Ending
from bridges.leg import AgentReplaced, LegEvent, Offered, Planned
from bridges.wire.message import MAX_MESSAGE_BYTES
from contracts.command import HangUp, Transfer
from contracts.media import Clear, Finished, Heard, Pause, Speech, SpeechEnd
from contracts.outcome import Reason
from contracts.report import LegAnswered, LegStarted, TransferFailed, TransferSent
from tests.fakes.leg import AT
from tests.fakes.live_stream import DIALLER, VECTORS, stream

INCOMING = (VECTORS / "dialler" / "incoming.jsonl").read_text().splitlines()
HANDSHAKE, MEDIA, HANGUP = INCOMING[:3], INCOMING[3], INCOMING[-1]
FRAME = bytes(320)


async def test_call_is_told_in_the_other_sides_words() -> None:
    async with stream(DIALLER) as live:
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


async def test_speech_before_answer_waits_for_it() -> None:
    async with stream(DIALLER) as live:
        live.leg.accept(Speech(1, b"\x01\x00" * 160))
        live.leg.accept(SpeechEnd(1))
        await live.answered()

        message = await live.next_message()
        assert (message["event"], message["chunk"]) == ("reverse-media", 1)
        await live.until(lambda: Finished(1, 160, interrupted=False) in live.told)
        assert len(live.late_s) == 1
        assert live.leg.stats()["frame_lateness_ms"]["frames"] == 1


async def test_message_is_as_long_as_the_plan_has_it() -> None:
    async with stream(DIALLER) as live:
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
    async with stream(DIALLER) as live:
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
    async with stream(DIALLER) as live:
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
    async with stream(DIALLER) as live:
        await live.say(HANDSHAKE[0])
        await live.leg.hang_up(Ending(Reason.OUTSIDE_HOURS, AT, "closed on Sundays"))

        with pytest.raises(ConnectionClosed) as closed:
            await live.peer.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4403, "closed on Sundays")


async def test_transfer_is_asked_for_and_the_dialler_hangs_up() -> None:
    async with stream(DIALLER) as live:
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
    async with stream(DIALLER) as live:
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
    async with stream(DIALLER) as live:
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
    async with stream(DIALLER) as live:
        await live.answered()
        await live.say(message)
        ending = await live.ending()
        await live.leg.hang_up(ending)

        with pytest.raises(ConnectionClosed) as closed:
            await live.peer.recv()

    assert (ending.reason, ending.close_code) == (Reason.PROTOCOL_BROKEN, code)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, ending.detail)


@pytest.mark.parametrize("spoken", [0, 1, 2])
async def test_unfinished_handshake_ends_the_call(spoken: int) -> None:
    async with stream(DIALLER, handshake_timeout_s=0.2) as live:
        await live.say(*HANDSHAKE[:spoken])
        ending = await live.ending()

    assert (ending.reason, ending.close_code) == (Reason.HANDSHAKE_TIMEOUT, 4408)
