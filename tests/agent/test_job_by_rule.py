"""A job that a rule of LiveKit SIP's called: it asks which call its room is, then serves it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc

from agent.job import serve
from agent.rule_call import CALLER_S
from agent.settings import AgentSettings
from contracts.ids import SIP_CALL_STATUS, SIP_JOB_METADATA, Channel
from contracts.outcome import Reason
from tests.fakes.call_desk import CallDesk
from tests.fakes.engines import ScriptedEngines
from tests.fakes.phone_room import PhoneRoom
from tests.fakes.spoken_call import CALL_ID, plan
from tests.fakes.virtual_time import virtual_time

CALLER = "sip_+14155550123"
ROOM = "call-_+14155550123_abc"
SIP = rtc.ParticipantKind.PARTICIPANT_KIND_SIP


class Publication:
    """A track that was published; somebody receives it at once."""

    async def wait_for_subscription(self) -> None:
        return


class RuleRoom(PhoneRoom):
    """A room that LiveKit SIP has made for a phone that rings.

    Attributes:
        published: how many audio tracks the agent has published.
    """

    def __init__(self) -> None:
        super().__init__(CALLER)
        self.name = ROOM
        self.published = 0
        self.caller.attributes = {SIP_CALL_STATUS: "ringing", "sip.phoneNumber": "+14155550123"}
        self.caller.kind = SIP

    async def publish_track(self, *_: Any) -> Publication:
        self.published += 1
        return Publication()

    def activate(self) -> None:
        changed = {SIP_CALL_STATUS: "active"}
        self.caller.attributes |= changed
        self.emit("participant_attributes_changed", changed, self.caller)


class RuleJob:
    """Such a job and all it meets."""

    def __init__(self, folder: Path) -> None:
        changes = {"media": "tracks", "caller_identity": CALLER, "room_name": ROOM}
        self.desk = CallDesk(plan(Channel.SIP).model_copy(update=changes))
        self.room = RuleRoom()
        self.job = SimpleNamespace(metadata=SIP_JOB_METADATA)
        self.proc = SimpleNamespace(userdata={})
        self.shutdowns: list[str] = []
        self.join_error: Exception | None = None
        self.scripted = ScriptedEngines()
        self.settings = AgentSettings(
            agent_recordings_dir=folder,
            agent_lines_dir=folder / "lines",
            agent_spool_dir=folder / "spool",
            agent_worker_id="worker",
        )

    async def connect(self, **_: Any) -> None:
        if self.join_error is not None:
            raise self.join_error

    def shutdown(self, reason: str) -> None:
        self.shutdowns.append(reason)

    async def serve(self) -> None:
        context: Any = self
        async with self.desk.client() as client:
            await serve(context, self.settings, client, lambda *_: self.scripted.engines())

    async def until(self, type_: str) -> None:
        async with asyncio.timeout(30):
            while type_ not in self.desk.types():  # noqa: ASYNC110 - virtual time costs nothing
                await asyncio.sleep(0.02)


class FakeSource:
    """Where the bot's voice goes in tests that listen to nobody."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.queued_duration = 0.0

    async def capture_frame(self, _: rtc.AudioFrame) -> None:
        return

    def clear_queue(self) -> None:
        return

    async def aclose(self) -> None:
        return


@pytest.fixture(autouse=True)
def no_native_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtc, "AudioSource", FakeSource)
    monkeypatch.setattr(rtc.LocalAudioTrack, "create_audio_track", lambda *_: None)


@virtual_time
async def test_call_is_asked_for_by_its_room_and_greeted_once_it_is_active(tmp_path: Path) -> None:
    job = RuleJob(tmp_path)
    serving = asyncio.create_task(job.serve())
    await job.until("agent_joined")
    (claim,) = job.desk.room_claims
    assert (claim.room_name, claim.worker_id, claim.caller_identity) == (ROOM, "worker", CALLER)
    assert claim.attributes["sip.phoneNumber"] == "+14155550123"
    await asyncio.sleep(5)
    # It rings: there is a track, so that LiveKit SIP may answer, and nothing else yet.
    assert job.room.published == 1
    assert job.desk.types() == ["agent_joined"]
    job.room.activate()
    await job.until("transcript_line")
    await job.room.leave()
    await serving
    assert job.desk.ended().reason is Reason.CALLER_HUNG_UP
    assert job.shutdowns == ["call ended"]
    assert job.desk.claims == []


