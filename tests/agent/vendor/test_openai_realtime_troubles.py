"""OpenAI Realtime through its plug-in: how it fails, and what is done about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from livekit.agents import APIStatusError, llm, utils

from tests.agent.vendor.openai_talk import talking
from tests.agent.vendor.realtime_talk import ANSWER, WORDS, eventually, script, steps
from tests.fakes.vendors.script import Fault, Reply, Vendor
from tests.fakes.vendors.server import VendorServer


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    async with utils.http_context.open(), VendorServer(script()) as running:
        yield running


async def test_connection_that_broke_amid_an_answer_is_made_anew_with_the_history(
    vendors: VendorServer,
) -> None:
    vendors.script.replies = [Reply(when=WORDS[:4], text="Of course. " * 9), Reply(text="Done.")]
    async with talking(vendors) as talk:
        vendors.script.faults = {Vendor.REALTIME: Fault(kind="reset", times=1)}
        cut = await talk.ask()
        assert 0 < len(cut.text) < 90
        await eventually(lambda: talk.followed.asked_again == [True])
        assert (await talk.answer()).text == "Done."
        anew = vendors.journal.of(Vendor.REALTIME)[1]
        told = [m["item"] for m in anew.messages if m["type"] == "conversation.item.create"]
        assert [(item["role"], item["content"][0]["text"]) for item in told] == [
            ("user", WORDS),
            ("assistant", cut.text),
        ]
        assert talk.followed.reasons == []


async def test_turn_whose_voice_went_with_the_connection_is_told_in_words(
    vendors: VendorServer,
) -> None:
    async with talking(vendors) as talk:
        await talk.ask()
        talk.voice()
        reconnected = asyncio.Event()
        talk.session.on("session_reconnected", lambda _: reconnected.set())
        vendors.script.realtime_connection_s = None
        assert talk.session._ws is not None
        await talk.session._ws.close()
        await reconnected.wait()
        talk.take_up("And on Tuesday?")
        await talk.answer()
        assert steps(vendors, "asked")[-1]["last"] == "And on Tuesday?"
        assert len(steps(vendors, "committed")) == 1


async def test_session_that_the_vendor_ends_goes_on(vendors: VendorServer) -> None:
    vendors.script.realtime_connection_s = 1.0
    async with talking(vendors) as talk:
        await talk.ask()
        await eventually(lambda: len(vendors.journal.of(Vendor.REALTIME)) == 2)
        vendors.script.realtime_connection_s = None
        answer = await talk.ask("And on Tuesday?")
        assert answer.text == ANSWER
        assert talk.followed.reasons == []


async def test_turn_between_two_connections_is_answered_once(vendors: VendorServer) -> None:
    async with talking(vendors) as talk:
        await talk.ask()
        session = talk.session
        assert session._ws is not None
        await session._ws.close()
        await eventually(lambda: session._is_cut_off)
        assert (await talk.ask("And on Tuesday?")).text == ANSWER
        assert len(vendors.journal.of(Vendor.REALTIME)) == 2
        assert talk.followed.asked_again == []
        assert len(steps(vendors, "committed")) == len(steps(vendors, "asked")) == 2
        anew = vendors.journal.of(Vendor.REALTIME)[1]
        told = [m["item"]["content"][0] for m in anew.messages if "item" in m]
        assert [part["text"] for part in told] == [WORDS, ANSWER]


async def test_turn_between_two_connections_takes_the_lost_answer_s_place(
    vendors: VendorServer,
) -> None:
    async with talking(vendors) as talk:
        vendors.script.faults = {Vendor.REALTIME: Fault(kind="reset", times=1)}
        lost = asyncio.create_task(talk.ask())
        session = talk.session
        await eventually(lambda: session._is_cut_off)
        assert (await talk.ask("And on Tuesday?")).text == ANSWER
        assert ANSWER.startswith((await lost).text)
        assert talk.followed.asked_again == []
        assert len(steps(vendors, "asked")) == 2


async def test_model_that_is_never_reached_again_is_given_up(vendors: VendorServer) -> None:
    async with talking(vendors, answer_s=1) as talk:
        await talk.ask()
        session = talk.session
        vendors.script.faults = {Vendor.REALTIME: Fault(kind="http", status=503)}
        assert session._ws is not None
        await session._ws.close()
        await eventually(lambda: session._is_cut_off)
        with pytest.raises(llm.RealtimeError):
            await talk.ask("And on Tuesday?")
        assert len(talk.followed.reasons) == 1


async def test_model_that_stays_silent_is_asked_anew_and_then_given_up(
    vendors: VendorServer,
) -> None:
    vendors.script.faults = {Vendor.REALTIME: Fault(kind="silent")}
    async with talking(vendors, answer_s=1) as talk:
        for _ in range(2):
            with pytest.raises(llm.RealtimeError):
                await talk.ask() if not talk.followed.asked_again else await talk.answer()
            if talk.followed.reasons:
                break
        assert talk.followed.asked_again == [False]
        assert talk.followed.reasons == ["the realtime model answered nothing"]
        assert len(vendors.journal.of(Vendor.REALTIME)) == 2


async def test_model_that_was_silent_once_answers(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.REALTIME: Fault(kind="silent", times=1)}
    async with talking(vendors, answer_s=1) as talk:
        with pytest.raises(llm.RealtimeError):
            await talk.ask()
        assert (await talk.answer()).text == ANSWER
        assert talk.followed.reasons == []


@pytest.mark.parametrize(("status", "connections"), [(401, 1), (404, 1), (429, 3)])
async def test_refusal_is_told_with_its_status(
    vendors: VendorServer, status: int, connections: int
) -> None:
    vendors.script.faults = {Vendor.REALTIME: Fault(kind="http", status=status)}
    async with talking(vendors) as talk:
        await eventually(lambda: bool(talk.followed.reasons))
        assert talk.followed.reasons == [f"OpenAiRealtime answered {status}"]
        assert len(vendors.journal.of(Vendor.REALTIME)) == connections
        assert isinstance(talk.errors[-1], APIStatusError)
        # Nobody waits for it any more.
        assert isinstance(talk.session.generate_reply().exception(), llm.RealtimeError)


async def test_refusal_that_passes_is_outlived(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.REALTIME: Fault(kind="http", status=503, times=1)}
    async with talking(vendors) as talk:
        assert (await talk.ask()).text == ANSWER


async def test_garbage_is_a_connection_that_broke(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.REALTIME: Fault(kind="garbage", times=1)}
    async with talking(vendors) as talk:
        with pytest.raises(llm.RealtimeError):
            await talk.ask()
        await eventually(lambda: talk.followed.asked_again == [False])
        assert (await talk.answer()).text == ANSWER
        assert talk.followed.reasons == []


async def test_answer_that_failed_is_asked_for_anew(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.REALTIME: Fault(kind="error", times=1)}
    async with talking(vendors, answer_s=1) as talk:
        assert (await talk.ask()).audio_s == 0.0
        await eventually(lambda: talk.followed.asked_again == [False])


async def test_slow_answer_is_an_answer(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.REALTIME: Fault(kind="drip")}
    async with talking(vendors, answer_s=1) as talk:
        assert (await talk.ask()).text == ANSWER
        assert talk.followed.asked_again == []
