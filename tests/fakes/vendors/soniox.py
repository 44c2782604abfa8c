"""The stand-in for Soniox: `WS /transcribe-websocket`."""

from __future__ import annotations

import json
import re
from typing import Any

from aiohttp import WSMsgType, web

from tests.fakes.vendors.hearing import Hearing
from tests.fakes.vendors.journal import Journal, Request
from tests.fakes.vendors.script import Vendor, VendorScript

_END = {"text": "<end>", "is_final": True}
_FINALISED = {"text": "<fin>", "is_final": True}


class Soniox:
    """All connections of the recogniser; each gets the next `R<n>`."""

    def __init__(self, script: VendorScript, journal: Journal) -> None:
        self._script = script
        self._journal = journal
        self._connections = 0

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/transcribe-websocket", self.listen)]

    async def listen(self, http: web.Request) -> web.StreamResponse:
        """Serve one connection to its end: what is wanted comes as its first message."""
        seen = Request(Vendor.STT, http.path, {}, dict(http.headers))
        self._journal.requests.append(seen)
        fault = self._script.strike(Vendor.STT)
        if fault is not None and fault.kind == "http":
            return web.Response(status=fault.status)
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(http)
        first = await socket.receive()
        if first.type is not WSMsgType.TEXT:
            return socket
        request = json.loads(first.data)
        seen.messages.append(request)
        scheme, _, key = http.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            await _refuse(socket, 401, "Incorrect API key provided")
            return socket
        if request.get("audio_format") != "pcm_s16le" or request.get("num_channels") != 1:
            await _refuse(socket, 400, "The stand-in takes pcm_s16le with one channel.")
            return socket
        self._connections += 1
        tokens = _Tokens(
            self._connections,
            self._script,
            self._journal,
            seen,
            socket,
            fault,
            int(request["sample_rate"]),
        )
        await tokens.run(http)
        return socket


class _Tokens(Hearing):
    """One connection: tokens, provisional until the turn is over."""

    interim_s = 0.12

    async def on_words(self, text: str) -> None:
        await self._tell(self._tokens(text, is_final=False))

    async def on_quiet(self, text: str) -> None:
        await self.on_words(text)

    async def on_end(self, text: str) -> None:
        marks = [_END] if self.seen.messages[0].get("enable_endpoint_detection") else []
        await self._tell([*self._tokens(text, is_final=True), *marks])

    async def on_nothing(self) -> None:
        await self._tell([])

    async def on_error(self) -> None:
        await self.send({"error_code": 503, "error_message": "Cannot continue request (code 1)."})

    async def on_text(self, text: str) -> bool:
        if not text:
            await self.finish()
            await self._tell([], finished=True)
            await self.socket.close(code=1000)
            return True
        command = json.loads(text)
        self.seen.messages.append(command)
        if command.get("type") == "finalize":
            await self.finish()
            await self._tell([_FINALISED])
        return False

    def _tokens(self, text: str, *, is_final: bool) -> list[dict[str, Any]]:
        start_ms, end_ms = round(self.began_s * 1000), round(self.watch.speech_until_s * 1000)
        language = self.seen.messages[0].get("enable_language_identification")
        return [
            {
                "text": piece,
                "start_ms": start_ms,
                "end_ms": max(start_ms, end_ms),
                "confidence": 0.97,
                "is_final": is_final,
                **({"language": "en"} if language else {}),
            }
            for piece in re.findall(r"\s*\S+", text)
        ]

    async def _tell(self, tokens: list[dict[str, Any]], **more: bool) -> None:
        heard_ms = round(self.watch.audio_s * 1000)
        await self.send(
            {
                "tokens": tokens,
                "final_audio_proc_ms": heard_ms,
                "total_audio_proc_ms": heard_ms,
                **more,
            }
        )


async def _refuse(socket: web.WebSocketResponse, code: int, message: str) -> None:
    await socket.send_json({"error_code": code, "error_message": message})
    await socket.close()
