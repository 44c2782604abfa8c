"""A call that is ours, or will be before anything leaves this process: from joining to the end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from livekit import rtc
from livekit.agents import JobContext
from livekit.rtc.participant import PublishDataTrackError
from pydantic import ValidationError

from agent.account import Account
from agent.apology import Apology
from agent.caller import Caller
from agent.conversation import Conversation
from agent.ending import Ending
from agent.engines import Engines
from agent.fallback.stand_in import line_up_of
from agent.kept_lines import KeptLines
from agent.knowledge import asker
from agent.leg_watch import Leg, LegWatch, NoLeg
from agent.line import BridgeLine, Line, ManagedLine
from agent.line_cache import LineCache
from agent.link import Link
from agent.presence import (
    grace_s,
    is_answered,
    is_expected,
    is_told_elsewhere,
    sends_always,
    why_gone,
    why_left,
)
from agent.providers import ConfigUnusable, OnIntent
from agent.recording import Recorder
from agent.room_audio import MediaLink
from agent.room_tracks import RoomTracks
from agent.settings import AgentSettings
from agent.text_link import TextLink
from agent.track_audio import TrackLink
from agent.visitor import Visitor
from agent.web import Web
from contracts.ids import PRESENCE_TRACK, Channel, parse_standby_metadata
from contracts.outcome import Reason
from contracts.plan import AgentPlan
from contracts.report import AgentEnded, AgentJoined, Fact, Noticed
from sidecar.client import EgressGuard, Reporter, SidecarClient

log = structlog.get_logger(__name__)

BuildEngines = Callable[[AgentPlan, OnIntent], Engines]

TLS = "tls"
"""Where a process keeps its TLS context, made before it has a call."""
_RECEIVED_S = 5.0
"""How long a browser may take to receive the bot's track before it is spoken to all the same."""
_TOLD_WITHIN_S = 1.0
"""What the sidecar needs at most to tell how a dial went: the earliest ending counts."""


