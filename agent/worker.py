"""The worker's main process.

Takes jobs up to its limit, says that it lives, hands over what dead jobs left.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import secrets
import socket
import time
from datetime import UTC, datetime

import structlog
from livekit.agents import AgentServer, JobExecutorType, JobRequest

from agent.aftercall import Aftercall
from agent.job import serve_call, warm_up
from agent.loss import Losses, spool_of
from agent.roster import Roster
from agent.settings import AgentSettings
from agent.uploads import Uploads
from contracts.ids import (
    AGENT_NAME,
    SIP_JOB_METADATA,
    agent_identity,
    parse_job_metadata,
    parse_standby_metadata,
    room_agent_identity,
    standby_identity,
)
from contracts.report import Heartbeat
from sidecar.client import Adopter, SidecarClient, SidecarError

log = structlog.get_logger(__name__)

_HEARTBEAT_S = 1.0
_HEARTBEAT_RETRY_S = 0.25
_LAST_UPLOADS_S = 10.0
"""What a stopping worker gives recordings to leave; the next one finds those that stay."""
_ADOPT_S = 0.25
_LAST_WORDS_S = 2.0
"""How long a worker that ends takes to hand in what its jobs left."""
_DRAIN_POLL_S = 0.1
_MEMORY_WARN_MB = 700
_MAX_TOLD_LOAD = 0.69
"""What a worker tells of itself at most. LiveKit drops a dispatch, without a word, where every
worker is at its `agents.target_load`, 0.7 unless the server is told otherwise, and hears of a load
that fell only seconds later. A worker that is full refuses by itself, and the next one is asked."""


def new_server(settings: AgentSettings) -> AgentServer:
    """Return the framework's server: one process per call, some of them warm."""
    vendors = ["agent.vendor.preload"] if settings.agent_preload_vendors else []
    return AgentServer(
        job_executor_type=JobExecutorType.PROCESS,
        # Whether one more fits is our own `_on_request`'s to say: the framework guesses the weight
        # of jobs just taken from the number of warm processes, and refuses a third from idle.
        load_threshold=math.inf,
        num_idle_processes=settings.agent_idle_processes,
        job_memory_warn_mb=_MEMORY_WARN_MB,
        setup_fnc=warm_up,
        # The job itself too: what the forkserver has imported, no call pays for, in time or memory.
        preload_modules=["agent.speech.preload", *vendors, "agent.job"],
        ws_url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret,
        host="127.0.0.1",
        port=0,
    )


