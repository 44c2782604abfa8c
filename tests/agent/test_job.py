"""One job from claim to last report, with a fake sidecar and a fake room in virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from livekit import rtc

from agent.call import recording_path
from agent.job import is_worth_a_line, serve
from agent.providers import build_engines
from agent.recording import is_being_written
from agent.settings import AgentSettings
from contracts.bot import BotConfig
from contracts.ids import (
    ANSWERED_ATTRIBUTE,
    PRESENCE_TRACK,
    Channel,
    caller_identity,
    job_metadata,
    standby_metadata,
)
from contracts.outcome import Reason
from contracts.plan import AgentPlan
from contracts.report import Noticed
from tests.fakes.call_desk import CallDesk
from tests.fakes.engines import ScriptedEngines
from tests.fakes.phone_room import PhoneRoom
from tests.fakes.virtual_time import virtual_time
from tests.fakes.written_room import WrittenRoom

CALL_ID = "6f1c7d52-92a4-4c5e-9a39-0d3c1f0a7b11"
STANDBY_ID = "11111111-92a4-4c5e-9a39-0d3c1f0a7b11"


def plan(**config: Any) -> AgentPlan:
    return AgentPlan(
        call_id=CALL_ID,
        session_id=CALL_ID,
        incarnation=1,
        channel=Channel.WEBSOCKET,
        call_direction="incoming",
        caller_identity=caller_identity(CALL_ID),
        config=BotConfig.model_validate({"opening_message": "Hello there.", **config}),
    )


class Job:
    """A dispatched job and all it meets."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.desk = CallDesk(plan(**config))
        self.room = PhoneRoom(caller_identity(CALL_ID))
        self.job = SimpleNamespace(metadata=job_metadata(CALL_ID, 1))
        self.proc = SimpleNamespace(userdata={})
        self.shutdowns: list[str] = []
        self.rehearsals = 0
        self.join_error: Exception | None = None
        self.build: Callable[..., Any] = lambda *_: ScriptedEngines().engines()
        self.path = recording_path(folder, CALL_ID, 1)
        self.settings = AgentSettings(
            agent_recordings_dir=folder,
            agent_lines_dir=folder / "lines",
            agent_spool_dir=folder / "spool",
            agent_worker_id="worker",
        )

    async def connect(self, **_: Any) -> None:
        if self.join_error is not None:
            raise self.join_error

    async def rehearse(self) -> None:
        self.rehearsals += 1

    def shutdown(self, reason: str) -> None:
        self.shutdowns.append(reason)

    async def serve(self) -> None:
        context: Any = self
        async with self.desk.client() as client:
            await serve(context, self.settings, client, self.build, self.rehearse)
        await self.room.stop()

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not happened():  # noqa: ASYNC110 - virtual time costs nothing
                await asyncio.sleep(0.02)

    def answer(self) -> None:
        self.room.answer()
        self.room.caller.attributes[ANSWERED_ATTRIBUTE] = "1"
        self.room.emit("participant_attributes_changed", {}, self.room.caller)


@asynccontextmanager
async def talking(job: Job) -> AsyncIterator[asyncio.Task[None]]:
    """Yield the serving task once the bot has said its first line."""
    serving = asyncio.create_task(job.serve())
    await job.until(lambda: "agent_joined" in job.desk.types())
    job.answer()
    await job.until(lambda: "transcript_line" in job.desk.types())
    yield serving
    await serving


@virtual_time
async def test_call_is_served_from_claim_to_recording(tmp_path: Path) -> None:
    job = Job(tmp_path)
    async with talking(job):
        await job.room.leave()
    assert job.desk.claims[0].worker_id == "worker"
    assert job.desk.types()[:2] == ["agent_joined", "conversation_started"]
    assert job.desk.ended().reason is Reason.CALLER_HUNG_UP
    assert job.desk.types()[-1] == "agent_ended"
    # Complete, and left to the worker's main process.
    assert job.path.read_bytes().startswith(b"RIFF")
    assert not is_being_written(job.path)
    assert job.desk.offers == []
    assert job.shutdowns == ["call ended"]


@virtual_time
async def test_call_already_answered_is_greeted_once(tmp_path: Path) -> None:
    job = Job(tmp_path)
    async with talking(job):
        job.answer()
        await asyncio.sleep(3)
        await job.room.leave()
    assert job.desk.types().count("conversation_started") == 1
    assert job.desk.types().count("transcript_line") == 1


