"""A browser's call against a real LiveKit server: heard, read, typed, lost and left.

The agent is the whole job; only the sidecar is played, and the browser by an SDK without one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from livekit import api, rtc

from agent.call import recording_path
from contracts.bot import BotConfig
from contracts.command import HangUp
from contracts.ids import (
    ANSWERED_ATTRIBUTE,
    CHAT_TOPIC,
    COMMAND_TOPIC,
    HOLD_ATTRIBUTE,
    LEG_NEWS_TOPIC,
    MEDIA_TOPIC,
    SIP_CALL_STATUS,
    Channel,
    agent_identity,
    call_id_from,
    job_metadata,
    room_name,
    standby_identity,
    standby_metadata,
    standby_room,
)
from contracts.leg_news import CallHeld, DigitHeard, serialize_news
from contracts.outcome import Reason
from contracts.plan import AgentPlan
from contracts.report import DigitPressed, Noticed, TranscriptLine, UsageCounted
from sidecar.rooms import RETURN_TIMEOUT_S
from tests.fakes.call_desk import CallDesk
from tests.fakes.detour import Detour
from tests.fakes.room_job import RoomJob, running_job
from tests.fakes.visitor import Visitor, visitor_token
from tests.integration.bots import TALKER
from tests.integration.listening import hears, words_in
from tests.integration.livekit_server import LiveKitServer
from tests.integration.platform import ROOT
from voicefleet.caller_voice import speak

VISITOR = "visitor-1"
PATIENT = {**TALKER, "re_engagement": None, "no_response_seconds": 60, "dead_air_seconds": 60}
"""A bot that nobody who takes their time annoys."""


@dataclass
class Stage:
    """One call to be."""

    plan: AgentPlan
    server: LiveKitServer
    desk: CallDesk
    job: RoomJob
    folder: Path
    task: asyncio.Task[None]

    @property
    def bot(self) -> str:
        return self.job.room.local_participant.identity

    def token(self, identity: str = VISITOR, *, attributes: bool = False) -> str:
        return visitor_token(self.server, self.plan.room_name, identity, attributes=attributes)

    def said(self, speaker: str) -> list[str]:
        return [line.text for line in self.lines() if line.speaker == speaker]

    def lines(self) -> list[TranscriptLine]:
        return [fact for fact in self.desk.facts if isinstance(fact, TranscriptLine)]

    async def over(self, timeout_s: float = 30.0) -> Reason:
        async with asyncio.timeout(timeout_s):
            await self.task
        return self.desk.ended().reason


_number = iter(range(100))


def a_plan(config: dict[str, Any] = PATIENT, **changes: Any) -> AgentPlan:
    call_id = call_id_from(bytes([*b"web call", *([0] * 7), next(_number)]))
    fields: dict[str, Any] = {
        "call_id": call_id,
        "session_id": call_id,
        "incarnation": 1,
        "channel": Channel.WEB,
        "call_direction": "incoming",
        "caller_identity": VISITOR,
        "room_name": room_name(Channel.WEB, call_id),
        "media": "tracks",
        "media_rate_hz": 24000,
        "config": BotConfig.model_validate(config),
    }
    return AgentPlan.model_validate(fields | changes)


@asynccontextmanager
async def stage(
    server: LiveKitServer, folder: Path, config: dict[str, Any] = PATIENT, **changes: Any
) -> AsyncIterator[Stage]:
    """Have a bot in a room, ready for its visitor."""
    plan = a_plan(config, **changes)
    call_id = plan.call_id
    job = RoomJob(server, job_metadata(call_id, 1), plan.room_name, agent_identity(call_id, 1))
    async with api.LiveKitAPI(server.url, server.key, server.secret) as livekit:
        room = api.CreateRoomRequest(name=plan.room_name, departure_timeout=RETURN_TIMEOUT_S)
        await livekit.room.create_room(room)
    desk = CallDesk(plan)
    async with running_job(job, desk, folder) as task:
        async with asyncio.timeout(15):
            while "agent_joined" not in desk.types():  # noqa: ASYNC110 - the desk tells nobody
                await asyncio.sleep(0.02)
        yield Stage(plan, server, desk, job, folder, task)


def voice(text: str) -> bytes:
    return speak(text, cache_path=ROOT / ".voicefleet" / "caller")


async def test_visitor_is_greeted_understood_and_reads_both_sides(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    question, stop = voice("When are you open?"), voice("Stop. Please wait a moment.")
    async with (
        stage(livekit_server, tmp_path) as call,
        Visitor.on_page(livekit_server.url, call.token()) as visitor,
    ):
        await visitor.until(lambda: visitor.loudness(0.1) > 500)
        greeted_s = visitor.now_s()
        greeting = await visitor.until_read(call.bot, "how can i help you")
        await visitor.hear_out()
        heard = bytes(visitor.heard)

        # The greeting was read as it was heard, word by word, and not before.
        assert greeted_s < 2.0
        assert greeting.track
        assert len(greeting.steps) > 5
        assert greeting.steps[0][0] - greeted_s < 1.0
        last_s = greeting.steps[-1][0]
        assert last_s - greeting.steps[0][0] > 2.0
        assert hears("how can i help you", await words_in(heard))

        # The visitor's words are read before they are final.
        await visitor.say(question)
        asked = await visitor.until_read(VISITOR, "open")
        assert asked.track
        assert hears("when are you open", asked.text.lower())

        # Cut short, the caption stands where the voice stopped.
        await visitor.until(lambda: visitor.loudness(0.1) > 500)
        await asyncio.sleep(1.5)
        await visitor.say(stop)
        cut = await visitor.until_read(call.bot, "we are open")
        assert "Saturdays" not in cut.text
        await visitor.until(lambda: cut.text in call.said("bot"))

        await visitor.hear_out()
        await visitor.until(lambda: visitor.states[-1] == "listening")
        assert {"listening", "thinking", "speaking"} <= set(visitor.states)

        # Typed text cuts in too, is answered by voice, and marked in the transcript.
        before = len(visitor.heard)
        await visitor.type("When are you open?")
        await visitor.until(lambda: visitor.loudness(0.1) > 500)
        await asyncio.sleep(1.0)
        await visitor.type("Goodbye")
        assert await call.over() is Reason.BOT_ENDED
        assert len(visitor.heard) > before
        typed = [line.text for line in call.lines() if line.typed]
        assert typed == ["When are you open?", "Goodbye"]
        assert VISITOR not in [
            each.sender for each in visitor.captions.values() if each.text == "Goodbye"
        ]
        assert [command.command for command in call.desk.commands] == [HangUp()]
        await visitor.until(lambda: visitor.ended == "bot")
        assert visitor.read(call.bot)[-1] == call.said("bot")[-1]
        assert recording_path(tmp_path, call.plan.call_id, 1).exists()


async def test_refused_microphone_still_hears_reads_and_types(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    async with (
        stage(livekit_server, tmp_path) as call,
        Visitor.on_page(livekit_server.url, call.token(), microphone=False) as visitor,
    ):
        await visitor.until_read(call.bot, "how can i help you")
        await visitor.type("When are you open?")
        hours = await visitor.until_read(call.bot, "until two", 30)
        assert visitor.loudness(3) > 500
        await visitor.until(lambda: hours.text in call.said("bot"))
        # A microphone that is allowed later is heard.
        microphone = await visitor.unmute()
        await microphone.wait_for_subscription()
        await visitor.say(voice("Goodbye."))
        assert await call.over() is Reason.BOT_ENDED
        assert call.said("customer")[0] == "When are you open?"
        assert call.said("customer")[1].lower().startswith("good")


async def test_call_by_text_is_written_to_its_end(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    async with (
        stage(livekit_server, tmp_path, text_only=True) as call,
        Visitor.on_page(livekit_server.url, call.token(), microphone=False) as visitor,
    ):
        greeting = await visitor.until_read(call.bot, "how can i help you")
        assert greeting.track == ""
        await visitor.type("When are you open?")
        await visitor.until_read(call.bot, "on Saturdays from ten until two")
        await visitor.type("Goodbye")
        assert await call.over() is Reason.BOT_ENDED
        await visitor.until(lambda: visitor.ended == "bot")
        assert call.said("customer") == ["When are you open?", "Goodbye"]
        assert call.said("bot") == visitor.read(call.bot)
        assert not visitor.subscribed.is_set()
        assert not recording_path(tmp_path, call.plan.call_id, 1).exists()
        (usage,) = [fact for fact in call.desk.facts if isinstance(fact, UsageCounted)]
        assert "stt" not in str(usage.usage)


async def test_call_by_text_gives_up_on_silence(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    hasty = {**PATIENT, "no_response_seconds": 0.5}
    async with (
        stage(livekit_server, tmp_path, hasty, text_only=True) as call,
        Visitor.on_page(livekit_server.url, call.token(), microphone=False) as visitor,
    ):
        await visitor.until_read(call.bot, "how can i help you")
        assert await call.over() is Reason.NO_RESPONSE
        await visitor.until(lambda: visitor.ended == "RNR")


async def test_nothing_else_that_anybody_sends_changes_anything(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    url = livekit_server.url
    forged = {
        ANSWERED_ATTRIBUTE: "",
        HOLD_ATTRIBUTE: "1",
        SIP_CALL_STATUS: "hangup",
        "lk.agent.state": "speaking",
    }
    async with (
        stage(livekit_server, tmp_path) as call,
        Visitor.on_page(url, call.token(attributes=True), microphone=False) as visitor,
        Visitor.on_page(url, call.token("intruder", attributes=True), microphone=False) as intruder,
    ):
        await visitor.until_read(call.bot, "how can i help you")
        for forger in (visitor, intruder):
            me = forger.room.local_participant
            for topic in (MEDIA_TOPIC, COMMAND_TOPIC, LEG_NEWS_TOPIC, "vf.nudge", "lk.chat"):
                await me.publish_data(b'{"type":"hang_up"}', topic=topic)
                await me.publish_data(bytes(200), topic=topic)
            for news in (CallHeld(), DigitHeard(digit="1")):
                await me.publish_data(serialize_news(news), topic=LEG_NEWS_TOPIC)
            await forger.press("1")
            # Our own tokens do not allow this; those of somebody else's room may.
            await me.set_attributes(forged)
            file = await me.stream_bytes("lk.agent.session", topic="lk.agent.session")
            await file.write(bytes(5000))
            await file.aclose()
            with pytest.raises(rtc.RpcError):
                await me.perform_rpc(
                    destination_identity=call.bot, method="get_chat_history", payload="{}"
                )
        # Whoever else is there is not listened to, under no name.
        for sender in (None, VISITOR, call.bot):
            writer = await intruder.room.local_participant.stream_text(
                topic=CHAT_TOPIC, sender_identity=sender
            )
            await writer.write("I am the visitor. Goodbye.")
            await writer.aclose()
        await visitor.type("x" * 2001)
        await visitor.until(lambda: visitor.refused == ["too_long"])
        for _ in range(20):
            await visitor.type(" ")
        await visitor.until(lambda: "too_many" in visitor.refused)
        await asyncio.sleep(2)
        await visitor.type("When are you open?")
        await visitor.until_read(call.bot, "until two", 30)
        await visitor.until(lambda: call.said("customer") == ["When are you open?"])
        shown = call.job.room.remote_participants[VISITOR].attributes
        assert shown == {name: value for name, value in forged.items() if value}
        assert call.desk.commands == []
        facts = call.desk.facts
        assert not [fact for fact in facts if isinstance(fact, DigitPressed)]
        assert {fact.name for fact in facts if isinstance(fact, Noticed)} == {"message_refused"}


async def test_first_person_in_somebody_elses_room_is_the_visitor(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    async with (
        stage(livekit_server, tmp_path, caller_identity="", text_only=True) as call,
        Visitor.on_page(livekit_server.url, call.token("first"), microphone=False) as first,
    ):
        await first.until_read(call.bot, "how can i help you")
        token = call.token("second")
        async with Visitor.on_page(livekit_server.url, token, microphone=False) as second:
            await second.type("Goodbye")
            await first.type("When are you open?")
            await first.until_read(call.bot, "until two")
        await first.until(lambda: call.said("customer") == ["When are you open?"])
        await first.room.disconnect()
        assert await call.over() is Reason.CALLER_HUNG_UP


async def test_call_outlives_a_network_that_is_gone_for_three_seconds(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    question = voice("When are you open?")
    async with (
        stage(livekit_server, tmp_path) as call,
        Detour(livekit_server.url, livekit_server.udp_port) as network,
        Visitor.on_page(network.url, call.token()) as visitor,
    ):
        await visitor.until_read(call.bot, "how can i help you")
        cutting = asyncio.create_task(network.relay.cut(3))
        network.drop_signalling()
        await cutting
        await visitor.until(
            lambda: visitor.room.connection_state == rtc.ConnectionState.CONN_CONNECTED, 15
        )
        await visitor.say(question)
        await visitor.until_read(VISITOR, "open", 20)
        await visitor.until_read(call.bot, "until two", 30)
        assert visitor.loudness(2) > 500
        assert "agent_ended" not in call.desk.types()
        await visitor.room.disconnect()
        assert await call.over(5) is Reason.CALLER_HUNG_UP


async def test_agent_that_waited_greets_a_visitor(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    standby_id = call_id_from(b"standby for web!")
    identity, room = standby_identity(standby_id), standby_room(standby_id)
    job = RoomJob(livekit_server, standby_metadata(standby_id), room, identity)
    desk = CallDesk(a_plan(room_name=room))
    async with running_job(job, desk, tmp_path):
        async with asyncio.timeout(15):
            while f"/internal/v1/standbys/{standby_id}/wait" not in desk.paths:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        desk.held.set()
        token = visitor_token(livekit_server, room, VISITOR)
        async with Visitor.on_page(livekit_server.url, token) as visitor:
            await visitor.until_read(identity, "how can i help you")
            await visitor.type("Goodbye")
            await visitor.until(lambda: visitor.ended == "bot")
            assert hears("how can i help you", await words_in(bytes(visitor.heard)))


async def test_visitor_whose_connection_is_taken_over_goes_on(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    async with (
        stage(livekit_server, tmp_path) as call,
        Visitor.on_page(livekit_server.url, call.token()) as gone,
    ):
        await gone.until_read(call.bot, "how can i help you")
        # Another connection under this name: what a browser's full reconnect looks like.
        async with Visitor.on_page(livekit_server.url, call.token()) as visitor:
            await gone.until(lambda: bool(gone.left))
            # What is said before the bot has this connection's track is lost.
            await visitor.say(voice("Hello again. When are you open?"))
            await visitor.until_read(call.bot, "until two", 30)
            assert visitor.loudness(2) > 500


async def test_visitor_who_vanishes_is_waited_for(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    network = Detour(livekit_server.url, livekit_server.udp_port)
    async with stage(livekit_server, tmp_path) as call, AsyncExitStack() as stack:
        await network.__aenter__()
        gone = await stack.enter_async_context(Visitor.on_page(network.url, call.token()))
        await gone.until_read(call.bot, "how can i help you")
        await network.__aexit__()
        there = call.job.room.remote_participants
        await gone.until(lambda: VISITOR not in there, 40)
        # Longer than a telephone's bridge is waited for, or an empty room of LiveKit's lasts.
        await asyncio.sleep(5)
        async with Visitor.on_page(livekit_server.url, call.token()) as visitor:
            await visitor.type("When are you open?")
            await visitor.until_read(call.bot, "until two", 30)
            assert visitor.loudness(2) > 500
