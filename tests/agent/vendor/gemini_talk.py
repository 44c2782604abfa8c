"""Talks to Gemini Live through its plug-in, with a stand-in at the other end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from livekit.agents import llm

from agent.vendor.gemini_live import gemini_live
from contracts.engines import RealtimeConfig
from tests.agent.vendor.realtime_talk import Talk, eventually
from tests.fakes.vendors.server import VendorServer

LONG = "Of course, it is on Monday."


def fields(vendors: VendorServer) -> dict[str, Any]:
    return {"provider": "google", "api_key": "g-key", "base_url": vendors.google}


@asynccontextmanager
async def talking(
    vendors: VendorServer,
    *,
    judges_turns: bool = False,
    is_bot_heard: Callable[[], bool] = lambda: False,
    **config: Any,
) -> AsyncIterator[Talk]:
    chosen = RealtimeConfig.model_validate({**fields(vendors), **config})
    talk = Talk(gemini_live(chosen, judges_turns=judges_turns), is_bot_heard)
    await eventually(lambda: talk.session._active_session is not None or bool(talk.errors))
    try:
        yield talk
    finally:
        await talk.aclose()


async def return_from(talk: Talk, call: llm.FunctionCall) -> None:
    """Tell the model what its tool has found."""
    history = talk.session.chat_ctx.copy()
    found = llm.FunctionCallOutput(
        call_id=call.call_id, name=call.name, output="Monday, 10", is_error=False
    )
    history.items.append(found)
    await talk.session.update_chat_ctx(history)


async def write(talk: Talk, text: str) -> None:
    """Put what was typed, or pressed, into the conversation, as the framework does."""
    history = talk.session.chat_ctx.copy()
    history.add_message(role="user", content=text)
    await talk.session.update_chat_ctx(history)
