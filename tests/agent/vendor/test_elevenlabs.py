"""ElevenLabs through its plug-in: what is on the wire, what is heard, and how it fails."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, cast

import numpy as np
import pytest
import pytest_asyncio
from livekit.agents import APIConnectOptions, APIError, APIStatusError, tts, utils
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT, TimedString

from agent.vendor.elevenlabs import elevenlabs_tts
from contracts.engines import TtsConfig
from tests.agent.vendor.proof import (
    AS_GIVEN,
    Proof,
    in_header,
    in_message,
    in_path,
    in_query,
)
from tests.fakes.vendors.script import Fault, Vendor, VendorScript
from tests.fakes.vendors.server import VendorServer
from tests.fakes.vendors.tone import PLAIN_HZ, duration_s, tone_hz

RATE_HZ = 8000
ONCE = APIConnectOptions(max_retry=0, timeout=2.0)
LINE = "Sure R3T1, let me check that. Your booking is on Monday."


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    script = VendorScript(tts_first_audio_ms=5, tts_speed=100)
    async with utils.http_context.open(), VendorServer(script) as running:
        yield running


def fields(vendors: VendorServer) -> dict[str, Any]:
    return {
        "provider": "elevenlabs",
        "api_key": "el-key",
        "voice": "anna",
        "base_url": vendors.elevenlabs,
    }


def voice(
    vendors: VendorServer, extra: dict[str, Any] | None = None, **config: Any
) -> tts.TTS[Any]:
    settings = {**fields(vendors), "extra": extra or {}, **config}
    return elevenlabs_tts(TtsConfig(**settings), RATE_HZ)


async def speak(
    engine: tts.TTS[Any], *texts: str, patience: APIConnectOptions = ONCE
) -> tuple[bytes, list[TimedString]]:
    """Stream texts as an LLM would; return the audio and the words with their times."""
    pcm, words = b"", []
    try:
        async with engine.stream(conn_options=patience) as stream:
            for text in texts:
                stream.push_text(text)
            stream.end_input()
            async for piece in stream:
                assert piece.frame.sample_rate == RATE_HZ
                pcm += piece.frame.data.tobytes()
                words += piece.frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, [])
    finally:
        await engine.aclose()
    return pcm, words


def pitch_hz(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, dtype="<i2")
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * RATE_HZ / len(samples))


async def test_line_is_spoken_at_the_phones_rate(vendors: VendorServer) -> None:
    pcm, _ = await speak(voice(vendors), LINE)
    assert pitch_hz(pcm) == pytest.approx(tone_hz(3), abs=2)
    [request] = vendors.journal.of(Vendor.TTS)
    assert request.path == "/v1/text-to-speech/anna/multi-stream-input"
    assert request.headers["xi-api-key"] == "el-key"
    expected = {
        "model_id": "eleven_flash_v2_5",
        "output_format": "pcm_8000",
        "language_code": "en",
        "auto_mode": "true",
        "sync_alignment": "true",
        "enable_logging": "true",
        "apply_text_normalization": "auto",
    }
    assert {name: request.query[name] for name in expected} == {
        name: [value] for name, value in expected.items()
    }


async def test_first_clause_is_sent_by_itself(vendors: VendorServer) -> None:
    await speak(voice(vendors), *re.findall(r"\s*\S+", LINE))
    [request] = vendors.journal.of(Vendor.TTS)
    texts = [each["text"].strip() for each in request.messages if each.get("text", "").strip()]
    assert texts == ["Sure R3T1,", "let me check that.", "Your booking is on Monday."]
    assert all(each.get("flush") for each in request.messages if each.get("text", "").strip())


@pytest.mark.parametrize("times", ["message", "context"])
async def test_words_have_their_times_on_the_clock_of_the_line(
    vendors: VendorServer, times: Any
) -> None:
    vendors.script.tts_times = times
    pcm, words = await speak(voice(vendors), *re.findall(r"\s*\S+", LINE))
    assert "".join(words).split() == LINE.split()
    starts = [cast(float, word.start_time) for word in words]
    ends = [cast(float, word.end_time) for word in words]
    assert starts == sorted(starts)
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(len(pcm) / 2 / RATE_HZ, abs=0.1)
    # Where the second sentence begins: behind the first two texts' audio.
    place = LINE.split().index("Your")
    begun_s = duration_s("Sure R3T1,") + duration_s("let me check that.")
    assert starts[place] == pytest.approx(begun_s, abs=0.15)


async def test_whole_text_is_spoken_over_http(vendors: VendorServer) -> None:
    engine = voice(vendors)
    async with engine.synthesize("Hello, how can I help you?", conn_options=ONCE) as stream:
        frame = await stream.collect()
    await engine.aclose()
    assert frame.sample_rate == RATE_HZ
    assert pitch_hz(frame.data.tobytes()) == pytest.approx(PLAIN_HZ, abs=2)
    [request] = vendors.journal.of(Vendor.TTS)
    assert request.path == "/v1/text-to-speech/anna/stream"
    assert request.query["output_format"] == ["pcm_8000"]


async def test_voice_settings_are_sent_with_the_vendors_defaults_for_the_rest(
    vendors: VendorServer,
) -> None:
    await speak(voice(vendors, {"stability": 0.3, "speed": 1.1}), LINE)
    [request] = vendors.journal.of(Vendor.TTS)
    assert request.messages[0]["voice_settings"] == {
        "stability": 0.3,
        "similarity_boost": 0.75,
        "speed": 1.1,
    }


async def test_settings_that_are_not_set_are_left_to_the_voice(vendors: VendorServer) -> None:
    await speak(voice(vendors), LINE)
    [request] = vendors.journal.of(Vendor.TTS)
    assert request.messages[0]["voice_settings"] == {}


PROOFS = [
    Proof("elevenlabs", "tts.api_key", "el-other", *in_header("xi-api-key", "el-other")),
    Proof(
        "elevenlabs",
        "tts.base_url",
        AS_GIVEN,
        *in_path("/v1/text-to-speech/anna/multi-stream-input"),
    ),
    Proof(
        "elevenlabs", "tts.voice", "ravi", *in_path("/v1/text-to-speech/ravi/multi-stream-input")
    ),
    Proof(
        "elevenlabs", "tts.model", "eleven_turbo_v2_5", *in_query("model_id", "eleven_turbo_v2_5")
    ),
    Proof("elevenlabs", "tts.language", "hi-IN", *in_query("language_code", "hi")),
    *(
        Proof(
            "elevenlabs", f"tts.extra.{name}", value, *in_message(f"voice_settings.{name}", value)
        )
        for name, value in (
            ("stability", 0.3),
            ("similarity_boost", 0.4),
            ("style", 0.2),
            ("speed", 1.1),
            ("use_speaker_boost", False),
        )
    ),
    Proof(
        "elevenlabs",
        "tts.extra.apply_text_normalization",
        "off",
        *in_query("apply_text_normalization", "off"),
    ),
    Proof("elevenlabs", "tts.extra.enable_logging", False, *in_query("enable_logging", "false")),
]


@pytest.mark.parametrize("proof", PROOFS, ids=str)
async def test_field_is_on_the_wire(vendors: VendorServer, proof: Proof) -> None:
    await speak(elevenlabs_tts(proof.bot({"tts": fields(vendors)}).tts, RATE_HZ), "Hello.")
    [request] = vendors.journal.of(Vendor.TTS)
    assert proof.holds(request), proof.wire


async def test_language_is_not_sent_to_a_model_that_takes_none(vendors: VendorServer) -> None:
    await speak(voice(vendors, model="eleven_multilingual_v2"), LINE)
    [request] = vendors.journal.of(Vendor.TTS)
    assert "language_code" not in request.query


async def test_wrong_key_is_an_error_that_is_not_tried_again(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.TTS: Fault(kind="http", status=401)}
    with pytest.raises(APIStatusError) as refused:
        await speak(voice(vendors), LINE)
    assert (refused.value.status_code, refused.value.retryable) == (401, False)


@pytest.mark.parametrize("kind", ["reset", "garbage"])
async def test_broken_stream_is_an_error(vendors: VendorServer, kind: Any) -> None:
    vendors.script.faults = {Vendor.TTS: Fault(kind=kind)}
    with pytest.raises(APIError):
        await speak(voice(vendors), LINE)


async def test_silent_vendor_is_given_up(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.TTS: Fault(kind="silent")}
    with pytest.raises(APIError):
        await speak(voice(vendors), LINE, patience=APIConnectOptions(max_retry=0, timeout=0.2))
