"""Gemini Live through its plug-in: what is on the wire, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from livekit.agents import llm

from agent.vendor.gemini_live import gemini_live
from tests.agent.vendor.gemini_talk import fields, return_from, talking, write
from tests.agent.vendor.proof import AS_GIVEN, Proof, Unsent, in_header, in_message, in_path
from tests.agent.vendor.realtime_talk import ANSWER, WORDS, Talk, eventually, script, steps
from tests.fakes.vendors.script import Reply, ToolCall, Vendor
from tests.fakes.vendors.server import VendorServer

pytestmark = pytest.mark.filterwarnings(
    # The plug-in's own way to set it.
    "ignore:Setting `LiveConnectConfig.generation_config` is deprecated:DeprecationWarning"
)


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    async with VendorServer(script()) as running:
        yield running


VENDORS_TURNS = {"turn": {"detector": "stt"}}
"""With this Gemini judges turns itself, and writes the caller's words."""

PROOFS = [
    Proof("google", "realtime.api_key", "g-2", *in_header("x-goog-api-key", "g-2")),
    Proof(
        "google",
        "realtime.base_url",
        AS_GIVEN,
        *in_path("/ws/google.ai.generativelanguage.v1.GenerativeService.BidiGenerateContent"),
    ),
    Proof(
        "google",
        "realtime.model",
        "gemini-live-x",
        *in_message("setup.model", "models/gemini-live-x"),
    ),
    Proof(
        "google",
        "realtime.voice",
        "Kore",
        *in_message(
            "setup.generationConfig.speechConfig.voiceConfig.prebuiltVoiceConfig.voiceName", "Kore"
        ),
    ),
    Proof(
        "google",
        "realtime.language",
        "hi-IN",
        *in_message("setup.generationConfig.speechConfig.languageCode", "hi-IN"),
    ),
    Proof(
        "google",
        "realtime.extra.turn_detection",
        {"end_of_speech_sensitivity": "low", "silence_duration_ms": 300},
        *in_message(
            "setup.realtimeInputConfig.automaticActivityDetection",
            {
                "disabled": False,
                "endOfSpeechSensitivity": "END_SENSITIVITY_LOW",
                "silenceDurationMs": 300,
            },
        ),
        beside=VENDORS_TURNS,
    ),
    *(
        Proof("google", f"realtime.{name}", value, *in_message(f"setup.{path}", sent))
        for name, value, path, sent in (
            ("temperature", 0.4, "generationConfig.temperature", 0.4),
            ("extra.top_p", 0.9, "generationConfig.topP", 0.9),
            ("extra.top_k", 40, "generationConfig.topK", 40),
            ("extra.presence_penalty", 0.5, "generationConfig.presencePenalty", 0.5),
            ("extra.frequency_penalty", 0.5, "generationConfig.frequencyPenalty", 0.5),
            ("extra.max_output_tokens", 300, "generationConfig.maxOutputTokens", 300),
            (
                "extra.thinking_budget",
                128,
                "generationConfig.thinkingConfig",
                {"thinkingBudget": 128},
            ),
            (
                "extra.enable_affective_dialog",
                True,
                "generationConfig.enableAffectiveDialog",
                True,
            ),
            ("extra.proactivity", True, "proactivity", {"proactiveAudio": True}),
            ("extra.compress_context", True, "contextWindowCompression", {"slidingWindow": {}}),
            ("extra.compress_context", False, "contextWindowCompression", None),
        )
    ),
]
UNSENT = [
    Unsent("google", "realtime.opening", "who says the first line is decided here"),
    Unsent("google", "realtime.answer_s", "the agent waits by its own clock"),
]


@pytest.mark.parametrize("proof", PROOFS, ids=str)
async def test_field_is_on_the_wire(vendors: VendorServer, proof: Proof) -> None:
    config = proof.bot({"realtime": fields(vendors)})
    assert config.realtime is not None
    judges_turns = config.turn.detector == "stt"
    talk = Talk(gemini_live(config.realtime, judges_turns=judges_turns))
    await eventually(lambda: any(r.messages for r in vendors.journal.of(Vendor.REALTIME)))
    await talk.aclose()
    request = vendors.journal.of(Vendor.REALTIME)[-1]
    assert proof.holds(request), request


async def test_caller_s_turn_alone_is_sent_and_answered(vendors: VendorServer) -> None:
    async with talking(vendors) as talk:
        talk.silence(5.0)
        answer = await talk.ask()
        assert answer.text == ANSWER
        assert answer.audio_s == pytest.approx(len(ANSWER) / 15, abs=0.2)
        # Half of full scale less a third: nothing was clipped.
        assert 7_900 <= answer.loudest <= 8_100
        [committed] = steps(vendors, "committed")
        # The turn's 0.6 s and 0.4 s before it, less what the resampler still holds.
        assert 0.8 <= committed["audio_s"] <= 1.0
        # The end of the activity asks: nothing asks again in writing.
        [request] = vendors.journal.of(Vendor.REALTIME)
        assert [list(message) for message in request.messages] == [["setup"]]
        assert len(steps(vendors, "asked")) == 1
        assert [(item.role, item.text_content) for item in talk.session.chat_ctx.messages()] == [
            ("user", WORDS),
            ("assistant", ANSWER),
        ]
        talk.silence(5.0)
        assert request.audio_bytes <= 32_000


