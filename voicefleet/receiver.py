"""A receiver of call results on loopback: verifies each signature and hands the result on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

PATH = "/results"
_LARGEST_BYTES = 16 * 1024 * 1024


class Receiver:
    """What was delivered.

    Attributes:
        refused: deliveries whose signature was wrong.
    """

    def __init__(self, secret: str) -> None:
        self.refused = 0
        self._webhook = Webhook(secret)
        self._results: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def result(self) -> dict[str, Any]:
        """Wait for the next result whose signature was right."""
        return await self._results.get()

    async def receive(self, request: web.Request) -> web.Response:
        """Take one delivery: 204, or 401 where the signature is wrong."""
        body = await request.read()
        # Standard Webhooks looks its headers up in lower case.
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            self._webhook.verify(body, headers)
        except WebhookVerificationError:
            self.refused += 1
            return web.Response(status=401, text="the signature is wrong")
        self._results.put_nowait(json.loads(body))
        return web.Response(status=204)


@asynccontextmanager
async def receiving(secret: str) -> AsyncIterator[tuple[Receiver, str]]:
    """Run a receiver on a free port of 127.0.0.1; yields it and the address to send results to."""
    receiver = Receiver(secret)
    app = web.Application(client_max_size=_LARGEST_BYTES)
    app.router.add_post(PATH, receiver.receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield receiver, f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
    finally:
        await runner.cleanup()
