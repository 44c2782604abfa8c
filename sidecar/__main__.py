"""`python -m sidecar`: the control plane as one process, set up by environment variables alone."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import FrameType

import httpx
import structlog
import uvicorn
from pydantic import ValidationError

from contracts.log import configure_logging
from sidecar.app import create_app
from sidecar.livekit_sip import SipService
from sidecar.rooms import LiveKitRooms
from sidecar.settings import Settings
from sidecar.storage import Bucket
from sidecar.store.database import Database

DRAIN_S = 10
KEEP_ALIVE_S = 75
"""Longer than clients keep a connection that rests (5 s, a proxy's 60): whoever of the two lets go
first, a request that is just being sent on it must not be lost."""
THREADS = 64
"""Names are looked up in threads, and a name server that hangs keeps one for as long: Python's
default, six on two cores, would be used up by the receivers of two tenants."""
EXIT_MISCONFIGURED = 78


class _Server(uvicorn.Server):
    """Ends requests that are held open before it waits for the others."""

    def __init__(self, config: uvicorn.Config, part: Callable[[], None]) -> None:
        super().__init__(config)
        self._part = part
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._part)
        super().handle_exit(sig, frame)


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then let running requests finish."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "sidecar"))
    database = Database(settings.database_url)
    livekit = (settings.livekit_url, settings.livekit_api_key, settings.livekit_api_secret)
    rooms, sip = LiveKitRooms(*livekit), SipService(*livekit)
    async with httpx.AsyncClient(trust_env=False) as http, _bucket(settings, http) as bucket:
        app = create_app(
            settings, database=database, rooms=rooms, sip=sip, http=http, bucket=bucket
        )
        config = uvicorn.Config(
            app,
            host=settings.sidecar_host,
            port=settings.sidecar_port,
            log_config=None,
            access_log=False,
            server_header=False,
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=DRAIN_S,
        )
        try:
            await _Server(config, app.state.part).serve()
        finally:
            await rooms.aclose()
            await sip.aclose()
            await database.aclose()


@asynccontextmanager
async def _bucket(settings: Settings, http: httpx.AsyncClient) -> AsyncIterator[Bucket | None]:
    if not settings.s3_bucket:
        yield None
        return
    # Here, since its client takes 27 MB that a sidecar with a folder has no use for.
    from sidecar.bucket import open_bucket

    async with open_bucket(settings, http) as bucket:
        yield bucket


def main() -> None:
    """Read the settings and serve."""
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors(include_input=False):
            name = "_".join(map(str, problem["loc"])).upper()
            sys.stderr.write(f"setting {name}: {problem['msg']}\n")
        sys.exit(EXIT_MISCONFIGURED)
    configure_logging(settings.log_level)
    if not settings.result_signing_secret:
        structlog.get_logger(__name__).warning("results_unsigned", setting="RESULT_SIGNING_SECRET")
    # The server drains on these, then raises them anew, which must not cut our own closing short.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: None)
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