@virtual_time
async def test_refused_claim_leaves_without_a_sound(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.desk.refusals["claim"] = (409, "stale_incarnation")
    await job.serve()
    assert (job.room.tracks, job.room.packets, job.desk.facts) == ([], [], [])
    assert job.shutdowns == ["not taken"]


@virtual_time
async def test_claim_whose_answer_was_lost_is_asked_again(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.desk.lost_answers = 2
    async with talking(job):
        await job.room.leave()
    assert len(job.desk.claims) == 3


@virtual_time
async def test_claimed_call_whose_room_cannot_be_joined_is_ended(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.join_error = rtc.ConnectError("gone")
    await job.serve()
    assert job.desk.types() == ["agent_ended"]
    assert job.desk.ended().reason is Reason.ROOM_LOST


@virtual_time
async def test_bot_nobody_can_serve_ends_as_invalid(tmp_path: Path) -> None:
    job = Job(tmp_path, stt={"provider": "nobody"})
    job.build = build_engines
    await job.serve()
    assert job.desk.ended().reason is Reason.CONFIG_INVALID
    assert "nobody" in job.desk.ended().detail


@virtual_time
async def test_engines_that_break_end_the_call(tmp_path: Path) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    job = Job(tmp_path)
    job.build = broken
    await job.serve()
    assert job.desk.ended().reason is Reason.PIPELINE_FAILED


@virtual_time
async def test_recording_that_fails_is_noticed_once_and_does_not_end_the_call(
    tmp_path: Path,
) -> None:
    in_the_way = tmp_path / "recordings"
    in_the_way.write_text("no folder can be made here")
    job = Job(in_the_way)
    async with talking(job):
        await asyncio.sleep(2)
        await job.room.leave()
    noticed = [fact.name for fact in job.desk.facts if isinstance(fact, Noticed)]
    assert noticed.count("recording_failed") == 1
    assert job.desk.ended().reason is Reason.CALLER_HUNG_UP


@virtual_time
async def test_lost_bridge_may_come_back_within_its_grace(tmp_path: Path) -> None:
    job = Job(tmp_path)
    async with talking(job) as serving:
        await job.room.leave(None)
        await asyncio.sleep(1)
        job.room.remote_participants[job.room.caller.identity] = job.room.caller
        job.room.answer()
        await asyncio.sleep(4)
        assert not serving.done()
        await job.room.leave(rtc.DisconnectReason.SIGNAL_CLOSE)
    assert job.desk.ended().reason is Reason.BRIDGE_LOST


class Visit(Job):
    """A job whose caller is a visitor of a web page, who reads and writes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.room = WrittenRoom(caller_identity(CALL_ID))
        assert self.desk.plan is not None
        is_web = {"channel": Channel.WEB, "media": "tracks", "text_only": True}
        self.desk.plan = self.desk.plan.model_copy(update=is_web)

    def join(self) -> None:
        self.room.remote_participants[self.room.caller.identity] = self.room.caller
        self.room.emit("participant_connected", self.room.caller)


@virtual_time
async def test_browser_that_says_goodbye_and_joins_anew_goes_on_with_its_call(
    tmp_path: Path,
) -> None:
    job = Visit(tmp_path)
    async with talking(job) as serving:
        await job.room.leave()
        await asyncio.sleep(2)
        job.join()
        await asyncio.sleep(5)
        assert not serving.done()
        left_at = datetime.now(UTC)
        await job.room.leave()
        await asyncio.sleep(4)
    ended = job.desk.ended()
    assert ended.reason is Reason.CALLER_HUNG_UP
    assert ended.at - left_at < timedelta(seconds=1)


@virtual_time
async def test_lost_room_ends_the_call(tmp_path: Path) -> None:
    job = Job(tmp_path)
    async with talking(job):
        await job.room.disconnect()
    assert job.desk.ended().reason is Reason.ROOM_LOST
    assert job.room.commands == []


@virtual_time
async def test_replaced_agent_falls_silent_and_leaves_at_once(tmp_path: Path) -> None:
    job = Job(tmp_path, re_engagement={"messages": ["Are you there?"], "after_seconds": 4})
    async with talking(job):
        job.desk.refusals["reports"] = (409, "stale_incarnation")
        sent = len(job.room.packets)
        await job.until(lambda: job.room.disconnects > 0)
    assert "agent_ended" not in job.desk.types()
    assert job.room.commands == []
    assert len(job.room.packets) - sent < 20


@virtual_time
async def test_stopping_worker_still_reports_the_end(tmp_path: Path) -> None:
    job = Job(tmp_path)
    serving = asyncio.create_task(job.serve())
    await job.until(lambda: "agent_joined" in job.desk.types())
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert job.desk.ended().reason is Reason.AGENT_LOST


class Waiting(Job):
    """A job that was there before its call."""

    def __init__(self, folder: Path, *, is_seated: bool = True, **config: Any) -> None:
        super().__init__(folder, **config)
        self.job.metadata = standby_metadata(STANDBY_ID)
        assert self.desk.plan is not None
        self.desk.plan = self.desk.plan.model_copy(update={"is_seated": is_seated})

    async def until_ready(self) -> None:
        await self.until(lambda: self.room.tracks == [PRESENCE_TRACK])
        await asyncio.sleep(5)


@virtual_time
async def test_agent_that_waited_speaks_as_soon_as_it_is_woken(tmp_path: Path) -> None:
    job = Waiting(tmp_path)
    serving = asyncio.create_task(job.serve())
    await job.until_ready()
    assert (job.room.packets, job.rehearsals) == ([], 1)
    job.room.answer()
    job.desk.held.set()
    await job.until(lambda: "transcript_line" in job.desk.types())
    assert [claim.incarnation for claim in job.desk.claims] == [1]
    assert job.room.tracks == [PRESENCE_TRACK]
    await job.room.leave()
    await serving
    assert job.desk.ended().reason is Reason.CALLER_HUNG_UP
    assert job.shutdowns == ["call ended"]


@virtual_time
async def test_agent_that_waited_speaks_to_nobody_who_has_not_answered(tmp_path: Path) -> None:
    job = Waiting(tmp_path, is_seated=False)
    serving = asyncio.create_task(job.serve())
    await job.until_ready()
    job.desk.held.set()
    await job.until(lambda: "agent_joined" in job.desk.types())
    await asyncio.sleep(1)
    assert job.room.packets == []
    job.answer()
    await job.until(lambda: "transcript_line" in job.desk.types())
    await job.room.leave()
    await serving


@virtual_time
async def test_agent_that_waited_and_came_too_late_is_never_noticed(tmp_path: Path) -> None:
    job = Waiting(tmp_path)
    job.desk.refusals["claim"] = (409, "stale_incarnation")
    serving = asyncio.create_task(job.serve())
    await job.until_ready()
    job.room.answer()
    job.desk.held.set()
    await serving
    assert (job.room.packets, job.room.commands, job.desk.facts) == ([], [], [])
    assert not job.path.exists()
    assert job.shutdowns == ["not taken"]


@virtual_time
async def test_agent_that_nobody_needs_leaves(tmp_path: Path) -> None:
    job = Waiting(tmp_path)
    job.desk.refusals["wait"] = (410, "standby_gone")
    await job.serve()
    assert job.shutdowns == ["not needed"]


@virtual_time
async def test_agent_without_a_room_to_wait_in_leaves(tmp_path: Path) -> None:
    job = Waiting(tmp_path)
    job.join_error = rtc.ConnectError("gone")
    await job.serve()
    assert job.shutdowns == ["no room to wait in"]


@virtual_time
async def test_opening_line_is_kept_only_where_it_is_everybodys(tmp_path: Path) -> None:
    for is_fixed in (False, True):
        job = Job(tmp_path)
        assert job.desk.plan is not None
        job.desk.plan = job.desk.plan.model_copy(update={"opening_is_fixed": is_fixed})
        async with talking(job):
            await job.room.leave()
        assert len(list((tmp_path / "lines").glob("*.wav"))) == is_fixed


def test_streams_that_nobody_listens_to_fill_no_log() -> None:
    def record(message: str) -> logging.LogRecord:
        return logging.LogRecord("root", logging.INFO, "room.py", 1, message, ("topic",), None)

    assert is_worth_a_line(record("connection lost on '%s'"))
    assert not is_worth_a_line(record("ignoring text stream with topic '%s', no callback attached"))
    assert not is_worth_a_line(record("ignoring byte stream with topic '%s', no callback attached"))
