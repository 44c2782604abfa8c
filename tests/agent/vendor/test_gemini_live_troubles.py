"""Gemini Live through its plug-in: how it fails, and what is done about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from livekit.agents import llm

from tests.agent.vendor.gemini_talk import LONG, return_from, talking
from tests.agent.vendor.realtime_talk import ANSWER, WORDS, eventually, script, steps
from tests.fakes.vendors.script import Fault, Reply, ToolCall, Vendor
from tests.fakes.vendors.server import VendorServer

pytestmark = pytest.mark.filterwarnings(
    # The plug-in's own way to set it.
    "ignore:Setting `LiveConnectConfig.generation_config` is deprecated:DeprecationWarning"
)


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    async with VendorServer(script()) as running:
        yield running


async def test_model_that_is_silent_after_a_tool_is_told_again(vendors: VendorServer) -> None:
    vendors.script.replies = [
        Reply(when="Monday, 10", text="At ten."),
        Reply(tool_calls=[ToolCall(name="find_slot")]),
    ]
    async with talking(vendors, answer_s=1) as talk:
        [call] = (await talk.ask()).calls
        vendors.script.faults = {Vendor.REALTIME: Fault(kind="silent", times=1)}
        await return_from(talk, call)
        assert talk.model.owes_answer
        assert (await talk.next_answer()).text == "At ten."
        # To return it again is to ask.
        assert talk.followed.asked_again == []
        assert not talk.model.owes_answer


async def test_model_that_stays_silent_after_a_tool_is_given_up(vendors: VendorServer) -> None:
    vendors.script.replies = [Reply(tool_calls=[ToolCall(name="find_slot")])]
    async with talking(vendors, answer_s=1) as talk:
        [call] = (await talk.ask()).calls
        assert not talk.model.owes_answer
        vendors.script.faults = {Vendor.REALTIME: Fault(kind="silent")}
        await return_from(talk, call)
        # Also while it is connected anew: a silence until then is not the caller's.
        await eventually(lambda: bool(talk.followed.reasons) or not talk.model.owes_answer)
        assert talk.followed.reasons == ["the realtime model answered nothing"]
        assert len(vendors.journal.of(Vendor.REALTIME)) == 2
        assert not talk.model.owes_answer


async def test_caller_who_speaks_after_a_tool_is_not_taken_for_a_silent_model(
    vendors: VendorServer,
) -> None:
    vendors.script.replies = [
        Reply(when="Tuesday", text=ANSWER),
        Reply(tool_calls=[ToolCall(name="find_slot")]),
    ]
    async with talking(vendors, answer_s=1) as talk:
        [call] = (await talk.ask()).calls
        vendors.script.faults = {Vendor.REALTIME: Fault(kind="silent", times=1)}
        await return_from(talk, call)
        talk.session.interrupt()
        talk.voice()
        await asyncio.sleep(1.2)
        talk.take_up("And on Tuesday?")
        assert (await talk.answer()).text == ANSWER
        assert len(vendors.journal.of(Vendor.REALTIME)) == 1


async def test_connection_that_gemini_ends_is_resumed(vendors: VendorServer) -> None:
    vendors.script.realtime_connection_s = 0.5
    async with talking(vendors) as talk:
        await talk.ask()
        await eventually(lambda: len(vendors.journal.of(Vendor.REALTIME)) >= 2)
        vendors.script.realtime_connection_s = None
        await eventually(lambda: bool(vendors.journal.of(Vendor.REALTIME)[-1].messages))
        setup = vendors.journal.of(Vendor.REALTIME)[-1].messages[0]["setup"]
        assert setup["sessionResumption"]["handle"]
        assert (await talk.ask("And on Tuesday?")).text == ANSWER
        assert talk.followed.reasons == []


@pytest.mark.parametrize("kind", ["reset", "error", "garbage"])
async def test_answer_that_was_lost_is_asked_for_anew(vendors: VendorServer, kind: Any) -> None:
    vendors.script.replies = [Reply(text=LONG)]
    vendors.script.faults = {Vendor.REALTIME: Fault(kind=kind, times=1)}
    async with talking(vendors) as talk:
        try:
            assert len((await talk.ask()).text) < len(LONG)
        except llm.RealtimeError:
            assert kind != "reset"
        await eventually(lambda: talk.followed.asked_again == [kind == "reset"])
        assert (await talk.answer()).text == LONG
        assert talk.followed.reasons == []


async def test_model_that_stays_silent_is_asked_anew_and_then_given_up(
    vendors: VendorServer,
) -> None:
    vendors.script.faults = {Vendor.REALTIME: Fault(kind="silent")}
    async with talking(vendors, answer_s=1) as talk:
        with pytest.raises(llm.RealtimeError):
            await talk.ask()
        await eventually(lambda: talk.followed.asked_again == [False])
        with pytest.raises(llm.RealtimeError):
            await talk.answer()
        assert talk.followed.reasons == ["the realtime model answered nothing"]


@pytest.mark.parametrize(("status", "connections"), [(401, 1), (404, 1), (429, 3)])
async def test_refusal_is_told_with_its_status(
    vendors: VendorServer, status: int, connections: int
) -> None:
    vendors.script.faults = {Vendor.REALTIME: Fault(kind="http", status=status)}
    async with talking(vendors) as talk:
        await eventually(lambda: bool(talk.followed.reasons))
        assert talk.followed.reasons == [f"GeminiLive answered {status}"]
        assert len(vendors.journal.of(Vendor.REALTIME)) == connections
        # Nobody waits for it any more.
        assert isinstance(talk.session.generate_reply().exception(), llm.RealtimeError)


async def test_refusal_that_passes_is_outlived(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.REALTIME: Fault(kind="http", status=503, times=2)}
    async with talking(vendors) as talk:
        assert (await talk.ask()).text == ANSWER
        assert talk.followed.reasons == []


async def test_refusal_in_the_middle_of_a_call_is_outlived(vendors: VendorServer) -> None:
    async with talking(vendors) as talk:
        refused = Fault(kind="http", status=503, times=2)
        vendors.script.faults = {Vendor.REALTIME: Fault(kind="error", times=1)}
        asking = asyncio.create_task(talk.ask())
        await eventually(lambda: bool(steps(vendors, "asked")))
        vendors.script.faults = {Vendor.REALTIME: refused}
        with pytest.raises(llm.RealtimeError):
            await asking
        # Asked while nobody listens: whoever does in the end is told, and once.
        assert (await talk.answer()).text == ANSWER
        assert refused.times == 0
        assert talk.followed.asked_again == []
        assert talk.followed.reasons == []
        assert len(steps(vendors, "asked")) == 2


async def test_gemini_is_told_what_it_lacks_before_it_is_asked_anew(vendors: VendorServer) -> None:
    vendors.script.faults = {Vendor.REALTIME: Fault(kind="error", times=1)}
    async with talking(vendors) as talk:
        # From before the question: that is what Gemini will remember.
        await eventually(lambda: talk.session._session_resumption_handle is not None)
        followed = talk.followed.ask_again
        answers: list[Any] = []

        def ask_again(*, has_begun: bool) -> None:
            followed(has_begun=has_begun)
            answers.append(asyncio.create_task(talk.answer()))

        talk.followed.ask_again = ask_again  # type: ignore[method-assign]
        with pytest.raises(llm.RealtimeError):
            await talk.ask(WORDS)
        await eventually(lambda: bool(answers))
        assert (await answers[0]).text == ANSWER
        setup, *told = vendors.journal.of(Vendor.REALTIME)[-1].messages
        assert setup["setup"]["sessionResumption"]["handle"]
        contents = [message["clientContent"] for message in told]
        assert [content["turnComplete"] for content in contents] == [False, True]
        assert WORDS in str(contents[0])


@pytest.mark.parametrize("has_begun", [False, True])
async def test_end_of_an_answer_that_was_cut_off_is_not_the_next_one(
    vendors: VendorServer, has_begun: bool
) -> None:
    vendors.script.replies = [Reply(text="A long story. " * 20)]
    vendors.script.realtime_first_audio_ms, vendors.script.realtime_speed = 300, 2
    async with talking(vendors, answer_s=1) as talk:
        talk.voice()
        talk.take_up(WORDS)
        asked = talk.session.generate_reply()
        await eventually(lambda: asked.done() if has_begun else bool(steps(vendors, "asked")))
        vendors.script.faults = {Vendor.REALTIME: Fault(kind="silent", times=1)}
        talk.voice()
        # As the framework does: an answer that has not begun is given up, one that has is stopped.
        if has_begun:
            talk.session.interrupt()
        else:
            asked.cancel()
        talk.take_up("And on Tuesday?")
        with pytest.raises(llm.RealtimeError):
            async with asyncio.timeout(5):
                await talk.session.generate_reply()
        await eventually(lambda: talk.followed.asked_again == [False])
        assert len(steps(vendors, "cancelled")) == 1
