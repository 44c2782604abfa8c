"""Calls that we place for a model that hears and speaks by itself."""

from __future__ import annotations

import asyncio
from typing import Any

from contracts.ids import Channel
from contracts.outcome import Reason
from tests.agent.test_conversation_realtime import RealtimeCall, calling
from tests.fakes.greetings import sound
from tests.fakes.spoken_call import GREETING
from tests.fakes.virtual_time import virtual_time

MESSAGE = "Please call us back on Monday."
PLACED: dict[str, Any] = {
    "channel": Channel.DIALOUT,
    "call_direction": "outgoing",
    "voicemail_message": MESSAGE,
}


async def greets(call: RealtimeCall, greeting: str, words: str) -> None:
    """Let somebody say a greeting, after 0.4 s of silence."""
    pcm, ends_s = sound(f"{{0.4}}{greeting}", 0.0)
    call.room.mouth += pcm
    await asyncio.sleep(0.4)
    await call.speak(words, voice_s=ends_s - 0.4)


@virtual_time
async def test_person_is_opened_to_and_then_answered_by_the_model() -> None:
    async with calling("We are open daily.", **PLACED) as call:
        await greets(call, "Hello?", "Hello?")
        await call.lines(2)
        assert call.transcript() == [("customer", "Hello?"), ("bot", GREETING)]
        assert call.model.asked == []
        await asyncio.sleep(1)
        await call.speak("When are you open?")
        await call.lines(4)
        assert call.model.asked == ["When are you open?"]


@virtual_time
async def test_mailbox_gets_the_message_and_the_model_is_asked_nothing() -> None:
    words = "Please leave a message after the tone."
    async with calling("I see.", **PLACED) as call:
        await greets(call, f"{words} {{0.6}}{{1000Hz 0.4}}", words)
        assert (await call.ended()).reason is Reason.VOICEMAIL
        assert call.said("bot") == [MESSAGE]
        assert call.model.asked == []


@virtual_time
async def test_mailbox_that_spoke_after_the_opening_gets_the_message_too() -> None:
    words = "Please leave a message after the tone."
    async with calling("I see.", **PLACED) as call:
        await asyncio.sleep(1.2)
        await greets(call, words, words)
        assert (await call.ended()).reason is Reason.VOICEMAIL
        assert call.said("bot")[-1] == MESSAGE
        assert call.model.asked == []


@virtual_time
async def test_call_that_is_hung_up_while_the_model_s_machine_is_waited_for_is_over_soon() -> None:
    async with calling(("", "detected_voicemail", ""), **PLACED) as call:
        await greets(call, "Hello?", "Hello?")
        await call.lines(2)
        await call.speak("You have dialled the house of the Smiths.")
        await call.until(lambda: bool(call.notices("machine_detected")))
        await asyncio.sleep(0.5)
        hung_up_at = call.now()
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        await call.ended()
        assert call.now() - hung_up_at < 2.0
