"""Whole calls through LiveKit SIP: in, out and on to somebody else, heard both ways.

The phones are those of the double, which is a LiveKit SIP before the fleet's own LiveKit server; or
real ones before a real `livekit-sip` beside it, where `LIVEKIT_SIP_BIN` names one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio
from livekit import api

from bridges.audio.waveform import loud_spans
from contracts.ids import attached_identity
from tests.fakes.livekit_sip import (
    Answers,
    Callee,
    Line,
    RefersTo,
    Refuses,
    SipDouble,
)
from tests.fakes.livekit_sip.voice import Voice
from tests.integration.bots import TALKER
from tests.integration.listening import hears, words_in
from tests.integration.managed_desk import Desk
from tests.integration.platform import running_platform
from tests.integration.room import wait_for_room
from tests.integration.waiting import until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.livekit_sip,
    pytest.mark.calls_go_on,
]

DID = "+911140001000"
UNANSWERED = "+911140001001"
PHONE = "+14155550100"
BOT: dict[str, Any] = {
    **TALKER,
    "transfer_targets": [
        {
            "id": "desk",
            "label": "Front desk",
            "value": "+14155550123",
            "method": "livekit_sip_refer",
            "is_default": True,
        }
    ],
}
QUESTION = "When are you open?"
FAREWELL = "That is all, thank you. Goodbye."
MANAGER = "Let me talk to a manager."
CALLS_AT_ONCE = 2
"""Of the long calls. More would make one another wait for the machine."""
PAUSE_S = 0.8
"""Silence after which a speech is taken for finished."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A fleet with one managed trunk and one bot, told to its LiveKit SIP."""
    folder = tmp_path_factory.mktemp("managed")
    desk = Desk(tmp_path_factory.mktemp("phones"))
    async with running_platform(
        folder, livekit=desk.before, AGENT_MAX_CALLS="8", MAX_CONCURRENT_CALLS="8"
    ) as platform:
        desk.platform = platform
        await platform.save_bot("talker", BOT)
        await desk.add_trunk("carrier", address="127.0.0.1:5099", numbers=[DID, UNANSWERED])
        await desk.add("numbers", number=DID, bot_id="talker", trunk_id="carrier")
        await desk.is_told("carrier")
        desk.voices = {text: platform.voice(text) for text in (QUESTION, FAREWELL, MANAGER)}
        places = asyncio.Semaphore(CALLS_AT_ONCE)

        async def held(call: Callable[[Desk], Awaitable[None]]) -> None:
            async with places:
                await asyncio.to_thread(wait_for_room)
                await call(desk)

        calls = LONG_CALLS if isinstance(desk.telephony, SipDouble) else CALLS_OF_ANY
        desk.calls = {call.__name__: asyncio.create_task(held(call)) for call in calls}
        yield desk
        for call in desk.calls.values():
            call.cancel()


async def heard_speech(line: Line | Voice, after_s: float = 0.0, timeout_s: float = 30.0) -> float:
    """Wait until the bot has said something after a moment and fallen silent; return when."""
    ended_s = 0.0

    async def is_said() -> bool:
        nonlocal ended_s
        heard = line.heard()
        spans = [span for span in loud_spans(heard) if span.end_s > after_s]
        if not spans:
            return False
        ended_s = spans[-1].end_s
        return len(heard) / 16_000 - ended_s >= PAUSE_S

    await until(is_said, timeout_s)
    return ended_s


async def asked(line: Line | Voice, question: bytes, at_s: float) -> float:
    """Ask, again if the bot asks back, as on a machine under load; return when it is done."""
    for _ in range(2):
        line.say(question)
        began_s, at_s = at_s, await heard_speech(line, at_s)
        answer = await words_in(line.heard()[round(began_s * 8000) * 2 :])
        if not hears("didnt catch that", answer):
            break
    return at_s


def said(result: dict[str, Any], speaker: str) -> str:
    lines = [line["text"] for line in result["transcript"] if line["speaker"] == speaker]
    return " ".join(lines).lower()


async def conversation_in(desk: Desk) -> None:
    line = await desk.call_in(PHONE, DID)
    at_s = await heard_speech(line)
    at_s = await asked(line, desk.voices[QUESTION], at_s)
    line.say(desk.voices[FAREWELL])
    async with asyncio.timeout(15):
        await line.ended.wait()
    words = await words_in(line.heard())
    for expected in ("information line", "monday to friday", "for calling goodbye"):
        assert hears(expected, words)
    result = await desk.platform.result(line.call_id)
    assert result["disconnected_by"] == "bot"
    assert result["call_direction"] == "incoming"
    assert result["caller_id"] == PHONE
    assert hears("when are you open", said(result, "customer"))
    assert [intent["name"] for intent in result["intents"]] == ["hours"]


async def test_caller_who_hangs_up_ends_the_call(desk: Desk) -> None:
    line = await desk.call_in("+14155550199", DID)
    await heard_speech(line)
    await line.hang_up()
    result = await desk.platform.result(line.call_id)
    assert result["disconnected_by"] == "customer"


@pytest.mark.parametrize("dialled", [UNANSWERED, "+4930123456"])
async def test_number_that_nobody_answers_is_busy_before_it_is_ever_picked_up(
    desk: Desk, dialled: str
) -> None:
    caller = desk.telephony.call(PHONE, dialled)
    async with asyncio.timeout(15):
        await caller.over.wait()
    assert caller.statuses == [100, 180, 486]


async def conversation_out(desk: Desk) -> None:
    call_id = await desk.dial(Callee(Answers(after_s=1.5)))
    line = await desk.talks(call_id)
    await heard_speech(line)
    line.say(desk.voices[FAREWELL])
    async with asyncio.timeout(15):
        await line.ended.wait()
    # From its first words on: nothing was said to a phone that rang.
    assert hears("hello you have reached the information line", await words_in(line.heard()))
    result = await desk.result(call_id)
    assert (result["disconnected_by"], result["call_direction"]) == ("bot", "outgoing")
    assert "thank you" in said(result, "customer")
    states = [
        event["data"]["state"]
        for event in (await desk.platform.api.get(f"/api/v1/calls/{call_id}/events")).json()[
            "events"
        ]
        if event["type"] == "voicefleet.call.state"
    ]
    assert states == ["dialling", "ringing", "answered", "talking", "ended"]


async def test_phone_that_is_busy_is_a_rejection(desk: Desk) -> None:
    call_id = await desk.dial(Callee(Refuses(486, after_s=0.3, rings=True)))
    result = await desk.result(call_id)
    assert result["disconnected_by"] == "rejected"
    assert result["call_duration_seconds"] == 0


async def transfer_in_two_attempts(desk: Desk) -> None:
    call_id = await desk.dial(Callee(Answers(0.2), refers=RefersTo.BUSY))
    line = await desk.line_of(call_id)
    at_s = await heard_speech(line)
    line.say(desk.voices[MANAGER])
    await until(lambda: desk.has_told(call_id, "transfer_failed"), 20.0)
    at_s = max(at_s, len(line.heard()) / 16_000)
    assert not line.ended.is_set()
    assert line.referred_to == "tel:+14155550123"
    await heard_speech(line, at_s)
    line.refers = RefersTo.SUCCESS
    for _ in range(2):  # on a machine under load a word may be lost
        line.say(desk.voices[MANAGER])
        with suppress(TimeoutError):
            async with asyncio.timeout(9):
                await line.ended.wait()
                break
    async with asyncio.timeout(20):
        await line.ended.wait()
    result = await desk.result(call_id)
    assert result["disconnected_by"] == "bot"
    assert result["was_transferred"] is True
    assert result["transfer_destination"] == "+14155550123"
    assert result["transfer_method"] == "livekit_sip_refer"
    assert result["transfer_failed_reason"] is None
    words = await words_in(line.heard())
    assert hears("putting you through", words)
    assert hears("could not put you through", words)