class Call:
    """The life of one call, from joining to the last report.

    `claiming` may still be under way: until it is done nothing is said and nothing reported.
    """

    def __init__(
        self,
        ctx: JobContext,
        settings: AgentSettings,
        plan: AgentPlan,
        client: SidecarClient,
        reporter: Reporter,
        build: BuildEngines,
        claiming: asyncio.Task[AgentPlan],
    ) -> None:
        self._room = ctx.room
        self._is_seen = bool(parse_standby_metadata(ctx.job.metadata))
        self._plan = plan
        self._client = client
        self._reporter = reporter
        self._build = build
        guard = EgressGuard(allow_private=settings.allow_private_vendors)
        self._web = Web(guard, ctx.proc.userdata.get(TLS))
        self._claiming = claiming
        self._lines = LineCache(
            settings.agent_lines_dir, settings.agent_lines_mb * 1024 * 1024, plan.media_rate_hz
        )
        self._early: list[Fact] = []
        self._answered = asyncio.Event()
        self._is_ready = asyncio.Event()
        self._caller = Caller(self._room, plan.caller_identity)
        self._is_web = plan.channel is Channel.WEB
        self._visitor = (
            Visitor(self._room, self._caller, text_only=plan.text_only) if self._is_web else None
        )
        self._tracks = RoomTracks(self._room, self._caller, plan.media_rate_hz)
        self._link = self._new_link()
        self._answering: asyncio.Task[None] | None = None
        self._missing: asyncio.TimerHandle | None = None
        self._recorder: Recorder | None = None
        self._path = recording_path(settings.agent_recordings_dir, plan.call_id, plan.incarnation)
        self._conversation: Conversation | None = None

    async def serve(self) -> None:
        """Hold the conversation, finish its recording, report its end.

        The worker's main process finds the file once it is complete, and hands it over.

        Raises:
            SidecarError: the claim was refused; nobody has noticed this agent.
        """
        try:
            ending = await self._converse()
            if self._visitor is not None:
                await self._visitor.see_out(ending)
            await self._claiming
        finally:
            if self._recorder is not None:
                self._recorder.close()
        self._reporter.add(AgentEnded(at=ending.at, reason=ending.reason, detail=ending.detail))

    async def _converse(self) -> Ending:
        plan, link = self._plan, self._link
        leg = self._leg()
        sending = asyncio.create_task(self._send(link))
        sending.add_done_callback(self._on_sender_done)
        yielding = asyncio.create_task(self._yield_to_newer(sending))
        try:
            account = Account(self._tell, plan.config.intent_phrases)
            engines = self._build(plan, account.intend)
            lines = KeptLines(plan, self._lines, engines)
            conversation = Conversation(
                plan=plan,
                room=self._room,
                link=link,
                engines=engines,
                account=account,
                lines=lines,
                line=self._line(),
                leg=leg,
                visitor=self._visitor,
                web=self._web,
                apology=self._apology(engines, lines),
                look_up=asker(self._client, plan),
            )
            self._conversation = conversation
            if engines.prompt_cache is not None:
                engines.prompt_cache.on_lost = lambda status: account.notice(
                    "prompt_cache_lost", status=status
                )
            self._follow_caller()
            await asyncio.gather(conversation.start(), self._be_seen())
            await self._confirmed()
            self._is_ready.set()
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
            if self._answering is not None:
                self._answering.cancel()
            leg.close()
            link.close()

    def _leg(self) -> Leg:
        if self._is_web:
            return NoLeg()
        return LegWatch(self._room, self._plan.caller_identity, self._tell)

    def _new_link(self) -> Link:
        plan = self._plan
        if plan.text_only:
            return TextLink(plan.media_rate_hz, time.time)
        if plan.media == "data":
            return MediaLink(
                self._room,
                caller_identity=plan.caller_identity,
                rate_hz=plan.media_rate_hz,
                clock=time.time,
                on_audio=self._on_audio,
            )
        answered_at = plan.answered_at
        return TrackLink(
            self._tracks,
            rate_hz=plan.media_rate_hz,
            clock=time.time,
            on_audio=self._on_audio,
            began_s_ago=(datetime.now(UTC) - answered_at).total_seconds() if answered_at else 0.0,
            on_no_media=self._on_no_media if sends_always(plan) else None,
        )

    def _line(self) -> Line:
        if self._plan.media == "data":
            return BridgeLine(self._room, self._plan.caller_identity)
        return ManagedLine(self._room, self._client, self._plan)

    async def _send(self, link: Link) -> None:
        """Send what the bot says, as soon as it is ready and never if the call is not ours.

        A phone that rings may be answered as soon as there is a track.
        """
        await self._is_ready.wait()
        if self._is_ours:
            await link.run()

    async def _confirmed(self) -> None:
        """Wait for the claim; one that is refused ends the conversation before it began."""
        await asyncio.wait({self._claiming})
        if not self._is_ours:
            self._end(Reason.AGENT_LOST)
            return
        for fact in self._early:
            self._reporter.add(fact)
        self._early.clear()

    @property
    def _is_ours(self) -> bool:
        return is_booked(self._claiming)

    def _tell(self, fact: Fact) -> None:
        if self._is_ours:
            self._reporter.add(fact)
        elif not self._claiming.done():
            self._early.append(fact)

    def _apology(self, engines: Engines, lines: KeptLines) -> Apology:
        plan = self._plan
        can_fail = self._lines.is_on and bool(line_up_of(engines.tts))
        return Apology(
            plan.config.resilience.apology_message,
            lines.keep if can_fail else None,
            is_written=plan.text_only,
        )

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
        caller = self._caller.participant
        if caller is not None:
            self._on_caller(caller)
        elif is_expected(self._plan):
            self._miss_caller()
        if self._plan.answered_at is not None:
            self._answer()

    def _on_caller(self, who: rtc.Participant) -> None:
        if not self._caller.is_(who):
            return
        if self._missing is not None:
            self._missing.cancel()
            self._missing = None
            self._tell_alone(False)
        if not is_answered(self._plan, who.attributes):
            return
        if not self._is_web or self._plan.text_only:
            self._answer()
        elif self._answering is None:
            self._answering = asyncio.create_task(self._answer_once_received())

    async def _answer_once_received(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RECEIVED_S):
                await self._tracks.subscribed()
        self._answer()

    def _answer(self) -> None:
        self._answered.set()
        self._link.open()

    def _on_caller_left(self, who: rtc.RemoteParticipant) -> None:
        if not self._caller.is_(who):
            return
        answered = self._answered.is_set()
        reason = why_left(self._plan, who.disconnect_reason, answered=answered)
        if reason is None or grace_s(self._plan, reason):
            self._miss_caller(reason)
        elif is_told_elsewhere(self._plan, answered=answered):
            # A leave says less than the carrier did: a wrong number looks like no answer.
            asyncio.get_running_loop().call_later(_TOLD_WITHIN_S, self._end, reason)
        else:
            self._end(reason)

    def _miss_caller(self, reason: Reason | None = None) -> None:
        # A lost bridge, server or network: it may come back within its reconnect window.
        if self._missing is not None:
            self._missing.cancel()
        left_at = datetime.now(UTC) if reason else None
        self._missing = asyncio.get_running_loop().call_later(
            grace_s(self._plan, reason), self._end_unless_back, reason, left_at
        )
        self._tell_alone(True)

    def _tell_alone(self, is_alone: bool) -> None:
        # Whoever carries a phone's leg has its own ways to wait.
        if self._is_web and self._conversation is not None:
            self._conversation.leave_alone(is_alone)

    def _end_unless_back(self, reason: Reason | None, left_at: datetime | None) -> None:
        if self._caller.participant is None:
            why = reason or why_gone(self._plan, answered=self._answered.is_set())
            self._end(why, left_at)

    def _on_disconnected(self, _: Any) -> None:
        self._end(Reason.ROOM_LOST)

    def _end(self, reason: Reason, at: datetime | None = None) -> None:
        if self._conversation is not None:
            self._conversation.end(reason, by_bot=False, at=at)

    def _on_no_media(self) -> None:
        if self._conversation is not None:
            # The phone is there and has to be hung up.
            self._conversation.end(Reason.NO_MEDIA)

    def _on_audio(self, at_ms: int, caller: bytes, bot: bytes) -> None:
        # Who is heard has answered, even where the news of it was lost.
        self._answered.set()
        self._record(at_ms, caller, bot)

    def _record(self, at_ms: int, caller: bytes, bot: bytes) -> None:
        if not self._is_ours:
            return
        if self._recorder is None:
            self._recorder = Recorder(self._path, self._plan.media_rate_hz, self._tell_recording)
        self._recorder.add(at_ms=at_ms, caller=caller, bot=bot)

    def _tell_recording(self, name: str, detail: dict[str, Any]) -> None:
        self._reporter.add(Noticed(at=datetime.now(UTC), name=name, detail=detail))

    def _on_sender_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.error("audio cannot be sent", error=type(task.exception()).__name__)
            self._end(Reason.ROOM_LOST)


def is_booked(claiming: asyncio.Task[AgentPlan]) -> bool:
    """Return whether a claim was granted by now."""
    return claiming.done() and not claiming.cancelled() and claiming.exception() is None


async def be_seen(room: rtc.Room) -> None:
    """Publish something: or the server tells others of a participant only every three seconds."""
    try:
        await room.local_participant.publish_data_track(name=PRESENCE_TRACK)
    except PublishDataTrackError:
        log.warning("presence not published")


def recording_path(folder: Path, call_id: str, incarnation: int) -> Path:
    """Return where a call's recording is written on the agent's host."""
    return folder / f"{call_id}.{incarnation}.wav"
