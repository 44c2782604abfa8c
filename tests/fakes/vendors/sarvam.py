"""The stand-in for Sarvam's voices: `WS /text-to-speech/ws`."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from typing import Any

from aiohttp import WSMsgType, web

from tests.fakes.vendors.journal import Journal, Request
from tests.fakes.vendors.script import Fault, Vendor, VendorScript
from tests.fakes.vendors.speaker import AudioFormat, Chunk, Speaker

_ENOUGH = 50
"""Characters that are spoken without being told to."""
_IDLE_S = 60.0


class Sarvam:
    """The voice: speaks each text as a tone of its reference's own."""

    def __init__(self, script: VendorScript, journal: Journal) -> None:
        self._script = script
        self._journal = journal

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/text-to-speech/ws", self.stream)]

    async def stream(self, http: web.Request) -> web.StreamResponse:
        """Serve one connection: configured, it speaks any number of answers."""
        query = {key: http.query.getall(key) for key in http.query}
        seen = Request(Vendor.TTS, http.path, query, dict(http.headers))
        self._journal.requests.append(seen)
        self._journal.note(Vendor.TTS, "request", path=http.path)
        if (fault := self._script.strike(Vendor.TTS, refusing=True)) is not None:
            return _refused(fault.status, "The stand-in was told to refuse.")
        if not http.headers.get("api-subscription-key"):
            return _refused(403, "Invalid or missing api-subscription-key")
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(http)
        await _Stream(self._script, self._journal, seen, socket, http.transport).run()
        return socket


class _Stream:
    """One connection: gathers text until there is enough of it, or it is told to flush."""

    def __init__(
        self,
        script: VendorScript,
        journal: Journal,
        seen: Request,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
    ) -> None:
        self._script = script
        self._journal = journal
        self._seen = seen
        self._socket = socket
        self._transport = transport
        self._config: dict[str, Any] = {}
        self._fault: Fault | None = None
        self._text = ""
        self._speakers: asyncio.Queue[Speaker | None] = asyncio.Queue()

    async def run(self) -> None:
        speaking = asyncio.create_task(self._speak())
        try:
            while True:
                message = await self._socket.receive(timeout=_IDLE_S)
                if message.type is not WSMsgType.TEXT:
                    return
                data = json.loads(message.data)
                self._seen.messages.append(data)
                if data["type"] != "ping" and not await self._take(data):
                    return
        finally:
            speaking.cancel()

    async def _take(self, message: dict[str, Any]) -> bool:
        """Do as one message says; return whether to go on."""
        if message["type"] == "config":
            return await self._configure(message["data"])
        if not self._config:
            await self._complain(422, "Configuration must be sent first")
            return False
        if message["type"] == "text":
            self._text += message["data"]["text"]
            if len(self._text) >= _ENOUGH:
                self._synthesise()
        elif message["type"] == "flush":
            if self._text.strip():
                self._synthesise()
            self._speakers.put_nowait(None)
        return True

    async def _configure(self, config: dict[str, Any]) -> bool:
        codec, rate = config.get("output_audio_codec"), config.get("speech_sample_rate")
        if codec != "linear16" or rate not in (8000, 16000, 22050, 24000):
            await self._complain(400, "The stand-in makes linear16 of 8 to 24 kHz.")
            return False
        self._config = config
        self._fault = self._script.strike(Vendor.TTS, refusing=False)
        return True

    def _synthesise(self) -> None:
        async def send(chunk: Chunk) -> None:
            await self._send_audio(chunk.audio)

        output = AudioFormat(f"pcm_{self._config['speech_sample_rate']}")
        speaker = Speaker(self._script, self._journal, output, send, self._fault)
        speaker.say(self._text)
        speaker.end()
        self._speakers.put_nowait(speaker)
        self._text = ""

    async def _speak(self) -> None:
        """Speak in order; `None` is the end of what was flushed."""
        while True:
            speaker = await self._speakers.get()
            if speaker is not None:
                await speaker.run()
            elif self._fault is None or self._fault.kind == "drip":
                await self._send({"type": "event", "data": {"event_type": "final"}})

    async def _send_audio(self, audio: bytes) -> None:
        kind = self._fault.kind if self._fault is not None else None
        if kind == "silent":
            return
        if kind == "garbage":
            await self._socket.send_str("}this is no JSON{")
            return
        if kind == "error":
            await self._complain(500, "The stand-in was told to fail.")
            return
        encoded = base64.b64encode(audio).decode()
        data = {"content_type": "audio/wav", "audio": encoded, "request_id": str(uuid.uuid4())}
        await self._send({"type": "audio", "data": data})
        if kind == "reset" and self._transport is not None:
            self._transport.abort()

    async def _complain(self, code: int, message: str) -> None:
        await self._send({"type": "error", "data": {"message": message, "code": code}})

    async def _send(self, message: dict[str, Any]) -> None:
        if not self._socket.closed:
            await self._socket.send_json(message)


def _refused(status: int, message: str) -> web.Response:
    body = {"error": {"message": message, "code": "fault", "request_id": str(uuid.uuid4())}}
    return web.json_response(body, status=status)