class Worker:
    """One agent worker.

    `run` returns after `stop` once its calls are over or the drain time has passed.
    """

    def __init__(self, settings: AgentSettings, client: SidecarClient, server: AgentServer) -> None:
        self._settings = settings
        self._client = client
        self._uploads = Uploads(
            settings.agent_recordings_dir, client, keep_local_h=settings.recording_keep_local_h
        )
        self._registered = False
        self._stopping = asyncio.Event()
        self._news = asyncio.Event()
        self._started_at = datetime.now(UTC)
        self._id = settings.agent_worker_id
        self._server = server
        spool = spool_of(settings)
        self._losses = Losses(spool, client, self._news.set, clock=time.monotonic)
        self._adopter = Adopter(spool, client, on_done=self._losses.on_done, poll_s=_ADOPT_S)
        self._aftercall = Aftercall(client, self._id)
        self._roster = Roster(
            lambda: [job.job.metadata for job in server.active_jobs], lambda: self._losses.held()
        )
        self._server.load_fnc = self._load
        self._server.rtc_session(serve_call, agent_name=AGENT_NAME, on_request=self._on_request)
        self._server.on("worker_registered", self._on_registered)

    async def run(self) -> None:
        """Serve until `stop`.

        Raises:
            Exception: the LiveKit server could not be reached for good (the framework's own error).
        """
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(self._server.run())
            beating = tasks.create_task(self._beat())
            sweeping = tasks.create_task(self._uploads.run())
            adopting = tasks.create_task(self._adopter.run())
            missing = tasks.create_task(self._losses.run())
            stopping = tasks.create_task(self._stopping.wait())
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                await self._drain()
            await asyncio.wait({serving})
            await self._aftercall.aclose()
            for task in (beating, sweeping, adopting, missing, stopping):
                task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._adopter.turn()

    def stop(self) -> None:
        """Take no more calls; end once the running ones are over."""
        self._stopping.set()
        self._news.set()

    def calls(self) -> dict[str, int]:
        """Return the calls being served: incarnation by call id."""
        return self._roster.calls()

    def heartbeat(self) -> Heartbeat:
        """Return this worker's sign of life."""
        return Heartbeat(
            kind="agent",
            id=self._id,
            host=socket.gethostname(),
            pid=os.getpid(),
            ready=self._registered and not self._stopping.is_set(),
            calls=list(self.calls()),
            standbys=self._roster.standbys(),
            max_calls=self._settings.agent_max_calls,
            lost=self._losses.untold(),
            spooled=self._adopter.waiting(),
            started_at=self._started_at,
        )

    async def _drain(self) -> None:
        # Not the framework's own drain: where a job has just died it waits, without ever yielding,
        # for a clean-up that needs the loop, and so for ever.
        log.info("draining", calls=len(self.calls()))
        try:
            async with asyncio.timeout(self._settings.agent_drain_s):
                # One that waits leaves once the sidecar knows; it may have got a call just now.
                while self._roster.busy() or self._roster.standbys():  # noqa: ASYNC110 - nobody tells when a job ends
                    await asyncio.sleep(_DRAIN_POLL_S)
        except TimeoutError:
            log.warning("drain time passed", calls=len(self.calls()))
        await self._server.aclose()

    def _load(self, _: AgentServer) -> float:
        if self._stopping.is_set():
            return 1.0
        return min(1.0, self._roster.busy() / self._settings.agent_max_calls) * _MAX_TOLD_LOAD

    async def _on_request(self, request: JobRequest) -> None:
        metadata = request.job.metadata
        try:
            identity = _identity_of(metadata, request.room.name)
        except ValueError:
            log.warning("dispatch that is not ours refused")
            await request.reject(terminate=True)
            return
        has_room = self._roster.has_room(metadata, self._settings.agent_max_calls)
        if not has_room or self._stopping.is_set():
            await request.reject(terminate=False)
            return
        self._roster.begin(metadata)
        # At once: the sidecar sends nobody else to a call whose agent it knows to be starting.
        self._news.set()
        try:
            await request.accept(identity=identity)
        finally:
            self._roster.took(metadata)

    def _on_registered(self, *_: object) -> None:
        self._registered = True
        self._news.set()
        log.info("registered", worker=self._id)

    async def _beat(self) -> None:
        is_away = False
        while True:
            pause_s = _HEARTBEAT_S
            try:
                self._news.clear()
                heartbeat = self.heartbeat()
                receipt = await self._client.heartbeat(heartbeat)
                if is_away:
                    is_away = False
                    log.info("heartbeats delivered again", worker=self._id)
                self._losses.told(heartbeat.lost)
                self._roster.note(receipt.calls)
                if receipt.tasks and not self._stopping.is_set():
                    self._aftercall.take_up()
            except SidecarError as error:
                if not is_away:
                    is_away = True
                    log.warning("heartbeat not delivered", error=type(error).__name__)
                pause_s = _HEARTBEAT_RETRY_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), pause_s)


def new_worker_id() -> str:
    """Return a name that no worker had before: a process's number comes again."""
    return f"agent-{socket.gethostname()}-{secrets.token_hex(4)}"


def _identity_of(metadata: str, room_name: str) -> str:
    """Return under which name a dispatched agent joins; `ValueError` if it is not ours."""
    if metadata == SIP_JOB_METADATA:
        return room_agent_identity(room_name)
    standby_id = parse_standby_metadata(metadata)
    return (
        standby_identity(standby_id)
        if standby_id
        else agent_identity(*parse_job_metadata(metadata))
    )