@virtual_time
async def test_refused_call_is_left_without_a_sound(tmp_path: Path) -> None:
    job = RuleJob(tmp_path)
    job.desk.refusals["claim"] = (429, "at_capacity")
    await job.serve()
    assert (job.room.published, job.room.tracks, job.desk.facts) == (0, [], [])
    assert job.shutdowns == ["not taken"]


@virtual_time
async def test_claim_whose_answer_was_lost_is_asked_again(tmp_path: Path) -> None:
    job = RuleJob(tmp_path)
    job.desk.lost_answers = 2
    serving = asyncio.create_task(job.serve())
    await job.until("agent_joined")
    await job.room.leave()
    await serving
    assert len(job.desk.room_claims) == 3


@virtual_time
async def test_phone_that_comes_a_moment_later_is_served(tmp_path: Path) -> None:
    job = RuleJob(tmp_path)
    job.room.remote_participants.clear()
    serving = asyncio.create_task(job.serve())
    await asyncio.sleep(CALLER_S / 2)
    assert job.desk.room_claims == []
    job.room.remote_participants[CALLER] = job.room.caller
    job.room.emit("participant_connected", job.room.caller)
    await job.until("agent_joined")
    await job.room.leave()
    await serving


@virtual_time
async def test_room_without_a_phone_is_left(tmp_path: Path) -> None:
    job = RuleJob(tmp_path)
    job.room.caller.kind = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
    began = asyncio.get_running_loop().time()
    await job.serve()
    assert asyncio.get_running_loop().time() - began == CALLER_S
    assert (job.desk.room_claims, job.shutdowns) == ([], ["nobody called"])


@virtual_time
async def test_room_that_closes_meanwhile_is_left(tmp_path: Path) -> None:
    job = RuleJob(tmp_path)
    job.room.remote_participants.clear()
    serving = asyncio.create_task(job.serve())
    await asyncio.sleep(0.1)
    job.room.emit("disconnected", None)
    await serving
    assert job.shutdowns == ["nobody called"]


@virtual_time
async def test_room_that_cannot_be_joined_is_nobodys(tmp_path: Path) -> None:
    job = RuleJob(tmp_path)
    job.join_error = rtc.ConnectError("gone")
    await job.serve()
    assert job.shutdowns == ["no room to serve"]


@virtual_time
async def test_caller_who_gave_up_while_the_call_was_claimed_has_hung_up(tmp_path: Path) -> None:
    job = RuleJob(tmp_path)
    job.desk.crm_answered.clear()
    serving = asyncio.create_task(job.serve())
    await asyncio.sleep(0.1)
    await job.room.leave()
    job.desk.crm_answered.set()
    await serving
    assert job.desk.ended().reason is Reason.CALLER_HUNG_UP
    assert "conversation_started" not in job.desk.types()


@virtual_time
async def test_dialled_phone_that_is_busy_is_not_a_caller_who_hung_up(tmp_path: Path) -> None:
    job = RuleJob(tmp_path)
    serving = asyncio.create_task(job.serve())
    await job.until("agent_joined")
    await job.room.leave(rtc.DisconnectReason.USER_REJECTED)
    await serving
    assert job.desk.ended().reason is Reason.DECLINED
    assert job.desk.ended().detail == ""


@virtual_time
async def test_how_a_dial_went_is_told_first_by_who_placed_it(tmp_path: Path) -> None:
    job = RuleJob(tmp_path)
    changes = {"media": "tracks", "caller_identity": CALLER, "call_direction": "outgoing"}
    job.desk = CallDesk(plan(Channel.DIALOUT).model_copy(update=changes))
    serving = asyncio.create_task(job.serve())
    await job.until("agent_joined")
    left_at = asyncio.get_running_loop().time()
    await job.room.leave(rtc.DisconnectReason.USER_UNAVAILABLE)
    await job.until("agent_ended")
    assert asyncio.get_running_loop().time() - left_at >= 1.0
    await serving
    assert job.desk.ended().reason is Reason.NO_ANSWER


@virtual_time
async def test_journal_bears_the_calls_name(tmp_path: Path) -> None:
    job = RuleJob(tmp_path)
    serving = asyncio.create_task(job.serve())
    await job.until("agent_joined")
    assert any(CALL_ID in path.name for path in (tmp_path / "spool").iterdir())
    await job.room.leave()
    await serving
