"""The whole sidecar in memory: its app over ASGI, fake rooms, and a receiver of results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from sidecar.app import create_app
from sidecar.client import SidecarClient
from sidecar.clock import Clock, utc_now
from sidecar.storage import Bucket
from sidecar.store.database import Database
from tests.fakes.control_plane import settings_for_tests
from tests.fakes.rooms import FakeRooms
from tests.fakes.sip_service import FakeSip

URL = "http://sidecar"


class SidecarApp:
    """One running application.

    Attributes:
        rooms: the LiveKit it talks to.
        sip: its SIP service.
        sent: every request it made: results and config queries.
        answers: what those are answered, by URL path; 200 otherwise.
    """

    def __init__(self, rooms: FakeRooms | None = None) -> None:
        self.rooms = rooms or FakeRooms()
        self.sip = FakeSip()
        self.sent: list[httpx.Request] = []
        self.answers: dict[str, httpx.Response] = {}
        self.app = Starlette()
        self._sent_one = asyncio.Condition()

    @property
    def transport(self) -> httpx.ASGITransport:
        return httpx.ASGITransport(self.app)

    def http(self, **headers: str) -> httpx.AsyncClient:
        """Return a client with these headers (underscores become dashes)."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.AsyncClient(transport=self.transport, base_url=URL, headers=named)

    def operator(self, key: str = "admin") -> httpx.AsyncClient:
        return self.http(X_API_Key=key)

    def service(self) -> SidecarClient:
        return SidecarClient(URL, "s3cret", transport=self.transport)

    async def sent_to(self, path: str) -> httpx.Request:
        """Wait for a request to this path, and return it."""
        async with asyncio.timeout(5), self._sent_one:
            await self._sent_one.wait_for(lambda: path in self._paths())
            return self.sent[self._paths().index(path)]

    async def answer(self, request: httpx.Request) -> httpx.Response:
        async with self._sent_one:
            self.sent.append(request)
            self._sent_one.notify_all()
        return self.answers.get(request.url.path, httpx.Response(200))

    def _paths(self) -> list[str]:
        return [request.url.path for request in self.sent]


@asynccontextmanager
async def running_app(
    database: Database,
    folder: Path,
    *,
    bucket: Bucket | None = None,
    clock: Clock = utc_now,
    rooms: FakeRooms | None = None,
    **settings: Any,
) -> AsyncIterator[SidecarApp]:
    """Run the application with its background tasks until the block ends."""
    sidecar = SidecarApp(rooms)
    transport = httpx.MockTransport(sidecar.answer)
    given = {"recordings_dir": folder / "recordings", "allow_private_webhooks": True, **settings}
    async with httpx.AsyncClient(transport=transport) as http:
        sidecar.app = create_app(
            settings_for_tests(**given),
            database=database,
            rooms=sidecar.rooms,
            sip=sidecar.sip,
            http=http,
            bucket=bucket,
            clock=clock,
        )
        async with sidecar.app.router.lifespan_context(sidecar.app):
            yield sidecar
