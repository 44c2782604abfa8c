"""Calls that we place, in virtual time: who takes them, and what they hear."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from livekit.agents.voice.events import UserTranscriptionTimeoutEvent

from agent.machine.phase import is_wanted
from contracts.ids import Channel
from contracts.media import Speech
from contracts.outcome import Reason
from tests.fakes.engines import RATE_HZ, Kind, event
from tests.fakes.greetings import sound
from tests.fakes.placed_call import (
    LEAVE_A_MESSAGE,
    MESSAGE,
    ONSET_S,
    detected,
    greets,
    placing,
    speaks,
)
from tests.fakes.spoken_call import GREETING, calling, plan
from tests.fakes.virtual_time import virtual_time


@virtual_time
async def test_person_hears_the_opening_within_a_second_of_their_hello() -> None:
    async with placing() as call:
        said_at = await greets(call, "{0.4}Hello?", "Hello?")
        assert await speaks(call) - said_at < 0.8
        await call.lines(2)
        assert call.transcript() == [("customer", "Hello?"), ("bot", GREETING)]
        assert call.llm.asked == []
        [human] = call.notices("human_detected")
        assert human.detail["reason"] == "greeting"
        assert human.detail["after_ms"] > 1000


@virtual_time
async def test_person_is_answered_as_ever_after_the_opening() -> None:
    async with placing("On Monday.") as call:
        await greets(call, "{0.4}Hello?", "Hello?")
        await call.lines(2)
        call.caller.say("When is my booking?")
        await call.lines(4)
        assert call.llm.asked == ["When is my booking?"]
        assert call.said("bot") == [GREETING, "On Monday."]


@virtual_time
async def test_words_that_were_taken_are_not_missed_by_the_session() -> None:
    async with placing() as call:
        await greets(call, "{0.4}Hello?", "Hello?")
        await call.lines(1)
        missed = UserTranscriptionTimeoutEvent(speech_duration=0.6, vad_speech_started_at=0.0)
        call.conversation._session.emit("user_transcription_timeout", missed)
        assert "not_transcribed" not in call.noticed()
        await asyncio.sleep(6)
        call.conversation._session.emit("user_transcription_timeout", missed)
        assert "not_transcribed" in call.noticed()


@virtual_time
async def test_words_that_come_late_belong_to_the_greeting() -> None:
    async with placing() as call:
        pcm, ends_s = sound("{0.4}Hello?", 0.0)
        call.room.mouth += pcm
        await asyncio.sleep(ONSET_S)
        call.caller.begin()
        await asyncio.sleep(ends_s + 1.2)
        assert call.room.is_playing
        call.caller.final("Hello?")
        await call.lines(2)
        assert sorted(call.transcript()) == [("bot", GREETING), ("customer", "Hello?")]
        assert call.llm.asked == []


@virtual_time
async def test_words_that_come_late_may_still_be_a_machine_s() -> None:
    words = "The number you are calling is switched off."
    async with placing() as call:
        pcm, ends_s = sound(f"{{0.4}}{words}", 0.0)
        call.room.mouth += pcm
        assert await speaks(call) > ends_s + 0.5
        call.caller.say(words)
        ending = await call.ended()
        assert (ending.reason, ending.detail) == (Reason.VOICEMAIL, "unavailable")
        assert ("customer", words) in call.transcript()
        assert call.llm.asked == []


@virtual_time
async def test_whoever_says_nothing_is_spoken_to() -> None:
    async with placing() as call:
        assert 0.8 <= await speaks(call) <= 1.0


@virtual_time
async def test_silence_before_that_is_as_long_as_a_bot_wants() -> None:
    async with placing(machine_detection={"silence_s": 1.5}) as call:
        assert 1.4 <= await speaks(call) <= 1.7


@virtual_time
async def test_line_without_audio_is_spoken_to_all_the_same() -> None:
    settings: dict[str, Any] = {"channel": Channel.DIALOUT, "call_direction": "outgoing"}
    async with calling(answer=False, **settings) as call:
        call.answered.set()
        await call.until(lambda: bool(call.room.spoken_s()))
        assert 0.8 <= call.now() <= 1.3


@pytest.mark.parametrize(
    "config",
    [{"call_direction": "incoming"}, {"machine_detection": {"enabled": False}}],
    ids=["incoming", "switched off"],
)
def test_opening_waits_for_nothing_where_nobody_asks(config: dict[str, Any]) -> None:
    @virtual_time
    async def call_is_opened() -> None:
        async with placing(**config) as call:
            assert await speaks(call) < 0.2
            call.caller.say("Please leave a message after the tone.")
            await call.until(lambda: bool(call.llm.asked))

    call_is_opened()


@virtual_time
async def test_mailbox_gets_the_message_after_its_beep_and_nothing_before() -> None:
    async with placing() as call:
        greeting = f"{{0.5}}{LEAVE_A_MESSAGE} {{0.7}}{{1000Hz 0.5}}"
        beep_at = await greets(call, greeting, LEAVE_A_MESSAGE)
        assert not call.room.packets
        assert 0 < await speaks(call) - beep_at < 0.6
        ending = await call.ended()
        assert ending.reason is Reason.VOICEMAIL
        assert call.transcript() == [("customer", LEAVE_A_MESSAGE), ("bot", MESSAGE)]
        assert detected(call) == ("voicemail", "phrase")
        assert [notice.detail for notice in call.notices("voicemail_left")] == [{"after": "beep"}]
        assert call.llm.asked == []
        spoken = sum(len(p.pcm) for p in call.room.packets if isinstance(p, Speech)) / 2 / RATE_HZ
        assert spoken == pytest.approx(len(MESSAGE) / 20, abs=0.1)


@virtual_time
async def test_mailbox_without_a_beep_gets_it_after_a_pause() -> None:
    async with placing() as call:
        ended_at = await greets(call, f"{{0.5}}{LEAVE_A_MESSAGE}", LEAVE_A_MESSAGE)
        assert await speaks(call) - ended_at == pytest.approx(3.0, abs=0.3)
        assert (await call.ended()).reason is Reason.VOICEMAIL
        assert [notice.detail for notice in call.notices("voicemail_left")] == [{"after": "pause"}]


@pytest.mark.parametrize(
    "config",
    [{"voicemail_message": ""}, {"machine_detection": {"on_machine": "hang_up"}}],
    ids=["no message", "hang up"],
)
def test_mailbox_that_is_told_nothing_is_hung_up_on(config: dict[str, Any]) -> None:
    @virtual_time
    async def call_is_ended() -> None:
        async with placing(**config) as call:
            ended_at = await greets(call, f"{{0.5}}{LEAVE_A_MESSAGE}", LEAVE_A_MESSAGE)
            assert (await call.ended()).reason is Reason.VOICEMAIL
            assert call.now() - ended_at < 1.0
            assert not call.room.packets

    call_is_ended()


@virtual_time
async def test_machine_is_talked_to_as_a_person_where_that_is_wished() -> None:
    async with placing(machine_detection={"on_machine": "ignore"}) as call:
        await greets(call, f"{{0.5}}{LEAVE_A_MESSAGE}", LEAVE_A_MESSAGE)
        await call.lines(2)
        assert call.said("bot") == [GREETING]
        assert detected(call) == ("voicemail", "phrase")


@virtual_time
async def test_announcement_that_nobody_is_reachable_ends_the_call_as_voicemail() -> None:
    words = "The number you are calling is switched off."
    async with placing() as call:
        await greets(call, f"{{0.5}}{words}", words)
        ending = await call.ended()
        assert (ending.reason, ending.detail) == (Reason.VOICEMAIL, "unavailable")
        assert call.transcript() == [("customer", words)]
        assert not call.room.packets


@virtual_time
async def test_screening_service_is_told_who_calls_and_the_person_after_it_is_greeted() -> None:
    asked = "Please state your name and why you are calling."
    line = "This is Northwind Energy, about your contract."
    async with placing(machine_detection={"screening_message": line}) as call:
        await greets(call, f"{{0.5}}{asked}", asked)
        await call.until(lambda: call.said("bot") == [line])
        await asyncio.sleep(6)
        assert call.said("bot") == [line]
        said_at = await greets(call, "Hello?", "Hello?")
        assert await speaks(call) - said_at < 0.9
        await call.lines(4)
        assert call.transcript() == [
            ("customer", asked), ("bot", line), ("customer", "Hello?"), ("bot", GREETING),
        ]  # fmt: skip


@virtual_time
async def test_menu_is_left_to_a_bot_that_can_press_keys() -> None:
    words = "For billing, press one."
    settings = {"channel": Channel.DIALOUT, "send_digits_enabled": True}
    async with placing("Billing, please.", **settings) as call:
        await greets(call, f"{{0.5}}{words}", words)
        await call.lines(2)
        assert call.llm.asked == [words]
        assert call.said("bot") == ["Billing, please."]


@virtual_time
async def test_menu_is_the_end_for_a_bot_that_cannot() -> None:
    words = "For billing, press one."
    async with placing() as call:
        await greets(call, f"{{0.5}}{words}", words)
        assert (await call.ended()).detail == "menu"


@virtual_time
async def test_person_taken_for_a_machine_gets_the_bot_when_they_speak_again() -> None:
    words = "Anna is not here, leave a message with me."
    async with placing() as call:
        await greets(call, f"{{0.5}}{words}", words)
        await asyncio.sleep(1.2)
        assert detected(call)[0] == "voicemail"
        await greets(call, "Hello? Are you there?", "Hello? Are you there?")
        await call.until(lambda: GREETING in call.said("bot"))
        assert call.noticed().count("machine_taken_back") == 1
        assert MESSAGE not in call.said("bot")
        assert call.running is not None
        assert not call.running.done()


@virtual_time
async def test_person_who_speaks_into_the_message_stops_it_and_gets_the_bot() -> None:
    async with placing(voicemail_message=MESSAGE * 5) as call:
        await greets(call, f"{{0.5}}{LEAVE_A_MESSAGE}", LEAVE_A_MESSAGE)
        await speaks(call)
        await asyncio.sleep(1.0)
        await greets(call, "Hello, I'm here now.", "Hello, I'm here now.")
        await call.until(lambda: GREETING in call.said("bot"))
        first, second = call.said("bot")
        assert (MESSAGE * 5).startswith(first)
        assert len(first) < len(MESSAGE * 3)
        assert second == GREETING
        assert "voicemail_left" not in call.noticed()
        assert call.said("customer")[-1] == "Hello, I'm here now."


@virtual_time
async def test_mailbox_that_talks_on_is_waited_for_again() -> None:
    words = "Hi, this is Sarah. I cannot come to the phone."
    rest = "Please leave a message after the tone."
    async with placing(voicemail_message=MESSAGE * 3) as call:
        await greets(call, f"{{0.5}}{words}", words)
        await speaks(call)
        await asyncio.sleep(0.3)
        beep_at = await greets(call, f"{rest} {{0.8}}{{1000Hz 0.4}}", rest)
        assert await speaks(call) - beep_at < 0.8
        assert (await call.ended()).reason is Reason.VOICEMAIL
        assert call.said("bot")[-1] == MESSAGE * 3


@virtual_time
async def test_machine_that_was_taken_for_a_person_is_recognised_by_what_it_says_on() -> None:
    async with placing() as call:
        await greets(call, "{0.4}Hello?", "Hello?")
        await speaks(call)
        greeting = "No one is available. Please leave a message after the tone."
        beep_at = await greets(call, f"{{0.3}}{greeting} {{0.9}}{{1000Hz 0.5}}", greeting)
        assert (await call.ended()).reason is Reason.VOICEMAIL
        assert call.noticed().count("human_detected") == 1
        assert detected(call) == ("voicemail", "phrase")
        assert call.said("bot")[-1] == MESSAGE
        assert call.now() > beep_at
        assert call.llm.asked == []


@virtual_time
async def test_machine_is_recognised_by_a_final_alone_and_nobody_answers_what_came_before() -> None:
    async with placing("I see, go on.") as call:
        await greets(call, "{0.4}Hello?", "Hello?")
        await speaks(call)
        call.caller.begin()
        call.caller.script.put_nowait(event(Kind.FINAL_TRANSCRIPT, "No one is available."))
        await asyncio.sleep(0.05)
        call.caller.final("Please leave a message after the tone.")
        assert (await call.ended()).reason is Reason.VOICEMAIL
        assert call.said("bot")[-1] == MESSAGE
        assert "I see, go on." not in call.said("bot")
        assert call.said("customer")[-1] == "Please leave a message after the tone."


@virtual_time
async def test_model_s_own_word_leaves_the_message_when_it_can_be_heard() -> None:
    async with placing(("", "detected_voicemail", "")) as call:
        await greets(call, "{0.4}Hello?", "Hello?")
        await call.lines(2)
        asked_at = call.now()
        call.caller.say("You have dialled the house of the Smiths and nobody is in.")
        assert (await call.ended()).reason is Reason.VOICEMAIL
        assert detected(call) == ("voicemail", "tool")
        assert call.said("bot") == [GREETING, MESSAGE]
        assert call.now() - asked_at > 2.5


@virtual_time
async def test_model_s_word_is_taken_back_by_a_person() -> None:
    async with placing(("", "detected_voicemail", ""), "How can I help?") as call:
        await greets(call, "{0.4}Hello?", "Hello?")
        await call.lines(2)
        call.caller.say("You have dialled the house of the Smiths and nobody is in.")
        await call.until(lambda: bool(call.notices("machine_detected")))
        await asyncio.sleep(0.5)
        await greets(call, "Hello? Who is this?", "Hello? Who is this?")
        await call.until(lambda: "How can I help?" in call.said("bot"))
        assert MESSAGE not in call.said("bot")


@virtual_time
async def test_nobody_is_prompted_while_a_machine_is_waited_for() -> None:
    settings = {"re_engagement": {"messages": ["Are you there?"], "after_seconds": 1}}
    async with placing(machine_detection={"message_pause_s": 6}, **settings) as call:
        await greets(call, f"{{0.5}}{LEAVE_A_MESSAGE}", LEAVE_A_MESSAGE)
        assert (await call.ended()).reason is Reason.VOICEMAIL
        assert call.said("bot") == [MESSAGE]


@virtual_time
async def test_words_of_somebody_who_hangs_up_before_the_opening_are_told() -> None:
    async with placing() as call:
        await asyncio.sleep(0.3)
        call.caller.say("I am not interested.")
        await asyncio.sleep(0.05)
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        await call.ended()
        assert call.transcript() == [("customer", "I am not interested.")]


def test_detection_is_for_calls_that_we_placed_to_somebody_who_is_heard() -> None:
    placed = plan(Channel.DIALOUT, call_direction="outgoing")
    assert is_wanted(placed)
    assert not is_wanted(plan(Channel.DIALOUT))
    assert not is_wanted(plan(Channel.WEB, call_direction="outgoing"))
    assert not is_wanted(placed.model_copy(update={"text_only": True}))
    assert not is_wanted(placed.model_copy(update={"history": [object()]}))
    own = {"runtime_mode": "realtime", "realtime": {"api_key": "k"}, "turn": {"detector": "stt"}}
    assert not is_wanted(plan(Channel.DIALOUT, call_direction="outgoing", **own))
    off = {"machine_detection": {"enabled": False}}
    assert not is_wanted(plan(Channel.DIALOUT, call_direction="outgoing", **off))


@pytest.mark.parametrize(
    "channel", [Channel.WEBSOCKET, Channel.EXOTEL, Channel.SIP, Channel.ATTACH]
)
def test_call_that_somebody_else_placed_is_opened_at_once_unless_a_bot_asks(
    channel: Channel,
) -> None:
    assert not is_wanted(plan(channel, call_direction="outgoing"))
    asks: dict[str, Any] = {"machine_detection": {"enabled": True}}
    assert is_wanted(plan(channel, call_direction="outgoing", **asks))
    assert not is_wanted(plan(channel, **asks))
