"""Real calls through the whole platform: what is heard both ways, and the result delivered."""

from __future__ import annotations

import asyncio
import io
import wave
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from bridges.audio.waveform import loud_spans
from bridges.phone import Phone
from contracts.result import CallResult
from tests.fakes.vendors.script import Reply, Vendor, VendorScript
from tests.fakes.vendors.server import VendorServer
from tests.integration.bots import TALKER
from tests.integration.listening import bot_starts, hears, words_in
from tests.integration.platform import Platform

PLACES = 4
"""What `running_platform` gives its worker and its bridge."""

RATE_HZ = 8000
RESUMED_WITHIN_S = 4.0
LOAD_TOLD_S = 3.0
"""By then the worker has told the server of its load, which nobody else gets to see."""

SORRY = "I am sorry to have bothered you."
PARTING = "Thank you and goodbye."
POLITE: dict[str, Any] = {
    **TALKER,
    "min_words_interruption": 8,
    "manners": {"closure": {"caller_enabled": True}},
    "closing_message": PARTING,
    "llm": {
        "provider": "rules",
        "rules": {
            "intents": [
                *TALKER["llm"]["rules"]["intents"],
                {"name": "wrong", "phrases": ["wrong number"], "say": SORRY},
            ],
            "flows": TALKER["llm"]["rules"]["flows"],
        },
    },
}
"""Stops for a wrong number, and takes a goodbye for one."""

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def platform(fleet: Platform) -> Platform:
    """A running fleet with a talkative bot and a polite one."""
    await fleet.save_bot("talker", TALKER)
    await fleet.save_bot("polite", POLITE)
    return fleet


def lines(result: dict[str, object], speaker: str) -> str:
    transcript = result["transcript"]
    assert isinstance(transcript, list)
    return " ".join(line["text"] for line in transcript if line["speaker"] == speaker).lower()


async def test_conversation_is_heard_both_ways_and_its_result_delivered(platform: Platform) -> None:
    question, farewell = (
        platform.voice("When are you open?"),
        platform.voice("That is all, thank you. Goodbye."),
    )
    fields = {"customer_name": "Rahul", "loan": {"number": 7}}
    async with Phone.call(
        platform.stream_url("talker"), stream_id="both-ways", ring_s=1.0, fields=fields
    ) as phone:
        greeting = await phone.hear()
        assert greeting is not None
        await phone.say(question)
        answer = await phone.hear()
        assert answer is not None
        await phone.say(farewell)
        assert await phone.wait_closed() == 1000
        heard, hung_up = phone.heard(), phone.hung_up
    result = await platform.result("both-ways")

    # On the wire: the greeting, the answer and the goodbye, in the bot's voice.
    assert hung_up == "Call ended by bot"
    words = await words_in(heard)
    for expected in ("information line", "monday to friday", "for calling goodbye"):
        assert hears(expected, words)

    # In the result: what each side said, as heard.
    CallResult.model_validate(result)
    assert list(result) == list(CallResult.model_fields)
    assert result["disconnected_by"] == "bot"
    assert hears("when are you open", lines(result, "customer"))
    assert "we are open from nine" in lines(result, "bot")
    assert result["connected_event"]["customer_name"] == "Rahul"
    assert [intent["name"] for intent in result["intents"]] == ["hours"]
    assert result["latency"]["turns"] == len(result["latency_samples"]) >= 2
    assert 5 < result["call_duration_seconds"] < 30
    timestamps = [line["timestamp"] for line in result["transcript"]]
    assert timestamps == sorted(timestamps)
    assert platform.receiver.refused == 0


