"""The worker's main process.

Takes jobs up to its limit, says that it lives, hands over what dead jobs left.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
from datetime import UTC, datetime

import structlog
from livekit.agents import AgentServer, JobExecutorType, JobRequest

from agent.job import serve_call, warm_up
from agent.roster import Roster
from agent.settings import AgentSettings
from agent.uploads import Uploads
from contracts.ids import (
    AGENT_NAME,
    agent_identity,
    parse_job_metadata,
    parse_standby_metadata,
    standby_identity,
)
from contracts.report import Heartbeat
from sidecar.client import SidecarClient, SidecarError

log = structlog.get_logger(__name__)

_HEARTBEAT_S = 1.0
_SWEEP_S = 2.0
_DRAIN_POLL_S = 0.1
_MEMORY_WARN_MB = 700
_ROOM_FOR_ONE_MORE = 0.69
"""The highest load at which a worker is still sent calls: LiveKit drops a dispatch, without a word,
where every worker is at its `agents.target_load`, 0.7 unless the server is told otherwise."""


def new_server(settings: AgentSettings) -> AgentServer:
    """Return the framework's server: one process per call, some of them warm."""
    return AgentServer(
        job_executor_type=JobExecutorType.PROCESS,
        # Whether one more fits is our own `_on_request`'s to say: the framework guesses the weight
        # of jobs just taken from the number of warm processes, and refuses a third from idle.
        load_threshold=math.inf,
        num_idle_processes=settings.agent_idle_processes,
        job_memory_warn_mb=_MEMORY_WARN_MB,
        setup_fnc=warm_up,
        # The job itself too: what the forkserver has imported, no call pays for, in time or memory.
        preload_modules=["agent.speech.preload", "agent.vendor.preload", "agent.job"],
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
        self._uploads = Uploads(settings.agent_recordings_dir, client)
        self._registered = False
        self._stopping = asyncio.Event()
        self._news = asyncio.Event()
        self._started_at = datetime.now(UTC)
        self._id = f"agent-{socket.gethostname()}-{os.getpid()}"
        self._server = server
        self._roster = Roster(lambda: [job.job.metadata for job in server.active_jobs])
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
            sweeping = tasks.create_task(self._sweep())
            stopping = tasks.create_task(self._stopping.wait())
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                await self._drain()
            await asyncio.wait({serving})
            for task in (beating, sweeping, stopping):
                task.cancel()

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
            started_at=self._started_at,
        )

    async def _drain(self) -> None:
        # Not the framework's own drain: where a job has just died it waits, without ever yielding,
        # for a clean-up that needs the loop, and so for ever.
        log.info("draining", calls=len(self.calls()))
        try:
            async with asyncio.timeout(self._settings.agent_drain_s):
                # One that waits leaves once the sidecar knows; it may have got a call just now.
                while self.calls() or self._roster.standbys():  # noqa: ASYNC110 - nobody tells when a job ends
                    await asyncio.sleep(_DRAIN_POLL_S)
        except TimeoutError:
            log.warning("drain time passed", calls=len(self.calls()))
        await self._server.aclose()

    def _load(self, _: AgentServer) -> float:
        share = len(self.calls()) / self._settings.agent_max_calls
        if self._stopping.is_set() or share >= 1.0:
            return 1.0
        return share * _ROOM_FOR_ONE_MORE

    async def _on_request(self, request: JobRequest) -> None:
        metadata = request.job.metadata
        try:
            identity = _identity_of(metadata)
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
        while True:
            try:
                receipt = await self._client.heartbeat(self.heartbeat())
                self._roster.note(receipt.calls)
            except SidecarError as error:
                log.warning("heartbeat not delivered", error=type(error).__name__)
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _HEARTBEAT_S)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            await self.sweep()

    async def sweep(self) -> None:
        """Hand over, once, what no living job is still going to."""
        await self._uploads.sweep(self.calls())


def _identity_of(metadata: str) -> str:
    """Return under which name a dispatched agent joins; `ValueError` if it is not ours."""
    standby_id = parse_standby_metadata(metadata)
    return (
        standby_identity(standby_id)
        if standby_id
        else agent_identity(*parse_job_metadata(metadata))
    )
