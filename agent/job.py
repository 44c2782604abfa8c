"""One job = one call: claim the plan, hold the conversation, store the recording, report.

A job may be there before its call: then it waits, and claims the call it is given.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext, JobProcess
from livekit.rtc.participant import PublishDataTrackError
from pydantic import ValidationError

from agent.account import Account
from agent.conversation import Conversation
from agent.ending import Ending
from agent.line_cache import LineCache, Synthesize
from agent.providers import ConfigUnusable, Engines, OnIntent, build_engines
from agent.recording import Recorder
from agent.room_audio import MediaLink
from agent.settings import AgentSettings
from agent.speech import load, rehearse
from agent.standby import rehearse_conversation, wait_for_call
from contracts.ids import (
    ANSWERED_ATTRIBUTE,
    PRESENCE_TRACK,
    parse_job_metadata,
    parse_standby_metadata,
)
from contracts.log import configure_logging
from contracts.outcome import Reason
from contracts.plan import AgentPlan, Claim
from contracts.report import AgentEnded, AgentJoined, Fact, Noticed, Source
from sidecar.client import Refused, Reporter, SidecarClient, SidecarError, Unavailable

log = structlog.get_logger(__name__)

BuildEngines = Callable[[AgentPlan, OnIntent], Engines]

_CLAIM_ATTEMPTS = 3
_CLAIM_PAUSE_S = 0.1
_FLUSH_S = 10.0
_TLS = "tls"
_REJOIN_GRACE_S = 3.0
_UPLOAD_S = 8.0


def warm_up(process: JobProcess) -> None:
    """Get a child process ready, so that its call finds everything loaded and run once."""
    configure_logging(AgentSettings().log_level)
    load()
    rehearse()
    rtc.AudioResampler(8000, 16000)  # starts the SDK's native runtime
    process.userdata[_TLS] = ssl.create_default_context()


async def serve_call(ctx: JobContext) -> None:
    """Serve the call a dispatch names: the worker's entrypoint."""
    settings = AgentSettings()
    async with SidecarClient(
        settings.sidecar_url, settings.voxcore_secret, tls=ctx.proc.userdata[_TLS]
    ) as client:
        await serve(ctx, settings, client)


async def serve(
    ctx: JobContext,
    settings: AgentSettings,
    client: SidecarClient,
    build: BuildEngines = build_engines,
) -> None:
    """Claim the call and serve it. Whatever goes wrong once it is ours becomes its ending."""
    joining = asyncio.create_task(ctx.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE))
    standby_id = parse_standby_metadata(ctx.job.metadata)
    if standby_id:
        await _serve_from_standby(ctx, settings, client, build, joining, standby_id)
        return
    call_id, incarnation = parse_job_metadata(ctx.job.metadata)
    structlog.contextvars.bind_contextvars(call_id=call_id, incarnation=incarnation)
    claiming = asyncio.create_task(
        _claim(client, call_id, Claim(incarnation=incarnation, worker_id=ctx.worker_id))
    )
    try:
        plan = await claiming
    except SidecarError as error:
        await asyncio.gather(joining, return_exceptions=True)
        _leave_unserved(ctx, error)
        return
    await _serve_claimed(ctx, settings, client, build, plan, joining, claiming)


async def _serve_from_standby(
    ctx: JobContext,
    settings: AgentSettings,
    client: SidecarClient,
    build: BuildEngines,
    joining: asyncio.Task[None],
    standby_id: str,
) -> None:
    """Wait for a call, and get ready for it while its claim is on the way."""
    structlog.contextvars.bind_contextvars(standby_id=standby_id)
    await joining
    await asyncio.gather(be_seen(ctx.room), rehearse_conversation())
    plan = await wait_for_call(client, ctx.room, standby_id, ctx.worker_id)
    if plan is None:
        ctx.shutdown(reason="not needed")
        return
    structlog.contextvars.bind_contextvars(call_id=plan.call_id, incarnation=plan.incarnation)
    claim = Claim(incarnation=plan.incarnation, worker_id=ctx.worker_id)
    claiming = asyncio.create_task(_claim(client, plan.call_id, claim))
    try:
        await _serve_claimed(ctx, settings, client, build, plan, joining, claiming)
    except SidecarError as error:
        _leave_unserved(ctx, error)


