"""A conversation whose model hears and speaks by itself: all else is as in every other one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from contracts.command import HangUp, Transfer
from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.report import ToolCalled, TurnMeasured, UsageCounted
from tests.fakes.engines import Kind, event
from tests.fakes.realtime import RealtimeEngines, Said
from tests.fakes.spoken_call import GREETING, Call, running
from tests.fakes.virtual_time import virtual_time

STORY = "This is a long story that goes on and on, " * 10
REALTIME = {"provider": "openai", "api_key": "key"}


class RealtimeCall(Call):
    """A call, its caller's mouth, and its model."""

    def __init__(self, scripted: RealtimeEngines, **config: Any) -> None:
        super().__init__(
            scripted,
            **{
                "runtime_mode": "realtime",
                "realtime": REALTIME,
                "turn": {"detector": "vad", "min_delay_s": 0.1, "max_delay_s": 0.1},
                **config,
            },
        )
        self.model = scripted.model
        assert scripted.vad is not None
        self.vad = scripted.vad

    async def speak(self, text: str, voice_s: float = 1.0) -> None:
        """Let the caller say something."""
        self.vad.begin()
        await asyncio.sleep(voice_s)
        self.caller.script.put_nowait(event(Kind.INTERIM_TRANSCRIPT, text))
        self.vad.end()
        await asyncio.sleep(0.1)
        self.caller.script.put_nowait(event(Kind.FINAL_TRANSCRIPT, text))


@asynccontextmanager
async def calling(
    *replies: Said, answer: bool = True, **config: Any
) -> AsyncIterator[RealtimeCall]:
    call = RealtimeCall(RealtimeEngines(*replies), **config)
    async with running(call, answer):
        yield call


@virtual_time
async def test_nothing_is_said_or_asked_before_the_answer() -> None:
    async with calling(answer=False) as call:
        await asyncio.sleep(20)
        assert (call.room.packets, call.facts, call.model.asked) == ([], [], [])
        assert call.model.heard_s == 0.0
        call.room.answer()
        call.answered.set()
        await call.lines(1)
        assert call.transcript() == [("bot", GREETING)]
        assert call.types()[0] == "conversation_started"
        assert call.model.asked == []


@virtual_time
async def test_greeting_is_in_the_model_s_history() -> None:
    async with calling() as call:
        await call.lines(1)
        await call.until(lambda: call.model.history == [GREETING])


@virtual_time
async def test_model_greets_where_the_bot_wants_it_to() -> None:
    realtime = {**REALTIME, "opening": "model"}
    async with calling(GREETING, realtime=realtime) as call:
        await call.lines(1)
        assert call.transcript() == [("bot", GREETING)]
        [order] = call.model.asked
        assert order.endswith(GREETING)


@virtual_time
async def test_caller_is_answered_and_facts_stand_in_order() -> None:
    async with calling("We are open daily.") as call:
        await call.lines(1)
        await call.speak("When are you open?")
        await call.lines(3)
        assert call.transcript()[1:] == [
            ("customer", "When are you open?"),
            ("bot", "We are open daily."),
        ]
        assert call.model.asked == ["When are you open?"]


@virtual_time
async def test_answer_is_measured() -> None:
    async with calling("We are open daily.") as call:
        await call.lines(1)
        await call.speak("When are you open?")
        await call.lines(3)
        [turn] = [fact for fact in call.facts if isinstance(fact, TurnMeasured)]
        assert turn.llm_ttft_ms is not None
        # What the model took to think, and the frames it came in.
        assert 350 <= turn.llm_ttft_ms <= 600


@virtual_time
async def test_words_that_do_not_interrupt_let_the_bot_go_on() -> None:
    async with calling(STORY, "Never asked for.") as call:
        await call.lines(1)
        await call.speak("Tell me a story")
        await asyncio.sleep(4)
        await call.speak("hmm", voice_s=0.3)
        await call.until(lambda: len(call.said("bot")) == 2)
        assert call.said("bot")[1] == STORY.strip()
        assert call.model.forgotten == 1
        assert call.model.truncated_ms == []
        assert len(call.model.asked) == 1
        assert call.said("customer") == ["Tell me a story", "hmm"]