async def test_voice_over_the_bot_is_held_until_it_is_a_turn(vendors: VendorServer) -> None:
    is_heard = True
    async with talking(vendors, is_bot_heard=lambda: is_heard) as talk:
        talk.voice(0.5)
        talk.model.forget_voice()
        talk.voice(0.6)
        assert talk.session._msg_ch.empty()
        talk.take_up(WORDS)
        await talk.answer()
        assert [step["what"] for step in vendors.journal.steps[:3]] == [
            "activity_start",
            "activity_end",
            "committed",
        ]
        # What was said before, and was no turn, is not in it.
        assert steps(vendors, "committed")[0]["audio_s"] <= 1.0


async def test_interruption_stops_gemini(vendors: VendorServer) -> None:
    vendors.script.replies = [Reply(text="A long story. " * 20)]
    vendors.script.realtime_speed = 2
    is_heard = False
    async with talking(vendors, is_bot_heard=lambda: is_heard) as talk:
        talk.voice()
        talk.take_up(WORDS)
        await talk.session.generate_reply()
        is_heard = True
        talk.voice(0.5)
        assert steps(vendors, "cancelled") == []
        talk.session.interrupt()
        await eventually(lambda: bool(steps(vendors, "cancelled")))


@pytest.mark.parametrize("noise_s", [0.0, 0.3])
async def test_what_is_written_over_the_bot_is_asked_once(
    vendors: VendorServer, noise_s: float
) -> None:
    vendors.script.replies = [
        Reply(when="pressed 1", text="Sales."),
        Reply(text="A long story. " * 20),
    ]
    vendors.script.realtime_speed = 2
    async with talking(vendors) as talk:
        if noise_s:
            talk.voice(noise_s)
            talk.model.forget_voice()
            vendors.script.transcripts = ["pressed 1, in a noise"]
        else:
            talk.voice()
            talk.take_up(WORDS)
            await talk.session.generate_reply()
        before = len(steps(vendors, "asked"))
        talk.session.interrupt()
        await write(talk, "[pressed 1]")
        assert (await talk.answer()).text == "Sales."
        assert len(steps(vendors, "asked")) == before + 1
        [request] = vendors.journal.of(Vendor.REALTIME)
        assert str(request.messages).count("[pressed 1]") == 1


async def test_noise_while_a_tool_works_does_not_take_its_call_back(vendors: VendorServer) -> None:
    vendors.script.replies = [
        Reply(when="Monday, 10", text="At ten."),
        Reply(tool_calls=[ToolCall(name="find_slot")]),
    ]
    async with talking(vendors) as talk:
        [call] = (await talk.ask()).calls
        talk.voice(0.3)
        talk.model.forget_voice()
        await return_from(talk, call)
        assert talk.model.owes_answer
        assert (await talk.next_answer()).text == "At ten."
        assert len(steps(vendors, "activity_start")) == 1


async def test_tool_is_called_and_gemini_goes_on_by_itself(vendors: VendorServer) -> None:
    vendors.script.replies = [
        Reply(when="Monday, 10", text="At ten."),
        Reply(tool_calls=[ToolCall(name="find_slot", arguments={"day": "Monday"})]),
    ]
    async with talking(vendors) as talk:
        [call] = (await talk.ask()).calls
        assert (call.name, call.arguments) == ("find_slot", '{"day": "Monday"}')
        await return_from(talk, call)
        assert (await talk.next_answer()).text == "At ten."


async def test_noise_while_gemini_thinks_does_not_stop_it(vendors: VendorServer) -> None:
    vendors.script.realtime_first_audio_ms = 300
    async with talking(vendors, answer_s=1) as talk:
        asking = asyncio.create_task(talk.ask())
        await eventually(lambda: bool(steps(vendors, "asked")))
        talk.voice(0.2)
        talk.model.forget_voice()
        assert (await asking).text == ANSWER
        assert len(steps(vendors, "activity_start")) == 1


async def test_words_while_gemini_thinks_are_a_turn(vendors: VendorServer) -> None:
    vendors.script.realtime_first_audio_ms = 300
    async with talking(vendors) as talk:
        asking = asyncio.create_task(talk.ask())
        await eventually(lambda: bool(steps(vendors, "asked")))
        talk.voice(0.8)
        asking.cancel()
        talk.take_up("And on Tuesday?")
        assert (await talk.answer()).text == ANSWER
        [_, second] = steps(vendors, "committed")
        assert second["audio_s"] > 0.7


async def test_greeting_can_be_the_model_s(vendors: VendorServer) -> None:
    vendors.script.replies = [Reply(when="exactly this.*Good morning", text="Good morning.")]
    async with talking(vendors) as talk:
        answer = await talk.answer(instructions="Say exactly this: Good morning.")
        assert answer.text == "Good morning."


async def test_vendor_may_judge_turns_itself(vendors: VendorServer) -> None:
    async with talking(vendors, judges_turns=True) as talk:
        heard: list[str] = []
        talk.session.on(
            "input_audio_transcription_completed",
            lambda event: heard.append(event.transcript) if event.is_final else None,
        )
        talk.voice(0.6)
        talk.silence(1.0)
        assert (await talk.next_answer()).text == ANSWER
        await eventually(lambda: heard == [WORDS])
        assert steps(vendors, "activity_start") == []


async def test_history_is_told_before_the_first_turn(vendors: VendorServer) -> None:
    history = llm.ChatContext.empty()
    history.add_message(role="user", content="I am Asha.")
    history.add_message(role="assistant", content="Good morning, Asha.")
    async with talking(vendors) as talk:
        await talk.session.update_chat_ctx(history)
        await talk.ask()
        [request] = vendors.journal.of(Vendor.REALTIME)
        turns = request.messages[1]["clientContent"]["turns"]
        assert [turn["parts"][0]["text"] for turn in turns] == ["I am Asha.", "Good morning, Asha."]
