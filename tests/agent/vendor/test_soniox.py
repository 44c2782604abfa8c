"""Soniox through its plug-in: what is on the wire, what comes back, and how it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from livekit.agents import APIError, APIStatusError, stt, utils

from agent.vendor.soniox import soniox_stt
from contracts.engines import SttConfig
from tests.agent.vendor.hearing import ONCE, RATE_HZ, SILENCE, SPEECH, ask, heard_by, push, texts
from tests.agent.vendor.proof import AS_GIVEN, Proof, in_header, in_message, in_path
from tests.fakes.vendors.script import Fault, Vendor, VendorScript
from tests.fakes.vendors.server import VendorServer

Kind = stt.SpeechEventType


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    script = VendorScript(stt_final_ms=100, transcripts=["hello there"])
    async with utils.http_context.open(), VendorServer(script) as running:
        yield running


def fields(vendors: VendorServer) -> dict[str, Any]:
    return {"provider": "soniox", "api_key": "so-key", "base_url": vendors.soniox}


def soniox(vendors: VendorServer, **more: Any) -> stt.STT[Any]:
    return soniox_stt(SttConfig.model_validate({**fields(vendors), **more}), RATE_HZ)


CONTEXT = {"general": [{"key": "domain", "value": "dentist"}], "terms": ["Nova Dental"]}
PROOFS = [
    Proof("soniox", "stt.api_key", "other", *in_header("Authorization", "Bearer other")),
    Proof("soniox", "stt.base_url", AS_GIVEN, *in_path("/transcribe-websocket")),
    Proof("soniox", "stt.model", "stt-rt-v5", *in_message("model", "stt-rt-v5")),
    Proof("soniox", "stt.language", "hi-IN", *in_message("language_hints", ["hi"])),
    *(
        Proof("soniox", f"stt.extra.{name}", value, *in_message(name, value))
        for name, value in (
            ("language_hints", ["hi", "en"]),
            ("language_hints_strict", True),
            ("context", "A dentist's front desk."),
            ("context", CONTEXT),
            ("enable_speaker_diarization", True),
            ("enable_language_identification", False),
            ("client_reference_id", "desk-7"),
            ("max_endpoint_delay_ms", 700),
        )
    ),
    Proof(
        "soniox",
        "stt.extra.vad_force_turn_endpoint",
        True,
        *in_message("enable_endpoint_detection", False),
    ),
]


@pytest.mark.parametrize("proof", PROOFS, ids=str)
async def test_field_is_on_the_wire(vendors: VendorServer, proof: Proof) -> None:
    await ask(soniox_stt(proof.bot({"stt": fields(vendors)}).stt, RATE_HZ))
    [request] = vendors.journal.of(Vendor.STT)
    assert proof.holds(request), proof.wire


async def test_defaults_suit_a_telephone(vendors: VendorServer) -> None:
    await heard_by(soniox(vendors))
    [request] = vendors.journal.of(Vendor.STT)
    assert request.messages[0] == {
        "model": "stt-rt-v4",
        "audio_format": "pcm_s16le",
        "sample_rate": 8000,
        "num_channels": 1,
        "language_hints": ["en"],
        "language_hints_strict": False,
        "enable_speaker_diarization": False,
        "enable_language_identification": True,
        "enable_endpoint_detection": True,
        "max_endpoint_delay_ms": 1000,
    }


async def test_turn_is_told_from_its_first_words_to_its_end(vendors: VendorServer) -> None:
    heard = await heard_by(soniox(vendors))
    told = [event for event in heard if event.type is not Kind.RECOGNITION_USAGE]
    assert told[0].type is Kind.START_OF_SPEECH
    assert texts(told, Kind.INTERIM_TRANSCRIPT)[0] == "R1 T1 hello"
    assert texts(told, Kind.FINAL_TRANSCRIPT) == ["R1 T1 hello there"]
    assert told[-1].type is Kind.END_OF_SPEECH


async def test_words_are_asked_for_where_the_vendor_is_not_to_judge(vendors: VendorServer) -> None:
    engine = soniox(vendors, extra={"vad_force_turn_endpoint": True})
    assert engine.capabilities.manual_flush
    stream = engine.stream(conn_options=ONCE)
    push(stream, SPEECH + SILENCE)
    heard: list[stt.SpeechEvent] = []
    async with asyncio.timeout(5):
        async for event in stream:
            heard.append(event)
            if event.type is Kind.PREFLIGHT_TRANSCRIPT:
                stream.flush()
            if event.type is Kind.END_OF_SPEECH:
                break
    await stream.aclose()
    await engine.aclose()
    assert texts(heard, Kind.FINAL_TRANSCRIPT) == ["R1 T1 hello there"]
    [request] = vendors.journal.of(Vendor.STT)
    assert request.messages[1:] == [{"type": "finalize"}]


async def test_session_asks_for_nothing_where_the_vendor_judges(vendors: VendorServer) -> None:
    engine = soniox(vendors)
    assert not engine.capabilities.manual_flush
    await engine.aclose()


async def test_packets_go_out_as_they_come(vendors: VendorServer) -> None:
    engine = soniox(vendors)
    stream = engine.stream(conn_options=ONCE)
    push(stream, SPEECH)
    stream.end_input()
    async with asyncio.timeout(5):
        events = [event async for event in stream]
    await engine.aclose()
    [request] = vendors.journal.of(Vendor.STT)
    assert (request.audio_messages, request.audio_bytes) == (25, len(SPEECH))
    assert texts(events, Kind.FINAL_TRANSCRIPT) == ["R1 T1 hello there"]


@pytest.mark.parametrize("status", [401, 402])
async def test_refusal_is_an_error_that_is_not_tried_again(
    vendors: VendorServer, status: int
) -> None:
    vendors.script.faults = {Vendor.STT: Fault(kind="http", status=status)}
    with pytest.raises(APIStatusError) as refused:
        await heard_by(soniox(vendors))
    assert (refused.value.status_code, refused.value.retryable) == (status, False)
    assert "so-key" not in repr(refused.value) + repr(refused.value.__cause__)


@pytest.mark.parametrize("kind", ["reset", "error"])
async def test_broken_connection_and_the_vendors_own_error_may_be_tried_again(
    vendors: VendorServer, kind: Any
) -> None:
    vendors.script.faults = {Vendor.STT: Fault(kind=kind)}
    with pytest.raises(APIError) as broken:
        await heard_by(soniox(vendors), until=None)
    assert broken.value.retryable


async def test_turn_that_a_lost_connection_cut_short_is_over(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.STT: Fault(kind="reset", times=1)}
    engine = soniox(vendors)
    stream = engine.stream()
    push(stream, SPEECH + SILENCE)
    kinds = []
    async with asyncio.timeout(5):
        async for event in stream:
            kinds.append(event.type)
            if event.type is Kind.END_OF_SPEECH:
                break
    await stream.aclose()
    await engine.aclose()
    assert Kind.FINAL_TRANSCRIPT not in kinds


@pytest.mark.parametrize("kind", ["garbage", "silent"])
async def test_what_says_nothing_is_waited_for(vendors: VendorServer, kind: Any) -> None:
    # The session sees speech without words, and gives the recogniser up.
    vendors.script.faults = {Vendor.STT: Fault(kind=kind)}
    with pytest.raises(TimeoutError):
        await heard_by(soniox(vendors), timeout_s=0.5)


async def test_slow_vendor_is_heard_in_the_end(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.STT: Fault(kind="drip")}
    heard = await heard_by(soniox(vendors))
    assert texts(heard, Kind.FINAL_TRANSCRIPT) == ["R1 T1 hello there"]