@virtual_time
async def test_words_after_a_listening_noise_are_heard_whole() -> None:
    async with calling(STORY, "All right.") as call:
        await call.lines(1)
        await call.speak("Tell me a story")
        await asyncio.sleep(4)
        call.vad.begin()
        await asyncio.sleep(0.5)
        call.caller.script.put_nowait(event(Kind.FINAL_TRANSCRIPT, "hmm"))
        await asyncio.sleep(0.2)
        await call.speak("please stop, I want something else")
        await call.until(lambda: call.said("bot")[-1] == "All right.")
        assert call.model.forgotten == 0


@virtual_time
async def test_voice_pauses_the_bot_at_once_and_words_cut_it_off_where_it_was_heard() -> None:
    async with calling(STORY, "All right.") as call:
        await call.lines(1)
        await call.speak("Tell me a story")
        await asyncio.sleep(5)
        assert call.room.is_playing
        call.vad.begin()
        await asyncio.sleep(0.3)
        assert not call.room.is_playing
        await call.speak("Stop it, I want something else")
        await call.lines(5)
        told, heard_ms = call.said("bot")[1], call.model.truncated_ms[0]
        assert 0 < len(told) < len(STORY) / 2
        assert STORY.startswith(told)
        # What the vendor is told is what the transcript says.
        assert abs(heard_ms - 1000 * len(told) / 20) < 500
        assert call.said("bot")[2] == "All right."


@virtual_time
async def test_model_is_ordered_into_the_caller_s_language() -> None:
    language = {"mode": "switch", "languages": ["en", "hi"]}
    async with calling(manners={"language": language}) as call:
        await call.lines(1)
        await call.speak("मुझे हिंदी में बात करनी है")
        await call.lines(3)
        [order] = call.model.orders
        assert "Hindi" in order


@virtual_time
async def test_goodbye_is_heard_before_the_hang_up() -> None:
    async with calling(("Goodbye, and thank you.", "end_call", "")) as call:
        await call.lines(1)
        await call.speak("That is all")
        ending = await call.ended()
        assert ending.reason is Reason.BOT_ENDED
        assert call.said("bot")[-1] == "Goodbye, and thank you."
        assert call.room.commands == [HangUp()]
        assert call.types()[-1] == "usage_counted"


@virtual_time
async def test_caller_is_transferred_after_the_fixed_line() -> None:
    async with calling(
        ("One moment.", "transfer_call", '{"reason": "billing"}'),
        transfer_numbers={"billing": "+4989123"},
        pre_transfer_message="I will put you through.",
    ) as call:
        await call.lines(1)
        await call.speak("A human please")
        await call.until(lambda: bool(call.room.commands))
        [command] = call.room.commands
        assert isinstance(command, Transfer)
        assert call.said("bot")[1:] == ["One moment.", "I will put you through."]


@virtual_time
async def test_machine_is_left_the_bot_s_message() -> None:
    async with calling(("", "detected_voicemail", ""), voicemail_message="Call us.") as call:
        await call.lines(1)
        await call.speak("Leave a message after the tone")
        ending = await call.ended()
        assert ending.reason is Reason.VOICEMAIL
        assert call.said("bot")[-1] == "Call us."


@virtual_time
async def test_model_is_told_why_a_tool_failed() -> None:
    numbers = {"billing": "+4989123"}
    reply: Said = ("", "transfer_call", '{"target": "nobody"}')
    async with calling(reply, "I cannot do that.", transfer_numbers=numbers) as call:
        await call.lines(1)
        await call.speak("Put me through to nobody")
        await call.until(lambda: call.said("bot")[-1] == "I cannot do that.")
        assert "nobody" in call.model.asked[1]
        [called] = [fact for fact in call.facts if isinstance(fact, ToolCalled)]
        assert called.name == "transfer_call"
        assert "nobody" in str(called.error)


