"""What tests of browsers' calls through a whole platform share: a bot, a token, a conversation."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from livekit import api

from contracts.ids import COMMAND_TOPIC, LEG_NEWS_TOPIC, MEDIA_TOPIC, caller_identity
from tests.fakes.visitor import Visitor
from tests.integration.bots import TALKER
from tests.integration.listening import hears, words_in
from tests.integration.platform import Platform
from tests.integration.waiting import until

GREETER = {**TALKER, "opening_message": "Hello {{call.customer_name}}. How can I help you?"}
GET_TOKEN = "/web_call/get_token"
ASKED = {"assistant_id": "greeter", "metadata": {"customer_name": "Sam"}}


async def call_of(platform: Platform, call_id: str) -> dict[str, Any]:
    """Return a call as the API tells of it."""
    answer = await platform.api.get(f"/api/v1/calls/{call_id}")
    found: dict[str, Any] = answer.json()
    return found


async def in_state(platform: Platform, call_id: str, *states: str) -> dict[str, Any]:
    """Wait until a call stands there."""

    async def arrived() -> bool:
        return (await call_of(platform, call_id))["state"] in states

    await until(arrived, 25)
    return await call_of(platform, call_id)


async def talk_and_forge_nothing(platform: Platform, rooms: str) -> None:
    """Visit the greeter, in a room that is named so, and try to be more than a visitor."""
    given = (await platform.api.post(GET_TOKEN, json=ASKED)).json()["data"]
    call_id = given["call_id"]
    assert given["room_name"].startswith(rooms)
    # The agent is there, and waits: nobody has answered yet.
    call = await call_of(platform, call_id)
    assert call["state"] == "planned"
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
        assert await _attributes_of(platform, given["room_name"], me.identity) == {}
    call = await in_state(platform, call_id, "ended")
    result = await platform.result_of(call["session_id"])
    assert (call["reason"], result["disconnected_by"]) == ("caller_hung_up", "customer")
    assert [line["speaker"] for line in result["transcript"]][:2] == ["bot", "customer"]
    assert result["caller_id"] == "widget-user"


async def _attributes_of(platform: Platform, room: str, identity: str) -> dict[str, str]:
    """Return what LiveKit tells others of a participant."""
    environ = platform.fleet.environ
    async with api.LiveKitAPI(
        platform.fleet.livekit_url, environ["LIVEKIT_API_KEY"], environ["LIVEKIT_API_SECRET"]
    ) as livekit:
        who = api.RoomParticipantIdentity(room=room, identity=identity)
        return dict((await livekit.room.get_participant(who)).attributes)
