"""Signalling's HTTP: `/health` and `/metrics`, always from memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web


class HealthServer:
    """Two pages. `start`, then `stop`.

    Args:
        health: the body of `/health`, which is 503 while its status is `starting`.
        metrics: the body of `/metrics`.
    """

    def __init__(self, health: Callable[[], dict[str, Any]], metrics: Callable[[], bytes]) -> None:
        self._health = health
        self._metrics = metrics
        app = web.Application()
        app.add_routes([web.get("/health", self._on_health), web.get("/metrics", self._on_metrics)])
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, host: str, port: int) -> int:
        """Serve; return the port in use."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Serve no more."""
        await self._runner.cleanup()

    async def _on_health(self, _: web.Request) -> web.Response:
        health = self._health()
        status = 503 if health["status"] == "starting" else 200
        body = json.dumps(health, separators=(",", ":"))
        return web.Response(status=status, text=body, content_type="application/json")

    async def _on_metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )
