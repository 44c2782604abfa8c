"""Whole calls through LiveKit SIP: in, out and on to somebody else, heard both ways.

The phones are those of the double, which is a LiveKit SIP before the fleet's own LiveKit server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
import yaml

from bridges.audio.waveform import loud_spans
from tests.fakes.livekit_sip import (
    Answers,
    Callee,
    Caller,
    Line,
    RefersTo,
    Refuses,
    SipDouble,
    running_double,
)
from tests.integration.bots import TALKER
from tests.integration.listening import hears, words_in
from tests.integration.platform import Platform, running_platform
from tests.integration.waiting import until
from voicefleet.fleet import Fleet

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
PAUSE_S = 0.8
"""Silence after which a speech is taken for finished."""


class Desk:
    """A fleet behind a LiveKit SIP."""

    def __init__(self) -> None:
        self.double: SipDouble
        self.platform: Platform

    @asynccontextmanager
    async def before(self, fleet: Fleet) -> AsyncIterator[str]:
        # LiveKit SIP's rooms are made by the joining of their callers.
        config_path = fleet.home / "run" / "livekit.yaml"
        config = yaml.safe_load(config_path.read_text())
        config["room"]["auto_create"] = True
        config_path.write_text(yaml.safe_dump(config))
        environ = fleet.environ
        key, secret = environ["LIVEKIT_API_KEY"], environ["LIVEKIT_API_SECRET"]
        async with running_double(fleet.livekit_url, key, secret) as double:
            self.double = double
            yield double.url

    async def add(self, path: str, **body: Any) -> None:
        answer = await self.platform.api.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == 201, answer.text

    async def dial(self, callee: Callee) -> str:
        """Have a phone called that behaves so; return the call's id."""
        self.double.callees[PHONE] = callee
        asked = {"bot_id": "talker", "to_number": PHONE}
        answer = await self.platform.api.post("/api/v1/sip/dialout", json=asked)
        assert answer.status_code == 200, answer.text
        call_id: str = answer.json()["call_id"]
        return call_id

    async def line_of(self, call_id: str) -> Line:
        """Wait for a call's phone to be answered, and return its leg."""

        async def is_answered() -> bool:
            line = self.double.lines.get(f"caller-{call_id}")
            return line is not None and line.is_active

        await until(is_answered, 15.0)
        return self.double.lines[f"caller-{call_id}"]

    async def result(self, call_id: str) -> dict[str, Any]:
        """Wait for a call's result."""
        path = f"/api/v1/calls/{call_id}/result"

        async def is_there() -> bool:
            return (await self.platform.api.get(path)).status_code == 200

        await until(is_there, 20.0)
        result: dict[str, Any] = (await self.platform.api.get(path)).json()
        return result

    async def rings(self, dialled: str, **how: Any) -> Caller:
        return self.double.call(PHONE, dialled, **how)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A fleet with one managed trunk and one bot, told to its LiveKit SIP."""
    desk = Desk()
    folder = tmp_path_factory.mktemp("managed")
    async with running_platform(folder, livekit=desk.before) as platform:
        desk.platform = platform
        await platform.save_bot("talker", BOT)
        await desk.add(
            "trunks",
            trunk_id="carrier",
            name="Carrier",
            address="127.0.0.1:5099",
            numbers=[DID, UNANSWERED],
            cps=50,
            burst=50,
        )
        await desk.add("numbers", number=DID, bot_id="talker", trunk_id="carrier")

        async def is_told() -> bool:
            trunk = await platform.api.get("/api/v1/trunks/carrier")
            return bool(trunk.json()["lk_sync_status"] == "ok")

        await until(is_told, 15.0)
        yield desk


async def heard_speech(line: Line, after_s: float = 0.0, timeout_s: float = 15.0) -> float:
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


def said(result: dict[str, Any], speaker: str) -> str:
    lines = [line["text"] for line in result["transcript"] if line["speaker"] == speaker]
    return " ".join(lines).lower()


async def test_trunk_and_number_are_told_to_livekit_sip(desk: Desk) -> None:
    registry = desk.double.registry
    assert {rule.name for rule in registry.rules.values()} == {
        "voicefleet/carrier",
        "voicefleet/catch-all",
    }
    (inbound,) = registry.inbound.values()
    assert list(inbound.numbers) == [DID, UNANSWERED]
    assert inbound.ringing_timeout.seconds == 20


async def test_phone_that_calls_in_talks_with_its_number_s_bot(desk: Desk) -> None:
    question, farewell = map(desk.platform.voice, (QUESTION, FAREWELL))
    caller = await desk.rings(DID, headers={"X-Account": "7"})
    async with asyncio.timeout(15):
        await caller.answered.wait()
    line = caller.line
    assert line is not None
    at_s = await heard_speech(line)
    line.say(question)
    at_s = await heard_speech(line, at_s)
    line.say(farewell)
    async with asyncio.timeout(15):
        await caller.over.wait()
    assert caller.statuses == [100, 180, 200]
    words = await words_in(line.heard())
    for expected in ("information line", "monday to friday", "thank you"):
        assert hears(expected, words)
    result = await desk.platform.result(line.call_id)
    assert result["disconnected_by"] == "bot"
    assert result["call_direction"] == "incoming"
    assert result["caller_id"] == PHONE
    assert hears("when are you open", said(result, "customer"))
    assert [intent["name"] for intent in result["intents"]] == ["hours"]


async def test_caller_who_hangs_up_ends_the_call(desk: Desk) -> None:
    caller = await desk.rings(DID)
    async with asyncio.timeout(15):
        await caller.answered.wait()
    line = caller.line
    assert line is not None
    await heard_speech(line)
    await line.hang_up()
    result = await desk.platform.result(line.call_id)
    assert result["disconnected_by"] == "customer"


@pytest.mark.parametrize("dialled", [UNANSWERED, "+4930123456"])
async def test_number_that_nobody_answers_is_busy_before_it_is_ever_picked_up(
    desk: Desk, dialled: str
) -> None:
    caller = await desk.rings(dialled)
    async with asyncio.timeout(15):
        await caller.over.wait()
    assert caller.statuses == [100, 180, 486]


async def test_phone_that_is_called_hears_the_bot_once_it_answers(desk: Desk) -> None:
    farewell = desk.platform.voice(FAREWELL)
    call_id = await desk.dial(Callee(Answers(after_s=1.5)))
    line = await desk.line_of(call_id)
    await heard_speech(line)
    line.say(farewell)
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


async def test_refused_transfer_brings_the_bot_back_and_the_next_one_ends_the_call(
    desk: Desk,
) -> None:
    manager = desk.platform.voice(MANAGER)
    call_id = await desk.dial(Callee(Answers(0.2), refers=RefersTo.BUSY))
    line = await desk.line_of(call_id)
    at_s = await heard_speech(line)
    line.say(manager)

    async def is_back() -> bool:
        return hears("could not put you through", await words_in(line.heard()))

    await until(is_back, 20.0)
    assert not line.ended.is_set()
    assert line.referred_to == "tel:+14155550123"
    await heard_speech(line, at_s)
    line.refers = RefersTo.SUCCESS
    line.say(manager)
    async with asyncio.timeout(20):
        await line.ended.wait()
    result = await desk.result(call_id)
    assert result["disconnected_by"] == "bot"
    assert result["was_transferred"] is True
    assert result["transfer_destination"] == "+14155550123"
    assert result["transfer_method"] == "livekit_sip_refer"
    assert result["transfer_failed_reason"] is None
    assert hears("putting you through", await words_in(line.heard()))


async def test_caller_who_hangs_up_in_a_transfer_was_not_transferred(desk: Desk) -> None:
    manager = desk.platform.voice(MANAGER)
    call_id = await desk.dial(Callee(Answers(0.2), refers=RefersTo.HANGS_UP, refer_s=0.5))
    line = await desk.line_of(call_id)
    await heard_speech(line)
    line.say(manager)
    async with asyncio.timeout(20):
        await line.ended.wait()
    result = await desk.result(call_id)
    assert result["was_transferred"] is False
    assert result["disconnected_by"] == "customer"