@virtual_time
async def test_keys_are_answered() -> None:
    async with calling("You pressed one.", channel=Channel.SIP) as call:
        await call.lines(1)
        call.room.press("1#")
        await call.until(lambda: call.said("bot")[-1] == "You pressed one.")


@virtual_time
async def test_silence_is_filled_and_ends_the_call() -> None:
    async with calling(
        re_engagement={"messages": ["Are you there?"], "after_seconds": 5}, no_response_seconds=7
    ) as call:
        ending = await call.ended()
        assert ending.reason is Reason.NO_RESPONSE
        assert call.said("bot") == [GREETING, "Are you there?"]


@virtual_time
async def test_longest_call_ends_with_the_closing_line() -> None:
    wait: Any = {"max_call_duration_seconds": 30, "no_response_seconds": 100}
    async with calling(closing_message="Time is up.", **wait) as call:
        ending = await call.ended()
        assert ending.reason is Reason.MAX_DURATION
        assert call.said("bot")[-1] == "Time is up."


@virtual_time
async def test_held_line_is_not_heard_and_cuts_the_bot() -> None:
    async with calling(STORY) as call:
        await call.lines(1)
        await call.speak("Tell me a story")
        await asyncio.sleep(3)
        call.room.hold()
        await call.lines(3)
        assert 0 < len(call.said("bot")[1]) < len(STORY) / 2
        heard_s = call.model.heard_s
        await asyncio.sleep(10)
        assert call.model.heard_s <= heard_s + 1.0
        call.room.hold(False)
        await call.speak("I am back")
        await call.until(lambda: call.model.asked[-1] == "I am back")


@virtual_time
async def test_last_words_are_in_the_transcript() -> None:
    async with calling("We are open daily.") as call:
        await call.lines(1)
        call.vad.begin()
        await asyncio.sleep(0.5)
        call.caller.script.put_nowait(event(Kind.INTERIM_TRANSCRIPT, "Please send"))
        await asyncio.sleep(0.1)
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        await asyncio.sleep(0.1)
        call.caller.script.put_nowait(event(Kind.FINAL_TRANSCRIPT, "Please send it by mail"))
        await call.ended()
        assert call.said("customer") == ["Please send it by mail"]


@virtual_time
async def test_lost_answer_is_asked_for_anew_and_too_many_end_the_call() -> None:
    async with calling("We are open daily.", "On Monday, too.") as call:
        await call.lines(1)
        call.model.is_silent = True
        await call.speak("When are you open?")
        await call.until(lambda: len(call.model.asked) == 1)
        call.model.is_silent = False
        assert call.model.follower is not None
        # As the plug-ins do it: what was asked is given up, and asked again.
        session = call.conversation._session
        assert session.current_speech is not None
        session.current_speech.interrupt(force=True)
        call.model.follower.ask_again(has_begun=False)
        await call.until(lambda: "We are open daily." in call.said("bot"))
        assert call.notices("realtime_asked_again")
        call.model.follower.ask_again(has_begun=True)
        call.model.follower.ask_again(has_begun=True)
        ending = await call.ended()
        assert ending.reason is Reason.PIPELINE_FAILED


@virtual_time
async def test_model_that_is_lost_ends_the_call() -> None:
    async with calling() as call:
        await call.lines(1)
        assert call.model.follower is not None
        call.model.follower.lost("OpenAiRealtime answered 401")
        ending = await call.ended()
        assert (ending.reason, ending.detail) == (
            Reason.PIPELINE_FAILED,
            "OpenAiRealtime answered 401",
        )


@virtual_time
async def test_usage_is_told() -> None:
    async with calling("We are open daily.") as call:
        await call.lines(1)
        call.conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
        await call.ended()
        assert isinstance(call.facts[-1], UsageCounted)