async def hang_up_in_transfer(desk: Desk) -> None:
    call_id = await desk.dial(Callee(Answers(0.2), refers=RefersTo.HANGS_UP, refer_s=0.5))
    line = await desk.line_of(call_id)
    await heard_speech(line)
    line.say(desk.voices[MANAGER])
    async with asyncio.timeout(20):
        await line.ended.wait()
    result = await desk.result(call_id)
    assert result["was_transferred"] is False
    assert result["disconnected_by"] == "customer"


async def attachment(desk: Desk) -> None:
    number, room = "+14155550900", "campaign-7"
    desk.double.callees[number] = Callee(Answers(0.2))
    environ = desk.platform.fleet.environ
    key, secret = environ["LIVEKIT_API_KEY"], environ["LIVEKIT_API_SECRET"]
    (trunk,) = desk.double.registry.outbound.values()
    dial = api.CreateSIPParticipantRequest(
        sip_trunk_id=trunk.sip_trunk_id,
        sip_call_to=number,
        room_name=room,
        participant_identity=attached_identity(number),
        wait_until_answered=True,
    )
    async with api.LiveKitAPI(desk.double.url, key, secret) as dialler:
        await dialler.sip.create_sip_participant(dial)
    line = desk.double.lines[attached_identity(number)]
    body = {"room_name": room, "bot_id": "talker", "to_number": number}
    answer = await desk.platform.api.post("/attach", json=body)
    call_id = answer.json()["call_id"]
    assert answer.json() == {"status": "accepted", "call_id": call_id, "room_name": room}
    at_s = await heard_speech(line)
    at_s = await asked(line, desk.voices[QUESTION], at_s)
    line.say(desk.voices[FAREWELL])
    async with asyncio.timeout(15):
        await line.ended.wait()
    result = await desk.result(call_id)
    assert (result["disconnected_by"], result["call_direction"]) == ("bot", "outgoing")
    assert hears("when are you open", said(result, "customer"))
    assert hears("monday to friday", await words_in(line.heard()))


CALLS_OF_ANY = (conversation_in, conversation_out)
LONG_CALLS = (attachment, transfer_in_two_attempts, *CALLS_OF_ANY, hang_up_in_transfer)


async def test_trunk_and_number_are_told_to_livekit_sip(desk: Desk) -> None:
    told = await desk.objects()
    assert {"voicefleet/carrier", "voicefleet/catch-all"} <= {rule.name for rule in told.rules}
    (inbound,) = (trunk for trunk in told.inbound if trunk.name == "voicefleet/carrier")
    assert list(inbound.numbers) == [DID, UNANSWERED]
    assert inbound.ringing_timeout.seconds == 20


async def test_phone_that_calls_in_talks_with_its_number_s_bot(desk: Desk) -> None:
    await desk.calls["conversation_in"]


async def test_phone_that_is_called_hears_the_bot_once_it_answers(desk: Desk) -> None:
    await desk.calls["conversation_out"]


@pytest.mark.double_only(reason="a campaign's own dial is the double's")
async def test_bot_attached_to_an_answered_call_speaks_at_once(desk: Desk) -> None:
    await desk.calls["attachment"]


@pytest.mark.double_only(reason="its phone refers as it is told in the middle of a call")
async def test_refused_transfer_brings_the_bot_back_and_the_next_one_ends_the_call(
    desk: Desk,
) -> None:
    await desk.calls["transfer_in_two_attempts"]


@pytest.mark.double_only(reason="its phone refers as it is told in the middle of a call")
async def test_caller_who_hangs_up_in_a_transfer_was_not_transferred(desk: Desk) -> None:
    await desk.calls["hang_up_in_transfer"]
