"""One job = one call: claim the plan, hold the conversation, store the recording, report.

A job may be there before its call: then it waits, and claims the call it is given. One that a rule
of LiveKit SIP's called asks which call its room is.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog
from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext, JobProcess

from agent.call import TLS, BuildEngines, Call, be_seen, is_booked
from agent.failure import in_one_line
from agent.loss import beat, spool_of
from agent.providers import build_engines
from agent.rule_call import caller_in, claim_room
from agent.settings import AgentSettings
from agent.speech import load
from agent.speech import rehearse as rehearse_engines
from agent.standby import rehearse_conversation, wait_for_call
from contracts.ids import SIP_JOB_METADATA, parse_job_metadata, parse_standby_metadata
from contracts.log import configure_logging
from contracts.outcome import Reason
from contracts.plan import AgentPlan, Claim
from contracts.report import AgentEnded, Source
from sidecar.client import (
    Journal,
    Refused,
    Reporter,
    SidecarClient,
    SidecarError,
    Unavailable,
)

log = structlog.get_logger(__name__)

Rehearse = Callable[[], Awaitable[None]]
"""Run once what a call will run, in this process."""

_CLAIM_ATTEMPTS = 3
_CLAIM_PAUSE_S = 0.1
_CLAIM_KNOWN_S = 1.0
_FLUSH_S = 10.0
"""How long a job that is over waits for a sidecar that is away, where only it has the facts."""
_HAND_OVER_S = 3.0
"""The same where they are on disk, and the worker hands them in."""
_HEAD_START_S = 0.002


def warm_up(process: JobProcess) -> None:
    """Get a child process ready, so that its call finds everything loaded and run once."""
    configure_logging(AgentSettings().log_level)
    logging.getLogger().addFilter(is_worth_a_line)
    for handler in logging.getLogger().handlers:
        handler.addFilter(in_one_line)
    load()
    rehearse_engines()
    rtc.AudioResampler(8000, 16000)  # starts the SDK's native runtime
    process.userdata[TLS] = ssl.create_default_context()


def is_worth_a_line(record: logging.LogRecord) -> bool:
    """Return whether a record is logged: the SDK's word of each stream that nobody listens to is
    not, or any visitor could fill the log.
    """
    return not str(record.msg).startswith(("ignoring text stream", "ignoring byte stream"))


async def serve_call(ctx: JobContext) -> None:
    """Serve the call a dispatch names: the worker's entrypoint."""
    settings = AgentSettings()
    async with SidecarClient(
        settings.sidecar_url, settings.voxcore_secret, tls=ctx.proc.userdata[TLS]
    ) as client:
        await serve(ctx, settings, client)


async def serve(
    ctx: JobContext,
    settings: AgentSettings,
    client: SidecarClient,
    build: BuildEngines = build_engines,
    rehearse: Rehearse = rehearse_conversation,
) -> None:
    """Claim the call and serve it. Whatever goes wrong once it is ours becomes its ending."""
    job = _Job(ctx, settings, client, build)
    standby_id = parse_standby_metadata(ctx.job.metadata)
    try:
        if standby_id:
            await job.wait_and_serve(standby_id, rehearse)
        elif ctx.job.metadata == SIP_JOB_METADATA:
            await job.serve_room()
        else:
            await job.serve_dispatched(*parse_job_metadata(ctx.job.metadata))
    except SidecarError as error:
        code = error.code if isinstance(error, Refused) else type(error).__name__
        log.warning("call not taken", code=code)
        ctx.shutdown(reason="not taken")


