"""A browser that says goodbye and joins anew, against a real LiveKit server."""

from __future__ import annotations

import asyncio
from pathlib import Path

from contracts.outcome import Reason
from tests.fakes.visitor import Visitor
from tests.integration.livekit_server import LiveKitServer
from tests.integration.test_web_call import stage


async def test_call_outlives_a_goodbye_after_which_its_browser_joins_anew(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    async with stage(livekit_server, tmp_path, text_only=True) as call:
        url, token = livekit_server.url, call.token()
        async with Visitor.on_page(url, token, microphone=False) as before:
            await before.until_read(call.bot, "how can i help you")
            # As `livekit-client` does where it cannot resume: the same words as a closed tab's.
            await before.room.disconnect()
        await asyncio.sleep(1)
        async with Visitor.on_page(url, token, microphone=False) as visitor:
            await visitor.type("When are you open?")
            await visitor.until_read(call.bot, "until two")
            # Longer than anybody waited for it.
            await asyncio.sleep(3)
            assert "agent_ended" not in call.desk.types()
            await visitor.room.disconnect()
            assert await call.over(8) is Reason.CALLER_HUNG_UP
