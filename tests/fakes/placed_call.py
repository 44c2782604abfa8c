"""Calls that we place, in virtual time, and somebody who takes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from contracts.ids import Channel
from tests.fakes.greetings import sound
from tests.fakes.spoken_call import Call, calling

MESSAGE = "Please call us back on Monday."
LEAVE_A_MESSAGE = "Hi, this is Sarah. Please leave a message after the tone."
ONSET_S = 0.1
WORDS_AFTER_S = 0.3
"""How long the scripted recogniser takes for a final."""


@asynccontextmanager
async def placing(*replies: Any, **config: Any) -> AsyncIterator[Call]:
    """Place a call that is answered at once."""
    placed = {"channel": Channel.DIALOUT, "call_direction": "outgoing"}
    settings = {**placed, "voicemail_message": MESSAGE, **config}
    async with calling(*replies, **settings) as call:
        yield call


async def greets(call: Call, greeting: str, words: str) -> float:
    """Let somebody say a greeting to its end, a beep included; return when it ended."""
    pcm, ends_s = sound(greeting, 0.0)
    ends_at = call.now() + ends_s
    call.room.mouth += pcm
    await asyncio.sleep(ONSET_S)
    call.caller.begin()
    beep = greeting.rpartition("{")[2].partition("Hz ")[2].partition("}")[0]
    said_s = ends_s - (float(beep) + 0.5 if beep else 0.0)
    await asyncio.sleep(said_s / 2 - ONSET_S)
    call.caller.interim(words)
    await asyncio.sleep(said_s / 2 + WORDS_AFTER_S)
    call.caller.final(words)
    await asyncio.sleep(max(0.0, ends_at - call.now()))
    return ends_at


async def speaks(call: Call, timeout_s: float = 30.0) -> float:
    """Wait until the bot speaks; return when."""
    await call.until(lambda: call.room.is_playing, timeout_s)
    return call.now()


def detected(call: Call) -> tuple[str, str]:
    [machine] = call.notices("machine_detected")
    return machine.detail["class"], machine.detail["reason"]
