"""Talks to OpenAI Realtime through its plug-in, with a stand-in at the other end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agent.vendor.openai_realtime import openai_realtime
from contracts.engines import RealtimeConfig
from tests.agent.vendor.realtime_talk import Talk
from tests.fakes.vendors.server import VendorServer


def fields(vendors: VendorServer) -> dict[str, Any]:
    return {"provider": "openai", "api_key": "oa-key", "base_url": vendors.openai}


@asynccontextmanager
async def talking(
    vendors: VendorServer, *, judges_turns: bool = False, **config: Any
) -> AsyncIterator[Talk]:
    chosen = RealtimeConfig.model_validate({**fields(vendors), **config})
    talk = Talk(openai_realtime(chosen, judges_turns=judges_turns))
    try:
        yield talk
    finally:
        await talk.aclose()
