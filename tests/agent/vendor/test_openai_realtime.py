"""OpenAI Realtime through its plug-in: what is on the wire, what comes back, and how it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from livekit.agents import llm, utils

from agent.vendor.openai_realtime import openai_realtime
from tests.agent.vendor.openai_talk import fields, talking
from tests.agent.vendor.proof import (
    AS_GIVEN,
    Proof,
    Unsent,
    in_header,
    in_message,
    in_path,
    in_query,
)
from tests.agent.vendor.realtime_talk import ANSWER, WORDS, Talk, eventually, script, steps
from tests.fakes.vendors.journal import Request
from tests.fakes.vendors.script import Reply, ToolCall, Vendor
from tests.fakes.vendors.server import VendorServer


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    async with utils.http_context.open(), VendorServer(script()) as running:
        yield running


def kinds(request: Request) -> list[str]:
    return [message["type"] for message in request.messages]


VENDORS_TURNS = {"turn": {"detector": "stt"}}
"""With this OpenAI judges turns itself, and writes the caller's words."""
_INPUT = "session.audio.input"

PROOFS = [
    Proof("openai", "realtime.api_key", "oa-2", *in_header("Authorization", "Bearer oa-2")),
    Proof("openai", "realtime.base_url", AS_GIVEN, *in_path("/v1/realtime")),
    Proof("openai", "realtime.model", "gpt-realtime-mini", *in_query("model", "gpt-realtime-mini")),
    Proof("openai", "realtime.voice", "cedar", *in_message("session.audio.output.voice", "cedar")),
    Proof(
        "openai",
        "realtime.language",
        "hi",
        *in_message(f"{_INPUT}.transcription.language", "hi"),
        beside=VENDORS_TURNS,
    ),
    Proof(
        "openai",
        "realtime.extra.input_audio_transcription",
        {"model": "whisper-1", "prompt": "Nova Dental"},
        *in_message(f"{_INPUT}.transcription", {"model": "whisper-1", "prompt": "Nova Dental"}),
        beside=VENDORS_TURNS,
    ),
    Proof(
        "openai",
        "realtime.extra.turn_detection",
        {"type": "server_vad", "silence_duration_ms": 300},
        *in_message(
            f"{_INPUT}.turn_detection",
            {
                "type": "server_vad",
                "silence_duration_ms": 300,
                "create_response": True,
                "interrupt_response": True,
            },
        ),
        beside=VENDORS_TURNS,
    ),
    Proof(
        "openai",
        "realtime.extra.turn_detection",
        {"type": "semantic_vad", "eagerness": "high"},
        *in_message(f"{_INPUT}.turn_detection.eagerness", "high"),
        beside=VENDORS_TURNS,
    ),
    *(
        Proof("openai", f"realtime.extra.{name}", value, *in_message(path, sent))
        for name, value, path, sent in (
            (
                "input_audio_noise_reduction",
                "far_field",
                f"{_INPUT}.noise_reduction",
                {"type": "far_field"},
            ),
            ("speed", 1.2, "session.audio.output.speed", 1.2),
            ("reasoning_effort", "low", "session.reasoning", {"effort": "low"}),
            ("truncation", "disabled", "session.truncation", "disabled"),
            ("tracing", "auto", "session.tracing", "auto"),
            ("max_output_tokens", 300, "session.max_output_tokens", 300),
        )
    ),
]
UNSENT = [
    Unsent("openai", "realtime.temperature", "refused, since OpenAI's realtime models take none"),
    Unsent("openai", "realtime.opening", "who says the first line is decided here"),
    Unsent("openai", "realtime.answer_s", "the agent waits by its own clock"),
    Unsent("openai", "realtime.extra.max_session_s", "the connection is made anew after it"),
]


@pytest.mark.parametrize("proof", PROOFS, ids=str)
async def test_field_is_on_the_wire(vendors: VendorServer, proof: Proof) -> None:
    config = proof.bot({"realtime": fields(vendors)})
    assert config.realtime is not None
    judges_turns = config.turn.detector == "stt"
    talk = Talk(openai_realtime(config.realtime, judges_turns=judges_turns))
    await eventually(lambda: any(r.messages for r in vendors.journal.of(Vendor.REALTIME)))
    await talk.aclose()
    [request] = vendors.journal.of(Vendor.REALTIME)
    assert proof.holds(request), request


