"""Deepgram through its plug-in: what is on the wire, what comes back, and how it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from livekit import rtc
from livekit.agents import APIConnectOptions, APIError, APIStatusError, stt, utils

from agent.vendor.deepgram import deepgram_stt
from contracts.engines import SttConfig
from tests.agent.vendor.proof import AS_GIVEN, Proof, in_header, in_path, in_query
from tests.fakes.vendors.script import Fault, Vendor, VendorScript
from tests.fakes.vendors.server import VendorServer
from tests.fakes.vendors.tone import tone

RATE_HZ = 8000
ONCE = APIConnectOptions(max_retry=0, timeout=2.0)
Kind = stt.SpeechEventType


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    script = VendorScript(stt_final_ms=100, transcripts=["hello there"])
    async with utils.http_context.open(), VendorServer(script) as running:
        yield running


def fields(vendors: VendorServer) -> dict[str, Any]:
    return {"provider": "deepgram", "api_key": "dg-key", "base_url": vendors.deepgram}


async def hear(
    vendors: VendorServer, config: SttConfig | None = None, *, timeout_s: float = 5.0
) -> list[stt.SpeechEvent]:
    """Play a second of speech and one of quiet, in the bridge's frames; return what is heard."""
    engine = deepgram_stt(config or SttConfig(**fields(vendors)), RATE_HZ)
    stream = engine.stream(conn_options=ONCE)
    pcm = tone(440.0, 1.0, RATE_HZ).tobytes() + bytes(2 * RATE_HZ)
    for start in range(0, len(pcm), 640):
        piece = pcm[start : start + 640]
        stream.push_frame(rtc.AudioFrame(piece, RATE_HZ, 1, len(piece) // 2))
    heard: list[stt.SpeechEvent] = []
    try:
        async with asyncio.timeout(timeout_s):
            async for event in stream:
                heard.append(event)
                if event.type is Kind.END_OF_SPEECH:
                    break
    finally:
        await stream.aclose()
        await engine.aclose()
    return heard


def query(vendors: VendorServer) -> dict[str, list[str]]:
    [request] = vendors.journal.of(Vendor.STT)
    return request.query


async def test_phone_audio_goes_out_at_its_own_rate_and_comes_back_as_words(
    vendors: VendorServer,
) -> None:
    heard = await hear(vendors)
    finals = [event for event in heard if event.type is Kind.FINAL_TRANSCRIPT]
    assert [event.alternatives[0].text for event in finals] == ["R1 T1 hello there"]
    assert any(event.type is Kind.INTERIM_TRANSCRIPT for event in heard)
    [request] = vendors.journal.of(Vendor.STT)
    assert request.headers["Authorization"] == "Token dg-key"
    assert request.query["sample_rate"] == ["8000"]
    assert request.query["encoding"] == ["linear16"]


async def test_defaults_are_nova_3_with_the_shortest_delay(vendors: VendorServer) -> None:
    await hear(vendors)
    sent = query(vendors)
    expected = {
        "model": "nova-3",
        "language": "en",
        "endpointing": "25",
        "no_delay": "true",
        "interim_results": "true",
        "punctuate": "true",
        "smart_format": "false",
        "vad_events": "true",
    }
    assert {name: sent[name] for name in expected} == {k: [v] for k, v in expected.items()}


PROOFS = [
    Proof("deepgram", "stt.api_key", "dg-other", *in_header("Authorization", "Token dg-other")),
    Proof("deepgram", "stt.base_url", AS_GIVEN, *in_path("/v1/listen")),
    Proof("deepgram", "stt.model", "nova-2", *in_query("model", "nova-2")),
    Proof("deepgram", "stt.language", "hi", *in_query("language", "hi")),
    *(
        Proof("deepgram", f"stt.extra.{name}", value, *in_query(name, *sent))
        for name, value, sent in (
            ("endpointing", 300, ["300"]),
            ("endpointing", False, ["false"]),
            ("interim_results", False, ["false"]),
            ("punctuate", False, ["false"]),
            ("smart_format", True, ["true"]),
            ("no_delay", False, ["false"]),
            ("filler_words", False, ["false"]),
            ("numerals", True, ["true"]),
            ("profanity_filter", True, ["true"]),
            ("redact", ["pci", "ssn"], ["pci", "ssn"]),
            ("keyterm", ["Asha", "Nova Dental"], ["Asha", "Nova Dental"]),
            ("mip_opt_out", True, ["true"]),
        )
    ),
]


@pytest.mark.parametrize("proof", PROOFS, ids=str)
async def test_field_is_on_the_wire(vendors: VendorServer, proof: Proof) -> None:
    await hear(vendors, proof.bot({"stt": fields(vendors)}).stt)
    [request] = vendors.journal.of(Vendor.STT)
    assert proof.holds(request), proof.wire


async def test_wrong_key_is_an_error_that_is_not_tried_again(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.STT: Fault(kind="http", status=401)}
    with pytest.raises(APIStatusError) as refused:
        await hear(vendors)
    assert refused.value.status_code == 401
    assert not refused.value.retryable
    assert "dg-key" not in repr(refused.value) + repr(refused.value.__cause__)


async def test_dropped_connection_is_an_error_that_may_be_tried_again(
    vendors: VendorServer,
) -> None:
    vendors.script.faults = {Vendor.STT: Fault(kind="reset")}
    with pytest.raises(APIError) as dropped:
        await hear(vendors)
    assert dropped.value.retryable


async def test_packets_go_out_as_they_come(vendors: VendorServer) -> None:
    engine = deepgram_stt(
        SttConfig(provider="deepgram", api_key="k", base_url=vendors.deepgram), RATE_HZ
    )
    stream = engine.stream(conn_options=ONCE)
    sizes = [640, 1280, 3840, 640]
    for size in sizes:
        stream.push_frame(rtc.AudioFrame(bytes(size), RATE_HZ, 1, size // 2))
    stream.end_input()
    async with asyncio.timeout(5):
        events = [event async for event in stream]
    await stream.aclose()
    await engine.aclose()
    [request] = vendors.journal.of(Vendor.STT)
    assert (request.audio_messages, request.audio_bytes) == (len(sizes), sum(sizes))
    assert request.messages[-1] == {"type": "CloseStream"}
    assert [event.type for event in events if event.recognition_usage] == [Kind.RECOGNITION_USAGE]


async def test_unreadable_message_is_passed_over(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.STT: Fault(kind="garbage")}
    with pytest.raises(TimeoutError):
        await hear(vendors, timeout_s=1.0)