async def _serve_claimed(
    ctx: JobContext,
    settings: AgentSettings,
    client: SidecarClient,
    build: BuildEngines,
    plan: AgentPlan,
    joining: asyncio.Task[None],
    claiming: asyncio.Task[AgentPlan],
) -> None:
    """Serve a call whose claim is booked, or will be before anything leaves this process.

    Raises:
        SidecarError: the claim was refused after all.
    """
    reporter = Reporter(client, plan.call_id, Source.AGENT, plan.incarnation)
    try:
        await joining
        await _Call(ctx, settings, client, plan, reporter, build, claiming).serve()
    except asyncio.CancelledError:
        # The worker stops, and has waited for this call as long as it may.
        reporter.add(AgentEnded(at=datetime.now(UTC), reason=Reason.AGENT_LOST, detail="stopped"))
        raise
    except SidecarError:
        raise
    except Exception as error:
        log.exception("call failed")
        lost = isinstance(error, rtc.ConnectError)
        reason = Reason.ROOM_LOST if lost else Reason.PIPELINE_FAILED
        reporter.add(AgentEnded(at=datetime.now(UTC), reason=reason, detail=type(error).__name__))
    finally:
        await reporter.aclose(_FLUSH_S)
    ctx.shutdown(reason="call ended")


def _leave_unserved(ctx: JobContext, error: SidecarError) -> None:
    code = error.code if isinstance(error, Refused) else type(error).__name__
    log.warning("call not taken", code=code)
    ctx.shutdown(reason="not taken")


async def _claim(client: SidecarClient, call_id: str, claim: Claim) -> AgentPlan:
    """Ask again where the answer was lost: a claim the sidecar has booked must be taken up."""
    for _ in range(_CLAIM_ATTEMPTS - 1):
        try:
            return await client.claim(call_id, claim)
        except Unavailable:
            await asyncio.sleep(_CLAIM_PAUSE_S)
    return await client.claim(call_id, claim)


