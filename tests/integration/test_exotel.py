"""Real calls by Exotel's stream through the whole platform, at every rate it knows."""

from __future__ import annotations

import asyncio
import io
import wave
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from bridges.exotel_softphone import ExotelSoftphone
from bridges.wire.exotel_event import StreamRate
from contracts.result import CallResult
from tests.integration.bots import CLOSED, TALKER
from tests.integration.listening import bot_starts, hears, words_in
from tests.integration.platform import ROOT, Platform
from voicefleet.caller_voice import speak

pytestmark = pytest.mark.asyncio(loop_scope="session")

RATES: tuple[StreamRate, ...] = (8000, 16000, 24000)
TRANSFERRING: dict[str, Any] = {
    **TALKER,
    "transfer_targets": [
        {"id": "desk", "method": "exotel_passthru", "value": "+14155550123", "is_default": True}
    ],
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def platform(fleet: Platform) -> Platform:
    """A running fleet with some talkative bots."""
    await fleet.save_bot("talker", TALKER)
    await fleet.save_bot("brisk", {**TALKER, "exotel_chunk_bytes": 320})
    await fleet.save_bot("closed", CLOSED)
    await fleet.save_bot("transferring", TRANSFERRING)
    return fleet


def url(platform: Platform, bot_id: str = "talker") -> str:
    return f"{platform.fleet.bridge_url}/exotel/{bot_id}"


def voice(text: str, rate_hz: int) -> bytes:
    return speak(text, rate_hz, cache_path=ROOT / ".voicefleet" / "caller")


def lines(result: dict[str, Any], speaker: str) -> str:
    return " ".join(
        line["text"] for line in result["transcript"] if line["speaker"] == speaker
    ).lower()


@pytest.mark.parametrize("rate_hz", RATES)
async def test_words_survive_both_ways(platform: Platform, rate_hz: StreamRate) -> None:
    question = voice("When are you open?", rate_hz)
    farewell = voice("That is all, thank you. Goodbye.", rate_hz)
    name = f"rate-{rate_hz}"
    async with ExotelSoftphone.call(
        url(platform), stream_id=name, fields={"customer_name": "Rahul"}, rate_hz=rate_hz
    ) as phone:
        assert await phone.hear() is not None, phone.broken or phone.close_reason
        await phone.say(question)
        assert await phone.hear() is not None, phone.broken or phone.close_reason
        await phone.say(farewell)
        assert await phone.wait_closed() == 1000
        heard = phone.heard()
    result = await platform.result(name)

    assert phone.broken == ""
    assert phone.most_ahead_s <= 1.0
    words = await words_in(heard, rate_hz)
    # The goodbye was heard to its end before the socket was closed.
    for expected in ("information line", "monday to friday", "for calling goodbye"):
        assert hears(expected, words)
    CallResult.model_validate(result)
    assert result["disconnected_by"] == "bot"
    assert hears("when are you open", lines(result, "customer"))
    assert "we are open from nine" in lines(result, "bot")
    event = result["connected_event"]
    assert (event["customer_name"], event["call_sid"]) == ("Rahul", f"call-{name}")
    recording = await platform.recording(f"/recordings/{result['recording_key']}")
    with wave.open(io.BytesIO(recording.content)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, rate_hz)
        both = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    assert hears("when are you open", await words_in(both[:, 0].tobytes(), rate_hz))
    assert hears("information line", await words_in(both[:, 1].tobytes(), rate_hz))


async def test_mu_law_is_understood(platform: Platform) -> None:
    question = voice("When are you open?", 8000)
    async with ExotelSoftphone.call(url(platform), stream_id="mu-law", is_mu_law=True) as phone:
        await phone.hear()
        await phone.say(question)
        assert await phone.hear() is not None
        words = await words_in(phone.heard())
    assert hears("monday to friday", words)
    assert (await platform.result("mu-law"))["disconnected_by"] == "customer"


@pytest.mark.parametrize(("bot", "chunk_bytes"), [("talker", 3200), ("brisk", 320)])
async def test_words_over_the_bot_cut_it_off_and_the_transcript(
    platform: Platform, bot: str, chunk_bytes: int
) -> None:
    question = voice("When are you open?", 8000)
    protest = voice("I would like to ask something else.", 8000)
    name = f"barge-{bot}"
    async with ExotelSoftphone.call(
        url(platform, bot), stream_id=name, min_chunk_bytes=chunk_bytes
    ) as phone:
        await phone.hear()
        await phone.say(question)
        await bot_starts(phone, after_s=phone.now_s)
        await asyncio.sleep(1.0)
        await phone.say(protest)
        protest_at = phone.caller_audio_segments()[-1]
        await phone.hear()
        spans = phone.bot_audio_segments()
    result = await platform.result(name)
    stopped = max(span.end_s for span in spans if span.start_s < protest_at.start_s)
    assert stopped - protest_at.start_s < 0.8
    assert phone.cleared >= 1
    cut = [line["text"] for line in result["transcript"] if line["speaker"] == "bot"][1]
    assert cut.startswith("We are open")
    assert "ten until two" not in cut
    assert phone.broken == ""


async def test_caller_who_hangs_up_is_the_customer(platform: Platform) -> None:
    async with ExotelSoftphone.call(url(platform), stream_id="hung-up") as phone:
        await phone.hear()
        await phone.hang_up()
    assert (await platform.result("hung-up"))["disconnected_by"] == "customer"


async def test_socket_that_is_killed_ends_the_call_with_a_result(platform: Platform) -> None:
    async with ExotelSoftphone.call(url(platform), stream_id="cut-off") as phone:
        await phone.wait_for_audio()
        phone._connection.transport.abort()
        await phone.wait_closed()
    result = await platform.result("cut-off")
    assert "information line" in lines(result, "bot") or result["transcript"] == []
    call = await platform.call("cut-off")
    assert call["reason"] == "caller_disconnected"


async def test_closed_bot_answers_nobody(platform: Platform) -> None:
    async with ExotelSoftphone.call(url(platform, "closed"), stream_id="closed") as phone:
        assert await phone.wait_closed() == 4403
    assert (await platform.call("closed"))["reason"] == "outside_hours"


async def test_transfer_gives_the_caller_back_after_the_bots_words(platform: Platform) -> None:
    wish = voice("Let me talk to a manager.", 8000)
    async with ExotelSoftphone.call(
        url(platform, "transferring"), stream_id="handed-over"
    ) as phone:
        await phone.hear()
        await phone.say(wish)
        assert await phone.wait_closed() == 1000
        words = await words_in(phone.heard())
    assert hears("putting you through", words)
    await platform.result("handed-over")
    assert (await platform.call("handed-over"))["reason"] == "transferred"


async def test_keys_are_noted(platform: Platform) -> None:
    async with ExotelSoftphone.call(url(platform), stream_id="keyed") as phone:
        await phone.hear()
        await phone.press("12#")
        await asyncio.sleep(0.5)
    result = await platform.result("keyed")
    assert [e["event"] for e in result["events"]].count("dtmf") == 3
