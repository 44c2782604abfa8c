"""Browsers' calls through the whole platform: tokens, what they let nobody do, and a full house."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from livekit import rtc

from sidecar.rooms import LiveKitRooms
from tests.fakes.visitor import Visitor
from tests.integration.platform import Platform, running_platform
from tests.integration.web_visit import (
    ASKED,
    GET_TOKEN,
    GREETER,
    in_state,
    talk_and_forge_nothing,
)

WIDGET = "/api/v1/widget/token"


async def refused(url: str, token: str) -> None:
    room = rtc.Room()
    with pytest.raises(rtc.ConnectError):
        await room.connect(url, token)


@pytest.mark.asyncio(loop_scope="session")
async def test_visitor_with_a_token_talks_to_the_bot_and_forges_nothing(fleet: Platform) -> None:
    await fleet.save_bot("greeter", GREETER)
    await talk_and_forge_nothing(fleet, "web-")


async def test_token_that_expired_opens_nothing(tmp_path: Path) -> None:
    async with running_platform(
        tmp_path,
        AGENT_IDLE_PROCESSES="1",
        WEB_MAX_CALLS="1",
        PLAN_EXPIRY_S="10",
        WEB_JOIN_TIMEOUT_S="10",
    ) as platform:
        await platform.save_bot("greeter", {**GREETER, "widget_api_key": "wk"})
        given = (await platform.api.post(GET_TOKEN, json=ASKED)).json()["data"]
        environ = platform.fleet.environ
        key, secret = environ["LIVEKIT_API_KEY"], environ["LIVEKIT_API_SECRET"]
        rooms = LiveKitRooms(given["server_url"], key, secret)
        stale = rooms.visitor_token(
            given["room_name"], "late", text_only=False, ttl=timedelta(minutes=-5)
        )
        await refused(given["server_url"], stale)
        # The house is full for browsers, and says so by both doors.
        knock = {"bot_id": "greeter", "api_key": "wk", "text_only": True}
        for path, body in ((GET_TOKEN, ASKED), (WIDGET, knock)):
            full = await platform.api.post(path, json=body)
            assert (full.status_code, full.json()["error"]["code"]) == (503, "at_capacity")
        # Nobody came: the slot is free again, and nobody is blamed but them.
        call = await in_state(platform, given["call_id"], "ended")
        assert call["reason"] == "abandoned"
        entry = await platform.api.post(WIDGET, json=knock)
        assert entry.status_code == 201, entry.text
        token = entry.json()["participant_token"]
        async with Visitor.on_page(entry.json()["server_url"], token, microphone=False) as visitor:
            await visitor.until(lambda: bool(visitor.captions))
            with pytest.raises(Exception, match=r"permission|denied|publish|timed"):
                await visitor.unmute()