async def test_recording_has_the_caller_on_the_left_and_the_bot_on_the_right(
    platform: Platform,
) -> None:
    question = platform.voice("When are you open?")
    async with Phone.call(platform.stream_url("talker"), stream_id="recorded") as phone:
        await phone.hear()
        await phone.say(question)
        await phone.hear()
        await phone.hang_up()
    result = await platform.result("recorded")
    assert result["disconnected_by"] == "customer"
    by_key = await platform.recording(f"/recordings/{result['recording_key']}")
    by_token = await platform.api.get(
        f"/api/v1/public/recordings/{result['recording_access_token']}",
        headers={"X-API-Key": "", "X-VoxCore-Secret": ""},
    )
    assert by_token.status_code == 200
    assert by_key.content == by_token.content
    part = await platform.api.get(
        f"/recordings/{result['recording_key']}", headers={"Range": "bytes=0-3"}
    )
    assert (part.status_code, part.content) == (206, b"RIFF")
    stranger = await platform.api.get(
        f"/recordings/{result['recording_key']}", headers={"X-VoxCore-Secret": "wrong"}
    )
    assert stranger.status_code == 403
    with wave.open(io.BytesIO(by_token.content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        both = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    assert abs(len(both) / 8000 - result["call_duration_seconds"]) < 1.0
    assert hears("when are you open", await words_in(both[:, 0].tobytes()))
    assert hears("information line", await words_in(both[:, 1].tobytes()))


async def test_words_over_the_bot_cut_it_off_and_noises_do_not(platform: Platform) -> None:
    question = platform.voice("When are you open?")
    noise, protest = platform.voice("Okay."), platform.voice("I would like to ask something else.")
    async with Phone.call(platform.stream_url("talker"), stream_id="barge-in") as phone:
        await phone.hear()
        await phone.say(question)
        began = await bot_starts(phone, after_s=phone.now_s)
        await asyncio.sleep(0.3)
        await phone.say(noise)
        noise_at = phone.caller_audio_segments()[-1]
        resumed = await bot_starts(phone, after_s=noise_at.end_s)
        await asyncio.sleep(0.5)
        await phone.say(protest)
        protest_at = phone.caller_audio_segments()[-1]
        await phone.hear()
        spans = phone.bot_audio_segments()
    result = await platform.result("barge-in")
    assert began < noise_at.start_s < resumed < protest_at.start_s
    # Both voices silenced the bot at once; after the noise it went on.
    for voice in (noise_at, protest_at):
        stopped = max(span.end_s for span in spans if span.start_s < voice.start_s)
        assert stopped - voice.start_s < 0.5
    names = [event["event"] for event in result["events"]]
    assert "backchannel" in names
    assert "resumed" in names
    cut = [line["text"] for line in result["transcript"] if line["speaker"] == "bot"][1]
    assert cut.startswith("We are open")
    assert "ten until two" not in cut
    assert hears("something else", lines(result, "customer"))


async def test_hello_leaves_the_opening_whole_a_wrong_number_stops_the_bot_and_bye_ends_it(
    platform: Platform,
) -> None:
    hello, question = platform.voice("Hello?"), platform.voice("When are you open?")
    wrong, goodbye = platform.voice("Wrong number."), platform.voice("Okay, goodbye.")
    async with Phone.call(platform.stream_url("polite"), stream_id="wrong-number") as phone:
        opened = await bot_starts(phone, after_s=0.0)
        await asyncio.sleep(0.4)
        await phone.say(hello)
        await phone.hear()
        await phone.say(question)
        await bot_starts(phone, after_s=phone.now_s)
        await asyncio.sleep(0.6)
        await phone.say(wrong)
        await phone.hear()
        await phone.say(goodbye)
        assert await phone.wait_closed() == 1000
        hello_at, _, wrong_at, _ = phone.caller_audio_segments()
        spans = phone.bot_audio_segments()
    result = await platform.result("wrong-number")
    # The opening went on under the hello, and nothing was made of it.
    assert opened < hello_at.start_s
    assert any(span.start_s < hello_at.start_s and span.end_s > hello_at.end_s for span in spans)
    said = [line["text"] for line in result["transcript"] if line["speaker"] == "bot"]
    assert said[0] == POLITE["opening_message"]
    assert [intent["name"] for intent in result["intents"]] == ["hours", "wrong"]
    # Two words stopped the answer, though the bot wants eight.
    stopped = max(span.end_s for span in spans if span.start_s < wrong_at.start_s)
    assert stopped - wrong_at.start_s < 0.5
    assert "ten until two" not in said[1]
    assert said[2].startswith(SORRY)
    assert said[3:] == [PARTING]
    assert result["disconnected_by"] == "bot"


async def test_long_wait_is_filled_and_the_filler_is_no_answer(platform: Platform) -> None:
    script = VendorScript(
        llm_first_token_ms=3000, replies=[Reply(text="It is on Monday at half past ten.")]
    )
    async with VendorServer(script) as vendors:
        brain = {"provider": "openai", "api_key": "any", "model": "gpt-4.1-mini"}
        slow = {**TALKER, "llm": {**brain, "base_url": vendors.openai}}
        await platform.save_bot("slow", slow)
        async with Phone.call(platform.stream_url("slow"), stream_id="slow") as phone:
            await phone.hear()
            await phone.say(platform.voice("When is my booking?"))
            asked_s = phone.caller_audio_segments()[-1].end_s
            filled_s = await bot_starts(phone, after_s=asked_s)
            await bot_starts(phone, after_s=asked_s + 2.8)
            await phone.hear()
            await phone.hang_up()
            heard = await words_in(phone.heard())
        result = await platform.result("slow")
        asked = [each.body["messages"] for each in vendors.journal.of(Vendor.LLM)]
    assert 1.0 < filled_s - asked_s < 2.2
    assert hears("one moment please", heard)
    assert hears("monday at half past ten", heard)
    assert [e["text"] for e in result["events"] if e["event"] == "filler"] == [
        "One moment, please."
    ]
    said = [line["text"] for line in result["transcript"] if line["speaker"] == "bot"]
    assert said[1:] == ["It is on Monday at half past ten."]
    assert "One moment" not in str(asked)


async def test_last_words_before_a_hang_up_reach_the_transcript(platform: Platform) -> None:
    words = platform.voice("Please call me back tomorrow.")
    async with Phone.call(platform.stream_url("talker"), stream_id="last-words") as phone:
        await phone.hear()
        await phone.say(words)
        await phone.hang_up()
    result = await platform.result("last-words")
    assert result["disconnected_by"] == "customer"
    assert hears("call me back tomorrow", lines(result, "customer"))


async def test_caller_that_answers_at_once_is_greeted(platform: Platform) -> None:
    async with Phone.call(platform.stream_url("talker"), stream_id="at-once", ring_s=0.0) as phone:
        assert await phone.hear() is not None
    result = await platform.result("at-once")
    assert "information line" in lines(result, "bot")


async def test_three_calls_at_once_give_three_results(platform: Platform) -> None:
    names = ("first", "second", "third")
    lines_said = {name: platform.voice(f"This is the {name} caller speaking.") for name in names}

    async def one(name: str) -> None:
        async with Phone.call(
            platform.stream_url("talker"), stream_id=f"three-{name}", caller_id=name, ring_s=0.5
        ) as phone:
            await phone.hear()
            await phone.say(lines_said[name])
            await phone.hear()

    await asyncio.gather(*(one(name) for name in names))
    for name in names:
        result = await platform.result(f"three-{name}")
        assert (result["caller_id"], result["disconnected_by"]) == (name, "customer")
        assert f"{name} caller" in lines(result, "customer")
        others = set(names) - {name}
        assert not any(f"{other} caller" in lines(result, "customer") for other in others)


async def test_worker_takes_calls_up_to_its_limit(platform: Platform) -> None:
    async with AsyncExitStack() as calls:
        for number in range(PLACES):
            call = Phone.call(platform.stream_url("talker"), stream_id=f"place-{number}")
            phone = await calls.enter_async_context(call)
            await phone.wait_for_audio()
            if number == PLACES - 2:
                await asyncio.sleep(LOAD_TOLD_S)
    for number in range(PLACES):
        assert (await platform.result(f"place-{number}"))["disconnected_by"] == "customer"


async def test_killed_agent_is_replaced_and_a_second_one_is_excused(
    platform: Platform, tmp_path: Path
) -> None:
    question = platform.voice("When are you open?")
    async with Phone.call(platform.stream_url("talker"), stream_id="killed") as phone:
        greeting = await phone.hear()
        assert greeting is not None, phone.close_reason
        call = await platform.call("killed")
        killed_s = phone.now_s
        platform.job_of(call["call_id"]).kill()
        excuse = await phone.hear()
        assert excuse is not None
        assert excuse.start_s - killed_s < RESUMED_WITHIN_S
        await phone.say(question)
        assert await phone.hear() is not None
        goes_on_s = phone.now_s
        platform.job_of(call["call_id"]).kill()
        await phone.wait_closed(15.0)
        last = await words_in(phone.heard()[round(goes_on_s * RATE_HZ) * 2 :])
    assert hears("technical problem", last)
    result = await platform.result("killed", 30.0)
    assert result["disconnected_by"] == "error"
    assert [entry["event"] for entry in result["events"]].count("agent_lost") == 2
    said = lines(result, "bot")
    for expected in ("information line", "the line dropped", "open from nine"):
        assert expected in said
    assert hears("when are you open", lines(result, "customer"))
    bot = await recorded_bot(platform, call["session_id"], tmp_path)
    assert len(bot) / RATE_HZ > goes_on_s - 2.0
    # Each agent's part is where the phone heard it, whichever file it comes from.
    starts = [span.start_s for span in loud_spans(bot.tobytes())]
    excused_s = starts[0] + excuse.start_s - greeting.start_s
    assert min(abs(start_s - excused_s) for start_s in starts) < 0.15


async def recorded_bot(platform: Platform, session_id: str, folder: Path) -> np.ndarray:
    """Wait for a call's whole recording, which comes in pieces, and return the bot's channel."""
    async with asyncio.timeout(20):
        while True:
            answer = await platform.api.get(f"/recordings/{session_id}.wav")
            if answer.is_success:
                (folder / "kept.wav").write_bytes(answer.content)
                with wave.open(str(folder / "kept.wav")) as file:
                    samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
                bot = samples[1::2]
                # Either agent's piece may be the first to come.
                if len(bot) > 8 * RATE_HZ and bot[: 3 * RATE_HZ].any():
                    return bot
            await asyncio.sleep(0.2)
