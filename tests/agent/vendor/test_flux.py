"""Deepgram's Flux through its plug-in: what is on the wire, how turns go, and how it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from livekit.agents import APIError, APIStatusError, stt, utils

from agent.vendor.flux import flux_stt
from contracts.engines import SttConfig
from tests.agent.vendor.hearing import ONCE, RATE_HZ, SILENCE, SPEECH, ask, heard_by, push, texts
from tests.agent.vendor.proof import AS_GIVEN, Proof, Unsent, in_header, in_path, in_query
from tests.fakes.vendors.flux import CONFIDENCE
from tests.fakes.vendors.script import Fault, Vendor, VendorScript
from tests.fakes.vendors.server import VendorServer

Kind = stt.SpeechEventType
MULTI = {"stt.model": "flux-general-multi"}


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    script = VendorScript(stt_final_ms=100, transcripts=["hello there"])
    async with utils.http_context.open(), VendorServer(script) as running:
        yield running


def fields(vendors: VendorServer) -> dict[str, Any]:
    return {"provider": "deepgram_flux", "api_key": "dg-key", "base_url": vendors.flux}


def flux(vendors: VendorServer, **more: Any) -> stt.STT[Any]:
    return flux_stt(SttConfig.model_validate({**fields(vendors), **more}), RATE_HZ)


PROOFS = [
    Proof("deepgram_flux", "stt.api_key", "other", *in_header("Authorization", "Token other")),
    Proof("deepgram_flux", "stt.base_url", AS_GIVEN, *in_path("/v2/listen")),
    Proof("deepgram_flux", "stt.model", MULTI["stt.model"], *in_query("model", *MULTI.values())),
    Proof("deepgram_flux", "stt.language", "hi", *in_query("language_hint", "hi")),
    Proof(
        "deepgram_flux",
        "stt.extra.language_hints",
        ["hi", "en"],
        *in_query("language_hint", "hi", "en"),
        MULTI,
    ),
    *(
        Proof("deepgram_flux", f"stt.extra.{name}", value, *in_query(name, *sent))
        for name, value, sent in (
            ("eot_threshold", 0.8, ["0.8"]),
            ("eager_eot_threshold", 0.4, ["0.4"]),
            ("eot_timeout_ms", 3000, ["3000"]),
            ("keyterm", ["Asha", "Nova Dental"], ["Asha", "Nova Dental"]),
            ("numerals", True, ["true"]),
            ("profanity_filter", True, ["true"]),
            ("mip_opt_out", True, ["true"]),
        )
    ),
]
UNSENT = [
    Unsent(
        "deepgram_flux",
        "stt.extra.min_confidence",
        "the words' confidence comes from Flux, and is judged here",
    ),
    Unsent(
        "deepgram_flux",
        "stt.extra.should_interrupt",
        "what a beginning turn does to the bot's line is decided here",
    ),
]


@pytest.mark.parametrize("proof", PROOFS, ids=str)
async def test_field_is_on_the_wire(vendors: VendorServer, proof: Proof) -> None:
    await ask(flux_stt(proof.bot({"stt": fields(vendors)}).stt, RATE_HZ))
    [request] = vendors.journal.of(Vendor.STT)
    assert proof.holds(request), proof.wire


async def test_what_is_not_set_is_left_to_the_vendor(vendors: VendorServer) -> None:
    await ask(flux(vendors))
    [request] = vendors.journal.of(Vendor.STT)
    assert request.query == {
        "model": ["flux-general-en"],
        "sample_rate": ["8000"],
        "encoding": ["linear16"],
        "mip_opt_out": ["false"],
    }


async def test_language_chooses_the_model_where_none_is_named(vendors: VendorServer) -> None:
    await ask(flux(vendors, language="multi"))
    [request] = vendors.journal.of(Vendor.STT)
    assert request.query["model"] == ["flux-general-multi"]
    assert "language_hint" not in request.query


async def test_turn_is_told_from_its_first_words_to_its_end(vendors: VendorServer) -> None:
    heard = await heard_by(flux(vendors))
    assert heard[0].type is Kind.START_OF_SPEECH
    assert texts(heard, Kind.INTERIM_TRANSCRIPT)[0] == "R1 T1 hello"
    assert texts(heard, Kind.FINAL_TRANSCRIPT) == ["R1 T1 hello there"]
    assert [event.type for event in heard[-2:]] == [Kind.FINAL_TRANSCRIPT, Kind.END_OF_SPEECH]


async def test_answer_may_be_begun_at_an_eager_end(vendors: VendorServer) -> None:
    heard = await heard_by(flux(vendors, extra={"eager_eot_threshold": 0.4}))
    assert texts(heard, Kind.PREFLIGHT_TRANSCRIPT) == ["R1 T1 hello there"]


async def test_turn_that_is_resumed_is_not_over(vendors: VendorServer) -> None:
    vendors.script.stt_final_ms = 400
    engine = flux(vendors, extra={"eager_eot_threshold": 0.4})
    stream = engine.stream(conn_options=ONCE)
    heard: list[stt.SpeechEvent] = []
    push(stream, SPEECH + SILENCE[:4000])
    async with asyncio.timeout(5):
        async for event in stream:
            heard.append(event)
            if event.type is Kind.PREFLIGHT_TRANSCRIPT and len(heard) < 20:
                push(stream, SPEECH + SILENCE)
            if event.type is Kind.END_OF_SPEECH:
                break
    await stream.aclose()
    await engine.aclose()
    kinds = [event.type for event in heard]
    eager = kinds.index(Kind.PREFLIGHT_TRANSCRIPT)
    assert kinds[eager + 1] is Kind.INTERIM_TRANSCRIPT
    assert kinds.count(Kind.FINAL_TRANSCRIPT) == kinds.count(Kind.START_OF_SPEECH) == 1


@pytest.mark.parametrize(
    ("min_confidence", "text"),
    [(CONFIDENCE - 0.05, "R1 T1 hello there"), (CONFIDENCE + 0.05, "")],
)
async def test_turn_of_unsure_words_says_nothing(
    vendors: VendorServer, min_confidence: float, text: str
) -> None:
    heard = await heard_by(flux(vendors, extra={"min_confidence": min_confidence}))
    assert texts(heard, Kind.FINAL_TRANSCRIPT) == [text]
    # Nor do they cut the bot off before the turn is over.
    assert bool(texts(heard, Kind.INTERIM_TRANSCRIPT)) is bool(text)
    assert heard[0].type is Kind.START_OF_SPEECH
    assert heard[-1].type is Kind.END_OF_SPEECH


async def test_turn_ends_though_the_line_brings_no_more_audio(vendors: VendorServer) -> None:
    heard = await heard_by(flux(vendors), SPEECH)
    assert texts(heard, Kind.FINAL_TRANSCRIPT) == ["R1 T1 hello there"]


async def test_packets_go_out_as_they_come_and_their_end_is_told(vendors: VendorServer) -> None:
    engine = flux(vendors)
    stream = engine.stream(conn_options=ONCE)
    push(stream, SPEECH)
    stream.end_input()
    async with asyncio.timeout(5):
        events = [event async for event in stream]
    await stream.aclose()
    await engine.aclose()
    [request] = vendors.journal.of(Vendor.STT)
    assert (request.audio_messages, request.audio_bytes) == (25, len(SPEECH))
    assert request.messages == [{"type": "CloseStream"}]
    [usage] = [event.recognition_usage for event in events if event.recognition_usage]
    assert usage.audio_duration == pytest.approx(1.0)
    assert texts(events, Kind.FINAL_TRANSCRIPT) == ["R1 T1 hello there"]


async def test_wrong_key_is_an_error_that_is_not_tried_again(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.STT: Fault(kind="http", status=401)}
    with pytest.raises(APIStatusError) as refused:
        await heard_by(flux(vendors))
    assert (refused.value.status_code, refused.value.retryable) == (401, False)
    assert "dg-key" not in repr(refused.value) + repr(refused.value.__cause__)


@pytest.mark.parametrize("kind", ["reset", "error"])
async def test_broken_connection_and_the_vendors_own_error_may_be_tried_again(
    vendors: VendorServer, kind: Any
) -> None:
    vendors.script.faults = {Vendor.STT: Fault(kind=kind)}
    with pytest.raises(APIError) as broken:
        await heard_by(flux(vendors), until=None)
    assert broken.value.retryable


async def test_turn_that_a_lost_connection_cut_short_is_over(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.STT: Fault(kind="reset", times=1)}
    engine = flux(vendors)
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
        await heard_by(flux(vendors), timeout_s=0.5)


async def test_slow_vendor_is_heard_in_the_end(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.STT: Fault(kind="drip")}
    heard = await heard_by(flux(vendors))
    assert texts(heard, Kind.FINAL_TRANSCRIPT) == ["R1 T1 hello there"]