async def test_turns_are_ours_and_nothing_is_transcribed_twice(vendors: VendorServer) -> None:
    async with talking(vendors) as talk:
        await talk.ask()
        [request] = vendors.journal.of(Vendor.REALTIME)
        heard = request.messages[0]["session"]["audio"]["input"]
        assert heard["turn_detection"] is None
        assert heard["transcription"] is None
        assert heard["format"] == {"rate": 24000, "type": "audio/pcm"}


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
        assert 0.85 <= committed["audio_s"] <= 1.0
        assert [(item.role, item.text_content) for item in talk.session.chat_ctx.messages()] == [
            ("user", WORDS),
            ("assistant", ANSWER),
        ]
        talk.silence(5.0)
        [request] = vendors.journal.of(Vendor.REALTIME)
        assert request.audio_bytes <= 48_000


async def test_words_that_were_no_turn_are_dropped(vendors: VendorServer) -> None:
    async with talking(vendors) as talk:
        talk.voice(2.0)
        talk.model.forget_voice()
        await talk.ask()
        [committed] = steps(vendors, "committed")
        assert committed["audio_s"] <= 1.0
        assert "input_audio_buffer.clear" in kinds(vendors.journal.of(Vendor.REALTIME)[0])


async def test_noise_does_not_leave_the_ear_open(vendors: VendorServer) -> None:
    async with talking(vendors) as talk:
        talk.voice(0.2)
        talk.silence(60.0)
        await talk.ask()
        [request] = vendors.journal.of(Vendor.REALTIME)
        # A dozen seconds went out, not a minute.
        assert request.audio_bytes <= 15 * 48_000


async def test_tool_is_called_and_its_result_told(vendors: VendorServer) -> None:
    vendors.script.replies = [
        Reply(when="Monday, 10", text="At ten."),
        Reply(tool_calls=[ToolCall(name="find_slot", arguments={"day": "Monday"})]),
    ]
    async with talking(vendors) as talk:
        [call] = (await talk.ask()).calls
        assert (call.name, call.arguments) == ("find_slot", '{"day": "Monday"}')
        history = talk.session.chat_ctx.copy()
        history.items.append(
            llm.FunctionCallOutput(
                call_id=call.call_id, name=call.name, output="Monday, 10", is_error=False
            )
        )
        await talk.session.update_chat_ctx(history)
        assert (await talk.answer()).text == "At ten."


async def test_order_is_for_one_answer_alone(vendors: VendorServer) -> None:
    async with talking(vendors) as talk:
        await talk.session.update_instructions("Be brief.")
        talk.voice()
        talk.take_up(WORDS, "Answer in Hindi.")
        await talk.answer()
        await talk.ask()
        [request] = vendors.journal.of(Vendor.REALTIME)
        asked = [m["response"] for m in request.messages if m["type"] == "response.create"]
        assert [each.get("instructions") for each in asked] == ["Be brief.\nAnswer in Hindi.", None]


async def test_line_is_cut_where_it_was_heard(vendors: VendorServer) -> None:
    async with talking(vendors) as talk:
        answer = await talk.ask()
        talk.session.truncate(
            message_id=answer.message_id, modalities=["audio", "text"], audio_end_ms=300
        )
        await eventually(lambda: bool(steps(vendors, "truncated")))
        assert steps(vendors, "truncated")[0]["at_ms"] == 300
        assert talk.errors == []


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
        assert heard == [WORDS]
        [request] = vendors.journal.of(Vendor.REALTIME)
        assert "response.create" not in kinds(request)


async def test_own_limit_comes_before_the_vendor_s(vendors: VendorServer) -> None:
    async with talking(vendors) as talk:
        assert talk.model._opts.max_session_duration == 3300
    async with talking(vendors, extra={"max_session_s": 600}) as talk:
        assert talk.model._opts.max_session_duration == 600


async def test_history_is_told_before_the_first_turn(vendors: VendorServer) -> None:
    async with talking(vendors) as talk:
        history = llm.ChatContext.empty()
        history.add_message(role="user", content="I am Asha.")
        history.add_message(role="assistant", content="Good morning, Asha.")
        await talk.session.update_chat_ctx(history)
        await talk.ask()
        [request] = vendors.journal.of(Vendor.REALTIME)
        told = [m["item"] for m in request.messages if m["type"] == "conversation.item.create"]
        assert [item["content"][0]["text"] for item in told] == [
            "I am Asha.",
            "Good morning, Asha.",
        ]