class _Call:
    """The life of one claimed call, from joining to the last report."""

    def __init__(
        self,
        ctx: JobContext,
        settings: AgentSettings,
        client: SidecarClient,
        plan: AgentPlan,
        reporter: Reporter,
        build: BuildEngines,
        claiming: asyncio.Task[AgentPlan],
    ) -> None:
        self._room = ctx.room
        self._is_seen = bool(parse_standby_metadata(ctx.job.metadata))
        self._client = client
        self._plan = plan
        self._reporter = reporter
        self._build = build
        self._claiming = claiming
        self._lines = LineCache(settings.agent_lines_dir, settings.agent_lines_mb * 1024 * 1024)
        self._early: list[Fact] = []
        self._answered = asyncio.Event()
        self._recorder: Recorder | None = None
        self._is_recording = True
        self._path = recording_path(settings.agent_recordings_dir, plan.call_id, plan.incarnation)
        self._conversation: Conversation | None = None

    async def serve(self) -> None:
        ending = await self._converse()
        await self._claiming
        await self._store_recording()
        self._reporter.add(AgentEnded(at=ending.at, reason=ending.reason, detail=ending.detail))

    async def _converse(self) -> Ending:
        plan = self._plan
        link = MediaLink(
            self._room,
            caller_identity=plan.caller_identity,
            rate_hz=plan.media_rate_hz,
            clock=time.time,
            on_audio=self._record,
        )
        sending = asyncio.create_task(self._send(link))
        sending.add_done_callback(self._on_sender_done)
        yielding = asyncio.create_task(self._yield_to_newer(sending))
        try:
            account = Account(self._tell)
            engines = self._build(plan, account.intend)
            conversation = Conversation(
                plan=plan,
                room=self._room,
                link=link,
                engines=engines,
                account=account,
                speak=self._speaker(engines),
            )
            self._conversation = conversation
            self._follow_caller()
            await asyncio.gather(conversation.start(), self._be_seen())
            await self._confirmed()
            self._tell(AgentJoined(at=datetime.now(UTC), pipeline=engines.pipeline))
            if engines.ignored_options:
                account.notice("options_ignored", options=engines.ignored_options)
            return await conversation.run(self._answered)
        except (ConfigUnusable, ValidationError) as error:
            log.error("bot config cannot be served", error=type(error).__name__)
            return Ending(Reason.CONFIG_INVALID, datetime.now(UTC), str(error))
        except Exception as error:
            log.exception("conversation failed")
            return Ending(Reason.PIPELINE_FAILED, datetime.now(UTC), type(error).__name__)
        finally:
            sending.cancel()
            yielding.cancel()
            link.close()

    async def _send(self, link: MediaLink) -> None:
        """Send what the bot says, as soon as the call is ours and never if it is not."""
        await asyncio.wait({self._claiming})
        if self._claiming.exception() is None:
            await link.run()

    async def _confirmed(self) -> None:
        """Wait for the claim; one that is refused ends the conversation before it began."""
        await asyncio.wait({self._claiming})
        if self._claiming.exception() is not None:
            self._end(Reason.AGENT_LOST)
            return
        for fact in self._early:
            self._reporter.add(fact)
        self._early.clear()

    def _tell(self, fact: Fact) -> None:
        if not self._claiming.done():
            self._early.append(fact)
        elif self._claiming.exception() is None:
            self._reporter.add(fact)

    def _speaker(self, engines: Engines) -> Synthesize:
        """Return what says the opening line: from what is kept, where all callers hear the same."""
        plan, lines = self._plan, self._lines
        if not plan.opening_is_fixed or plan.history or not lines.is_on:
            return engines.synthesize
        return lambda text: lines.speak(plan.config.tts, text, engines.synthesize)

    async def _yield_to_newer(self, sending: asyncio.Task[None]) -> None:
        """Fall silent and leave at once when a newer agent serves the call."""
        await self._reporter.fenced.wait()
        log.warning("replaced by a newer agent")
        self._end(Reason.AGENT_LOST)
        sending.cancel()
        await self._room.disconnect()

    async def _be_seen(self) -> None:
        if not self._is_seen:
            await be_seen(self._room)

    def _follow_caller(self) -> None:
        on = self._room.on
        on("participant_attributes_changed", lambda _, who: self._on_caller(who))
        on("participant_connected", self._on_caller)
        on("participant_disconnected", self._on_caller_left)
        on("disconnected", self._on_disconnected)
        caller = self._room.remote_participants.get(self._plan.caller_identity)
        if caller is not None:
            self._on_caller(caller)
        if self._plan.answered_at is not None:
            self._answered.set()

    def _on_caller(self, who: rtc.Participant) -> None:
        if who.identity != self._plan.caller_identity:
            return
        if self._plan.is_seated or who.attributes.get(ANSWERED_ATTRIBUTE):
            self._answered.set()

    def _on_caller_left(self, who: rtc.RemoteParticipant) -> None:
        if who.identity != self._plan.caller_identity:
            return
        if who.disconnect_reason == rtc.DisconnectReason.CLIENT_INITIATED:
            self._end(Reason.CALLER_HUNG_UP)
        else:
            # A lost bridge or server: it may come back within its reconnect window.
            loop = asyncio.get_running_loop()
            loop.call_later(_REJOIN_GRACE_S, self._end_unless_back)

    def _end_unless_back(self) -> None:
        if self._plan.caller_identity not in self._room.remote_participants:
            self._end(Reason.BRIDGE_LOST)

    def _on_disconnected(self, _: Any) -> None:
        self._end(Reason.ROOM_LOST)

    def _end(self, reason: Reason) -> None:
        if self._conversation is not None:
            self._conversation.end(reason, by_bot=False)

    def _record(self, at_ms: int, caller: bytes, bot: bytes) -> None:
        if not self._is_recording:
            return
        try:
            if self._recorder is None:
                self._recorder = Recorder(self._path, self._plan.media_rate_hz)
            self._recorder.add(at_ms=at_ms, caller=caller, bot=bot)
        except OSError as error:
            # A full disk costs the rest of the recording, not the call.
            self._is_recording = False
            log.error("recording failed", error=type(error).__name__, number=error.errno)
            detail = {"error": error.strerror or type(error).__name__}
            self._reporter.add(
                Noticed(at=datetime.now(UTC), name="recording_failed", detail=detail)
            )

    async def _store_recording(self) -> None:
        if self._recorder is None:
            return
        try:
            duration_s = self._recorder.close()
            async with asyncio.timeout(_UPLOAD_S):
                await self._client.put_recording(
                    self._plan.call_id,
                    self._path,
                    incarnation=self._plan.incarnation,
                    duration_s=duration_s,
                )
        except (SidecarError, OSError) as error:  # an OSError: the disk, or the time is up
            # The worker's main process finds the file and tries again.
            log.warning("recording not handed over yet", error=type(error).__name__)
        else:
            self._path.unlink(missing_ok=True)

    def _on_sender_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.error("audio cannot be sent", error=type(task.exception()).__name__)
            self._end(Reason.ROOM_LOST)


async def be_seen(room: rtc.Room) -> None:
    """Publish something: or the server tells others of a participant only every three seconds."""
    try:
        await room.local_participant.publish_data_track(name=PRESENCE_TRACK)
    except PublishDataTrackError:
        log.warning("presence not published")


def recording_path(folder: Path, call_id: str, incarnation: int) -> Path:
    """Return where a call's recording is written on the agent's host."""
    return folder / f"{call_id}.{incarnation}.wav"
