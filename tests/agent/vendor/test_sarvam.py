"""Sarvam through its plug-in: what is on the wire, what is heard, and how it fails."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from livekit.agents import APIConnectOptions, APIError, APIStatusError, tts, utils

from agent.vendor.sarvam import sarvam_tts
from contracts.engines import TtsConfig
from tests.agent.vendor.proof import AS_GIVEN, Proof, in_header, in_message, in_path, in_query
from tests.fakes.vendors.script import Fault, Vendor, VendorScript
from tests.fakes.vendors.server import VendorServer
from tests.fakes.vendors.tone import PLAIN_HZ, duration_s, tone_hz

RATE_HZ = 8000
ONCE = APIConnectOptions(max_retry=0, timeout=2.0)
HASTY = APIConnectOptions(max_retry=0, timeout=0.3)
LINE = "Sure R3T1, let me check that. Your booking is on Monday."


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    script = VendorScript(tts_first_audio_ms=5, tts_speed=100)
    async with utils.http_context.open(), VendorServer(script) as running:
        yield running


def fields(vendors: VendorServer) -> dict[str, Any]:
    return {"provider": "sarvam", "api_key": "sa-key", "base_url": vendors.sarvam}


def voice(vendors: VendorServer, **more: Any) -> tts.TTS[Any]:
    return sarvam_tts(TtsConfig.model_validate({**fields(vendors), **more}), RATE_HZ)


async def speak(
    engine: tts.TTS[Any], *texts: str, patience: APIConnectOptions = ONCE, pause_s: float = 0.0
) -> bytes:
    """Stream texts as an LLM would; return the audio, and leave the engine as it is."""
    pcm = b""

    async def write() -> None:
        for text in texts:
            stream.push_text(text)
            await asyncio.sleep(pause_s)
        stream.end_input()

    async with engine.stream(conn_options=patience) as stream:
        writing = asyncio.create_task(write())
        async for piece in stream:
            assert piece.frame.sample_rate == RATE_HZ
            pcm += piece.frame.data.tobytes()
        await writing
    return pcm


async def spoken_once(engine: tts.TTS[Any], *texts: str, **more: Any) -> bytes:
    try:
        return await speak(engine, *texts, **more)
    finally:
        await engine.aclose()


def pitch_hz(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, dtype="<i2")
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * RATE_HZ / len(samples))


V3 = {"tts.model": "bulbul:v3"}
PROOFS = [
    Proof("sarvam", "tts.api_key", "other", *in_header("api-subscription-key", "other")),
    Proof("sarvam", "tts.base_url", AS_GIVEN, *in_path("/text-to-speech/ws")),
    Proof("sarvam", "tts.model", "bulbul:v3", *in_query("model", "bulbul:v3")),
    Proof("sarvam", "tts.model", "bulbul:v3", *in_message("data.model", "bulbul:v3")),
    Proof("sarvam", "tts.voice", "Manisha", *in_message("data.speaker", "manisha")),
    Proof("sarvam", "tts.language", "hi", *in_message("data.target_language_code", "hi-IN")),
    *(
        Proof("sarvam", f"tts.extra.{name}", value, *in_message(f"data.{name}", value), beside)
        for name, value, beside in (
            ("pace", 1.2, {}),
            ("pitch", 0.1, {}),
            ("loudness", 1.5, {}),
            ("enable_preprocessing", True, {}),
            ("enable_cached_responses", True, {}),
            ("temperature", 0.4, V3),
            ("dict_id", "d-7", V3),
        )
    ),
]


@pytest.mark.parametrize("proof", PROOFS, ids=str)
async def test_field_is_on_the_wire(vendors: VendorServer, proof: Proof) -> None:
    await spoken_once(sarvam_tts(proof.bot({"tts": fields(vendors)}).tts, RATE_HZ), "Hello.")
    [request] = vendors.journal.of(Vendor.TTS)
    assert proof.holds(request), proof.wire


async def test_line_is_spoken_at_the_phones_rate(vendors: VendorServer) -> None:
    pcm = await spoken_once(voice(vendors), LINE)
    assert pitch_hz(pcm) == pytest.approx(tone_hz(3), abs=2)
    [request] = vendors.journal.of(Vendor.TTS)
    assert request.messages[0] == {
        "type": "config",
        "data": {
            "target_language_code": "en-IN",
            "speaker": "anushka",
            "pace": 1.0,
            "model": "bulbul:v2",
            "speech_sample_rate": 8000,
            "output_audio_codec": "linear16",
            "pitch": 0.0,
            "loudness": 1.0,
            "enable_preprocessing": False,
        },
    }


async def test_each_clause_is_spoken_as_soon_as_it_is_there(vendors: VendorServer) -> None:
    pcm = await spoken_once(voice(vendors), *re.findall(r"\s*\S+", LINE))
    [request] = vendors.journal.of(Vendor.TTS)
    said = [each.get("data", {}).get("text", "flush") for each in request.messages[1:]]
    clauses = ["Sure R3T1,", "let me check that.", "Your booking is on Monday."]
    assert said == [word for clause in clauses for word in (clause, "flush")]
    assert len(pcm) / 2 / RATE_HZ == pytest.approx(sum(map(duration_s, clauses)), abs=0.05)


async def test_pause_in_the_writing_is_no_failure(vendors: VendorServer) -> None:
    pcm = await spoken_once(
        voice(vendors), "Sure, ", "here we are.", patience=HASTY, pause_s=2 * HASTY.timeout
    )
    assert len(pcm) / 2 / RATE_HZ >= duration_s("Sure,") + duration_s("here we are.") - 0.05


async def test_next_line_goes_over_the_same_connection(vendors: VendorServer) -> None:
    engine = voice(vendors)
    first, second = await speak(engine, "Hello."), await speak(engine, "Good bye then.")
    await engine.aclose()
    assert len(vendors.journal.of(Vendor.TTS)) == 1
    assert len(first) < len(second)


async def test_another_language_is_spoken_from_the_next_line_on(vendors: VendorServer) -> None:
    engine = voice(vendors)
    await speak(engine, "Hello.")
    engine.update_options(speaker="asha", target_language_code="hi-IN")  # type: ignore[attr-defined]
    await speak(engine, "Namaste.")
    await engine.aclose()
    [request] = vendors.journal.of(Vendor.TTS)
    told = [each["data"] for each in request.messages if each["type"] == "config"]
    assert [(each["speaker"], each["target_language_code"]) for each in told] == [
        ("anushka", "en-IN"),
        ("asha", "hi-IN"),
    ]


async def test_line_that_is_cut_off_leaves_nothing_for_the_next(vendors: VendorServer) -> None:
    vendors.script.tts_speed = 2
    engine = voice(vendors)
    async with engine.stream(conn_options=ONCE) as stream:
        stream.push_text("R1T1 this is a very long line that nobody waits for. ")
        await anext(aiter(stream))
    vendors.script.tts_speed = 100
    pcm = await speak(engine, "R2T1 hello.")
    await engine.aclose()
    assert pitch_hz(pcm) == pytest.approx(tone_hz(2), abs=5)


async def test_whole_text_is_spoken_too(vendors: VendorServer) -> None:
    engine = voice(vendors)
    async with engine.synthesize("Hello, how can I help you?", conn_options=ONCE) as stream:
        frame = await stream.collect()
    await engine.aclose()
    assert frame.sample_rate == RATE_HZ
    assert pitch_hz(frame.data.tobytes()) == pytest.approx(PLAIN_HZ, abs=2)


async def test_wrong_key_is_an_error_that_is_not_tried_again(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.TTS: Fault(kind="http", status=403)}
    with pytest.raises(APIStatusError) as refused:
        await spoken_once(voice(vendors), LINE)
    assert (refused.value.status_code, refused.value.retryable) == (403, False)
    assert "sa-key" not in repr(refused.value) + repr(refused.value.__cause__)


@pytest.mark.parametrize("kind", ["reset", "garbage", "error"])
async def test_broken_stream_is_an_error(vendors: VendorServer, kind: Any) -> None:
    vendors.script.faults = {Vendor.TTS: Fault(kind=kind)}
    with pytest.raises(APIError) as broken:
        await spoken_once(voice(vendors), LINE)
    assert broken.value.retryable


async def test_silent_vendor_is_given_up(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.TTS: Fault(kind="silent")}
    with pytest.raises(APIError):
        await spoken_once(voice(vendors), LINE, patience=HASTY)


async def test_slow_vendor_is_heard_to_the_end(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.TTS: Fault(kind="drip")}
    pcm = await spoken_once(voice(vendors), "Hello there.")
    assert len(pcm) / 2 / RATE_HZ == pytest.approx(duration_s("Hello there."), abs=0.05)
