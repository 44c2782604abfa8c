"""An agent's job in this process, in a room of a real LiveKit server: all but its worker."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from livekit import api, rtc

from agent.job import serve
from agent.settings import AgentSettings
from agent.speech import load
from tests.fakes.call_desk import CallDesk
from tests.integration.livekit_server import LiveKitServer


class RoomJob:
    """The job's context, with a room of its own."""

    def __init__(self, server: LiveKitServer, metadata: str, room: str, identity: str) -> None:
        self.room = rtc.Room()
        self.job = SimpleNamespace(metadata=metadata)
        self.proc = SimpleNamespace(userdata={"tls": ssl.create_default_context()})
        self.shutdowns: list[str] = []
        self._server = server
        self._room_name = room
        self._identity = identity

    async def connect(self, **_: Any) -> None:
        grants = api.VideoGrants(
            room_join=True, room=self._room_name, agent=True, can_update_own_metadata=True
        )
        token = api.AccessToken(self._server.key, self._server.secret)
        token = token.with_identity(self._identity).with_kind("agent").with_grants(grants)
        options = rtc.RoomOptions(auto_subscribe=False)
        await self.room.connect(self._server.url, token.to_jwt(), options)

    def shutdown(self, reason: str) -> None:
        self.shutdowns.append(reason)


@asynccontextmanager
async def running_job(
    job: RoomJob, desk: CallDesk, folder: Path
) -> AsyncIterator[asyncio.Task[None]]:
    """Run a job to its end, as a worker would; it is over when its task is."""
    load()
    settings = AgentSettings(
        agent_recordings_dir=folder,
        agent_lines_dir=folder / "lines",
        agent_spool_dir=folder / "spool",
        agent_worker_id="worker",
    )
    context: Any = job
    async with desk.client() as client:
        task = asyncio.create_task(serve(context, settings, client))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await job.room.disconnect()