class _Job:
    """One job, on its way to the room and to its call."""

    def __init__(
        self, ctx: JobContext, settings: AgentSettings, client: SidecarClient, build: BuildEngines
    ) -> None:
        self._ctx = ctx
        self._settings = settings
        self._client = client
        self._build = build
        self._spool = spool_of(settings)
        connecting = ctx.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE)
        self._joining = asyncio.create_task(connecting)

    async def serve_dispatched(self, call_id: str, incarnation: int) -> None:
        """Serve the call that the dispatch is for.

        Raises:
            SidecarError: somebody else does.
        """
        structlog.contextvars.bind_contextvars(call_id=call_id, incarnation=incarnation)
        claiming, journal = self._claim(call_id, incarnation)
        try:
            plan = await claiming
        except SidecarError:
            await asyncio.gather(self._joining, return_exceptions=True)
            raise
        await self._serve(plan, claiming, journal)

    async def wait_and_serve(self, standby_id: str, rehearse: Rehearse) -> None:
        """Wait for a call, and get ready for it while its claim is on the way.

        Raises:
            SidecarError: it came too late, and somebody else serves the call.
        """
        structlog.contextvars.bind_contextvars(standby_id=standby_id)
        ctx = self._ctx
        try:
            await self._joining
        except rtc.ConnectError:
            ctx.shutdown(reason="no room to wait in")
            return
        await asyncio.gather(be_seen(ctx.room), rehearse())
        worker_id = self._settings.agent_worker_id
        plan = await wait_for_call(self._client, ctx.room, standby_id, worker_id)
        if plan is None:
            ctx.shutdown(reason="not needed")
            return
        structlog.contextvars.bind_contextvars(call_id=plan.call_id, incarnation=plan.incarnation)
        claiming, journal = self._claim(plan.call_id, plan.incarnation)
        if plan.is_provisional:
            # The call is ours from now on, its words are not all known yet.
            final = await claiming
            plan = final.model_copy(update={"is_seated": plan.is_seated})
        # The request leaves before the session keeps this loop busy.
        await asyncio.wait({claiming}, timeout=_HEAD_START_S)
        await self._serve(plan, claiming, journal)

    async def serve_room(self) -> None:
        """Serve the phone that a LiveKit SIP rule has put into this room.

        Raises:
            SidecarError: the call is refused.
        """
        ctx = self._ctx
        try:
            await self._joining
        except rtc.ConnectError:
            ctx.shutdown(reason="no room to serve")
            return
        caller = await caller_in(ctx.room)
        if caller is None:
            log.warning("nobody in the room a rule made")
            ctx.shutdown(reason="nobody called")
            return
        worker_id = self._settings.agent_worker_id
        plan = await claim_room(self._client, ctx.room, caller, worker_id)
        structlog.contextvars.bind_contextvars(call_id=plan.call_id, incarnation=plan.incarnation)
        journal = self._spool.open(plan.call_id, Source.AGENT, plan.incarnation)
        claiming = asyncio.create_task(_granted(plan))
        await asyncio.wait({claiming})
        await self._serve(plan, claiming, journal)

    async def _serve(
        self, plan: AgentPlan, claiming: asyncio.Task[AgentPlan], journal: Journal
    ) -> None:
        """Serve a call whose claim is booked, or will be before anything leaves this process."""
        reporter = Reporter(
            self._client, plan.call_id, Source.AGENT, plan.incarnation, journal=journal
        )
        beating = asyncio.create_task(beat(journal))
        try:
            await self._joining
            call = Call(
                self._ctx, self._settings, plan, self._client, reporter, self._build, claiming
            )
            await call.serve()
        except SidecarError:
            raise
        except asyncio.CancelledError:
            # The worker stops, and has waited for this call as long as it may.
            await asyncio.wait({claiming}, timeout=_CLAIM_KNOWN_S)
            if is_booked(claiming):
                reporter.add(_ended(Reason.AGENT_LOST, "stopped"))
            raise
        except Exception as error:
            log.exception("call failed")
            await claiming
            lost = isinstance(error, rtc.ConnectError)
            reason = Reason.ROOM_LOST if lost else Reason.PIPELINE_FAILED
            reporter.add(_ended(reason, type(error).__name__))
        finally:
            await reporter.aclose(_HAND_OVER_S if reporter.is_durable else _FLUSH_S)
            beating.cancel()
        self._ctx.shutdown(reason="call ended")

    def _claim(self, call_id: str, incarnation: int) -> tuple[asyncio.Task[AgentPlan], Journal]:
        # The journal first: should this process die, the worker knows of a call without an agent.
        journal = self._spool.open(call_id, Source.AGENT, incarnation)
        claim = Claim(incarnation=incarnation, worker_id=self._settings.agent_worker_id)
        return asyncio.create_task(_claim(self._client, call_id, claim, journal)), journal


def _ended(reason: Reason, detail: str) -> AgentEnded:
    return AgentEnded(at=datetime.now(UTC), reason=reason, detail=detail)


async def _granted(plan: AgentPlan) -> AgentPlan:
    return plan


async def _claim(client: SidecarClient, call_id: str, claim: Claim, journal: Journal) -> AgentPlan:
    """Claim a call, and show meanwhile that this job lives: the plan may wait for the bot's CRM."""
    beating = asyncio.create_task(beat(journal))
    try:
        return await _booked(client, call_id, claim, journal)
    finally:
        beating.cancel()


async def _booked(client: SidecarClient, call_id: str, claim: Claim, journal: Journal) -> AgentPlan:
    """Ask again where the answer was lost: a claim the sidecar has booked must be taken up."""
    for attempts_left in reversed(range(_CLAIM_ATTEMPTS)):
        try:
            return await client.claim(call_id, claim)
        except Refused:
            journal.discard()
            raise
        except Unavailable:
            if not attempts_left:
                # It may be booked all the same: whoever finds the journal tells that nobody came.
                journal.close()
                raise
            await asyncio.sleep(_CLAIM_PAUSE_S)
    raise AssertionError
