"""Browsers' calls through the whole platform: tokens, what they let nobody do, and a full house."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from livekit import api, rtc

from contracts.ids import COMMAND_TOPIC, LEG_NEWS_TOPIC, MEDIA_TOPIC, caller_identity
from sidecar.rooms import LiveKitRooms
from tests.fakes.visitor import Visitor
from tests.integration.bots import TALKER
from tests.integration.listening import hears, words_in
from tests.integration.platform import Platform, running_platform
from tests.integration.waiting import pool, until

BOT = {**TALKER, "opening_message": "Hello {{call.customer_name}}. How can I help you?"}
GET_TOKEN, WIDGET = "/web_call/get_token", "/api/v1/widget/token"
ASKED = {"assistant_id": "talker", "metadata": {"customer_name": "Sam"}}


async def call_of(platform: Platform, call_id: str) -> dict[str, Any]:
    answer = await platform.api.get(f"/api/v1/calls/{call_id}")
    found: dict[str, Any] = answer.json()
    return found


async def in_state(platform: Platform, call_id: str, *states: str) -> dict[str, Any]:
    """Wait until a call stands there."""

    async def arrived() -> bool:
        return (await call_of(platform, call_id))["state"] in states

    await until(arrived, 15)
    return await call_of(platform, call_id)


async def has_waiting(platform: Platform, count: int) -> bool:
    return (await pool(platform)).get("ready", 0) == count


async def attributes_of(platform: Platform, room: str, identity: str) -> dict[str, str]:
    """Return what LiveKit tells others of a participant."""
    environ = platform.fleet.environ
    async with api.LiveKitAPI(
        platform.fleet.livekit_url, environ["LIVEKIT_API_KEY"], environ["LIVEKIT_API_SECRET"]
    ) as livekit:
        who = api.RoomParticipantIdentity(room=room, identity=identity)
        return dict((await livekit.room.get_participant(who)).attributes)


async def refused(url: str, token: str) -> None:
    room = rtc.Room()
    with pytest.raises(rtc.ConnectError):
        await room.connect(url, token)


@pytest.mark.parametrize("standbys", ["0", "1"], ids=["called", "waiting"])
async def test_visitor_with_a_token_talks_to_the_bot_and_forges_nothing(
    tmp_path: Path, standbys: str
) -> None:
    async with running_platform(
        tmp_path, STANDBY_AGENTS=standbys, AGENT_IDLE_PROCESSES="1"
    ) as platform:
        await platform.save_bot("talker", BOT)
        await until(lambda: has_waiting(platform, int(standbys)))
        given = (await platform.api.post(GET_TOKEN, json=ASKED)).json()["data"]
        call_id = given["call_id"]
        prefix = "web-" if standbys == "0" else "standby-"
        assert given["room_name"].startswith(prefix)
        # The agent is there, and waits: nobody has answered yet.
        assert (await call_of(platform, call_id))["state"] == "planned"
        async with Visitor.on_page(given["server_url"], given["token"]) as visitor:
            me = visitor.room.local_participant
            assert (me.identity, me.name) == (caller_identity(call_id), "Website Visitor")
            await visitor.hear_out()
            assert hears("hello sam how can i help you", await words_in(bytes(visitor.heard)))
            await in_state(platform, call_id, "talking")
            for topic in (MEDIA_TOPIC, COMMAND_TOPIC, LEG_NEWS_TOPIC):
                await me.publish_data(b'{"type": "hang_up", "reason": "forged"}', topic=topic)
            # Not every SDK says that the server has refused it.
            with suppress(Exception):
                await me.set_attributes({"sip.callStatus": "hangup", "vf.hold": "1"})
            await visitor.say(platform.voice("When are you open?"))
            await visitor.hear_out()
            assert (await call_of(platform, call_id))["state"] == "talking"
            assert await attributes_of(platform, given["room_name"], me.identity) == {}
        call = await in_state(platform, call_id, "ended")
        result = await platform.receiver.result()
        assert (call["reason"], result["disconnected_by"]) == ("caller_hung_up", "customer")
        assert [line["speaker"] for line in result["transcript"]][:2] == ["bot", "customer"]
        assert result["caller_id"] == "widget-user"


async def test_token_that_expired_opens_nothing(tmp_path: Path) -> None:
    async with running_platform(
        tmp_path, AGENT_IDLE_PROCESSES="1", WEB_MAX_CALLS="1", PLAN_EXPIRY_S="3"
    ) as platform:
        await platform.save_bot("talker", {**BOT, "widget_api_key": "wk"})
        given = (await platform.api.post(GET_TOKEN, json=ASKED)).json()["data"]
        environ = platform.fleet.environ
        key, secret = environ["LIVEKIT_API_KEY"], environ["LIVEKIT_API_SECRET"]
        rooms = LiveKitRooms(given["server_url"], key, secret)
        stale = rooms.visitor_token(
            given["room_name"], "late", text_only=False, ttl=timedelta(minutes=-5)
        )
        await refused(given["server_url"], stale)
        # The house is full for browsers, and says so by both doors.
        knock = {"bot_id": "talker", "api_key": "wk", "text_only": True}
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


async def test_agent_that_never_joins_costs_three_seconds_and_no_slot(tmp_path: Path) -> None:
    async with running_platform(tmp_path, AGENT_IDLE_PROCESSES="1") as platform:
        await platform.save_bot("talker", BOT)
        worker = platform.processes("agent")[0]
        worker.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            answer = await platform.api.post(GET_TOKEN, json=ASKED)
            took_s = time.monotonic() - began
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_agent")
            assert took_s < 4.0
            live = await platform.api.get("/api/v1/calls", params={"state": "planned"})
            assert live.json()["calls"] == []
        finally:
            worker.send_signal(signal.SIGCONT)
