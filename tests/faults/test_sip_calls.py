"""Many SIP calls at once: twenty echoed ones, and as many conversations as the machine holds."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import pytest_asyncio

from bench.sip.caller import SipCaller
from bench.sip.phone_audio import LOUD, RATE_HZ
from tests.integration.listening import hears, words_in
from tests.integration.platform import Platform, running_platform
from tests.integration.waiting import until

NUMBER = "desk"
DIALOGS = 20
VANISHING = 2
"""Phones whose audio stops and who never say BYE."""
AT_A_TIME = 4
"""Calls that start at once: what is tested is how many are up, not how fast they come."""
TONE_S = 1.0
TONE_PEAK = 16_000
WINDOW = 320
"""Samples in which a tone is told from its neighbours, 100 Hz away: 40 ms."""
LOUD_PACKETS = 20
"""How many of a tone's 50 have to come back: a crowded machine may lose some."""
ALONE = 3.0
"""How much stronger than any other a tone is where nothing else is to be heard."""
BLURRED = 0
"""A window with a gap in it, or with two tones."""
SILENCE_S = 1.0
GIVE_UP_S = 60.0
BUSY_PERCENT = 80.0
FEWEST_TALKING, MOST_TALKING = 2, 8
PLENTY: dict[str, Any] = {
    **dict.fromkeys(("MAX_CONCURRENT_CALLS", "AGENT_MAX_CALLS"), str(DIALOGS + 2)),
    "SIP_MEDIA_PROCESSES": "2",
    "SIP_MEDIA_MAX_CALLS": str(DIALOGS // 2 + 1),
    "SIP_MEDIA_TIMEOUT_S": "5",
    "CALL_STARTS_PER_S": "20",
}
QUESTIONS = {
    "When are you open?": "nine in the morning",
    "Where can I park my car?": "behind the building",
    "How much is a ticket?": "twelve dollars",
}
CLERK: dict[str, Any] = {
    "no_response_seconds": 300,
    "dead_air_seconds": 300,
    "opening_message": "Hello, how can I help you?",
    "llm": {
        "provider": "rules",
        "rules": {
            "intents": [
                {"name": "hours", "phrases": ["when are you open"],
                 "say": "We open at nine in the morning."},
                {"name": "parking", "phrases": ["where can I park my car"],
                 "say": "There is a car park right behind the building."},
                {"name": "price", "phrases": ["how much is a ticket"],
                 "say": "A ticket is twelve dollars."},
            ],
        },
    },
}  # fmt: skip


@pytest_asyncio.fixture
async def phones() -> AsyncIterator[AsyncExitStack]:
    """Every phone of a test, put away at its end however it ends."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.mark.timeout(240)
async def test_twenty_callers_at_once_hear_themselves_and_nobody_else(
    tmp_path: Path, phones: AsyncExitStack
) -> None:
    async with running_platform(
        tmp_path / "fleet",
        sip=True,
        agent="bench.sip.echo_agent",
        ECHO_LOG=str(tmp_path / "echo.log"),
        **PLENTY,
    ) as platform:
        await give_number(platform, {"opening_message": "unsaid"})
        tones_hz = [400 + 100 * number for number in range(DIALOGS)]
        callers = await call_side_by_side(platform, phones, DIALOGS)
        for caller, tone_hz in zip(callers, tones_hz, strict=True):
            caller.audio.say(tone(tone_hz))
        await all_of(lambda c: c.audio.loud_packets >= LOUD_PACKETS, callers)
        vanished = callers[:VANISHING]
        for caller in vanished:
            await caller.audio.close()
        await asyncio.gather(*(caller.hang_up() for caller in callers[VANISHING:]))
        async with asyncio.timeout(GIVE_UP_S):
            await asyncio.gather(*(caller.is_over.wait() for caller in vanished))
        await asyncio.gather(*(caller.hang_up() for caller in vanished))
        results = await only_results(platform, callers)
        for caller in callers:
            expected = "media_timeout" if caller in vanished else "caller_hung_up"
            assert results[caller.call_id].reason == expected
        await nothing_is_left(platform)
    for caller, tone_hz in zip(callers, tones_hz, strict=True):
        heard = pitches(bytes(caller.audio.heard), tones_hz)
        assert heard.keys() <= {tone_hz, BLURRED}, f"{caller.name} ({tone_hz} Hz): {heard}"
        assert heard[tone_hz] > heard[BLURRED], f"{caller.name} ({tone_hz} Hz): {heard}"


@pytest.mark.timeout(240)
async def test_as_many_conversations_as_the_machine_holds(
    tmp_path: Path, phones: AsyncExitStack
) -> None:
    async with running_platform(tmp_path / "fleet", sip=True, **PLENTY) as platform:
        await give_number(platform, CLERK)
        said = {question: platform.voice(question) for question in QUESTIONS}
        longest_s = max(map(len, said.values())) / 2 / RATE_HZ
        farewell = platform.voice("That is all, thank you. Goodbye.")
        callers = await call_until_busy(platform, phones)
        print(f"{len(callers)} conversations at once")  # noqa: T201 (it is the machine that says)
        await all_heard_since(0.0, callers)
        asked = list(islice(cycle(QUESTIONS), len(callers)))
        for caller, question in zip(callers, asked, strict=True):
            caller.audio.say(said[question])
        await all_heard_since(time.monotonic() + longest_s, callers)
        polite = callers[::2]
        for caller in polite:
            caller.audio.say(farewell)
        async with asyncio.timeout(GIVE_UP_S):
            await asyncio.gather(*(caller.is_over.wait() for caller in polite))
        await asyncio.gather(*(caller.hang_up() for caller in callers))
        results = await only_results(platform, callers)
        await nothing_is_left(platform)
    for caller, question in zip(callers, asked, strict=True):
        told = results[caller.call_id]
        assert told.reason == ("bot_ended" if caller in polite else "caller_hung_up")
        words = await words_in(bytes(caller.audio.heard))
        assert hears("how can I help you", words), words
        answers = {phrase for phrase in QUESTIONS.values() if hears(phrase, words)}
        assert answers == {QUESTIONS[question]}, words
        lines = [
            each["text"] for each in told.result["transcript"] if each["speaker"] == "customer"
        ]
        assert hears(question.lower().strip("?"), " ".join(lines)), lines


async def give_number(platform: Platform, config: dict[str, Any]) -> None:
    """Let the bot that is configured so answer `NUMBER`."""
    await platform.save_bot(NUMBER, config)
    body = {"number": NUMBER, "bot_id": NUMBER}
    answer = await platform.api.post("/api/v1/numbers", json=body)
    assert answer.is_success, answer.text


async def call_side_by_side(
    platform: Platform, phones: AsyncExitStack, count: int
) -> list[SipCaller]:
    """Place calls; return them once all are up."""
    turns = asyncio.Semaphore(AT_A_TIME)

    async def place(number: int) -> SipCaller:
        async with turns:
            return await call(platform, phones, number)

    return await asyncio.gather(*(place(number) for number in range(count)))


async def call_until_busy(platform: Platform, phones: AsyncExitStack) -> list[SipCaller]:
    """Place one call after the other until the machine has enough to do; return them."""
    callers: list[SipCaller] = []
    psutil.cpu_percent()
    while len(callers) < MOST_TALKING:
        callers.append(await call(platform, phones, len(callers)))
        await all_of(lambda c: c.audio.heard_at > 0, callers)
        if psutil.cpu_percent() > BUSY_PERCENT and len(callers) >= FEWEST_TALKING:
            break
    return callers


async def call(platform: Platform, phones: AsyncExitStack, number: int) -> SipCaller:
    """Place a call and return it once it is answered."""
    assert platform.fleet.sip_port is not None
    target = ("127.0.0.1", platform.fleet.sip_port)
    caller = SipCaller(target, NUMBER, f"caller{number}")
    phones.push_async_callback(caller.close)
    await caller.call()
    assert caller.invited_at < caller.rang_at < caller.answered_at
    return caller


async def all_of(so: Callable[[SipCaller], bool], callers: Iterable[SipCaller]) -> None:
    """Wait until something is so of every caller."""

    async def is_so() -> bool:
        return all(so(caller) for caller in callers)

    await until(is_so, GIVE_UP_S)


async def all_heard_since(since: float, callers: list[SipCaller]) -> None:
    """Wait until every caller has heard something after `since`, and then nothing for a while."""

    def is_done(caller: SipCaller) -> bool:
        return since < caller.audio.audible_at < time.monotonic() - SILENCE_S

    await all_of(is_done, callers)


@dataclass(frozen=True, slots=True)
class Told:
    """How a call ended by the ledger, and its result as it was delivered."""

    reason: str
    result: dict[str, Any]


async def only_results(platform: Platform, callers: list[SipCaller]) -> dict[str, Told]:
    """Wait for every call's one result; return what was told, by SIP's Call-ID."""
    async with asyncio.timeout(GIVE_UP_S):
        results = [await platform.receiver.result() for _ in callers]
    by_session = {result["session_id"]: result for result in results}
    calls = (await platform.api.get("/api/v1/calls", params={"limit": "200"})).json()["calls"]
    assert {call["stream_id"] for call in calls} == {caller.call_id for caller in callers}
    assert by_session.keys() == {call["session_id"] for call in calls}
    deliveries = (await platform.api.get("/api/v1/deliveries", params={"limit": "200"})).json()
    assert len(deliveries["deliveries"]) == len(calls) == len(callers)
    return {
        call["stream_id"]: Told(call["reason"], by_session[call["session_id"]]) for call in calls
    }


async def nothing_is_left(platform: Platform) -> None:
    """Wait until no room, no call, no dialog and no media port is taken any more."""
    dialogs = Path(platform.fleet.environ["SIP_STATE_DIR"]) / "dialogs"
    metrics = f"http://127.0.0.1:{platform.fleet.sip_health_port}/metrics"

    async def is_free() -> bool:
        fleet = (await platform.api.get("/health/fleet")).json()
        figures = (await platform.api.get(metrics)).text.splitlines()
        return (
            not await platform.rooms()
            and not fleet["fleet_calls"]
            and "sip_calls 0.0" in figures
            and not list(dialogs.iterdir())
            and not media_ports(platform)
        )

    await until(is_free, GIVE_UP_S)


def media_ports(platform: Platform) -> list[int]:
    """Return the UDP ports that are open in media processes."""
    _, *media = platform.processes("bridges.sip")
    return [each.laddr.port for process in media for each in process.net_connections("udp")]


def tone(pitch_hz: int) -> bytes:
    """Return a tone, PCM16."""
    times = np.arange(round(TONE_S * RATE_HZ)) / RATE_HZ
    wave = TONE_PEAK * np.sin(2 * np.pi * pitch_hz * times)
    return wave.astype("<i2").tobytes()


def pitches(pcm: bytes, tones_hz: list[int]) -> Counter[int]:
    """Return in how many windows with any sound each tone is heard alone; `BLURRED`: none is."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(float)
    windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
    loud = windows[np.abs(windows).max(axis=1) > LOUD]
    times = np.arange(WINDOW) / RATE_HZ
    waves = np.exp(-2j * np.pi * np.outer(tones_hz, times)) * np.hanning(WINDOW)
    strengths = np.abs(loud @ waves.T)
    second, first = np.sort(strengths, axis=1)[:, -2:].T
    alone = first > ALONE * second
    heard = Counter(tones_hz[at] for at in strengths[alone].argmax(axis=1))
    return heard + Counter({BLURRED: int((~alone).sum())})
