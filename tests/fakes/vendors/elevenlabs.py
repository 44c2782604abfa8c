"""The stand-in for ElevenLabs: its two WebSockets and `POST /v1/text-to-speech/{voice}`."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from aiohttp import WSMsgType, web

from tests.fakes.vendors.journal import Journal, Request
from tests.fakes.vendors.script import Fault, Vendor, VendorScript
from tests.fakes.vendors.speaker import AudioFormat, Chunk, Speaker

_SCHEDULE = (120, 160, 250, 290)
"""Characters the vendor gathers before each synthesis where nobody tells it otherwise."""
_INACTIVITY_S = 20
_PATH = "/v1/text-to-speech/{voice}"


class ElevenLabs:
    """The voice: speaks each text as a tone of its reference's own."""

    def __init__(self, script: VendorScript, journal: Journal) -> None:
        self._script = script
        self._journal = journal

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{_PATH}/multi-stream-input", self.stream_contexts),
            web.get(f"{_PATH}/stream-input", self.stream_one),
            web.post(_PATH, self.synthesize),
            web.post(f"{_PATH}/stream", self.synthesize),
        ]

    async def stream_contexts(self, http: web.Request) -> web.StreamResponse:
        """Serve `multi-stream-input`: any number of contexts on one connection."""
        return await self._stream(http, is_multi=True)

    async def stream_one(self, http: web.Request) -> web.StreamResponse:
        """Serve `stream-input`: one text, ended by an empty message."""
        return await self._stream(http, is_multi=False)

    async def _stream(self, http: web.Request, *, is_multi: bool) -> web.StreamResponse:
        seen, refusal = self._receive(http)
        if refusal is not None:
            return refusal
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(http)
        stream = _Stream(self._script, self._journal, seen, socket, is_multi=is_multi)
        await stream.run(http.transport)
        return socket

    async def synthesize(self, http: web.Request) -> web.StreamResponse:
        """Answer a whole text at once, streamed as it is made."""
        seen, refusal = self._receive(http)
        if refusal is not None:
            return refusal
        fault = self._script.strike(Vendor.TTS, refusing=False)
        seen.body = await http.json()
        if fault is not None and fault.kind == "silent":
            await asyncio.Event().wait()
        if fault is not None and fault.kind == "garbage":
            return web.json_response({"detail": "}this is no audio{"})
        response = web.StreamResponse(headers={"Content-Type": "audio/pcm"})
        await response.prepare(http)

        async def send(chunk: Chunk) -> None:
            await response.write(chunk.audio)
            if fault is not None and fault.kind == "reset" and http.transport is not None:
                http.transport.abort()

        speaker = Speaker(self._script, self._journal, _format_of(http), send, fault)
        speaker.say(str(seen.body["text"]))
        speaker.end()
        await speaker.run()
        await response.write_eof()
        return response

    def _receive(self, http: web.Request) -> tuple[Request, web.Response | None]:
        """Take note of a request; return the refusal it deserves, if any."""
        query = {key: http.query.getall(key) for key in http.query}
        seen = Request(Vendor.TTS, http.path, query, dict(http.headers))
        self._journal.requests.append(seen)
        self._journal.note(Vendor.TTS, "request", path=http.path)
        if (fault := self._script.strike(Vendor.TTS, refusing=True)) is not None:
            return seen, _refused(fault.status, "fault", "The stand-in was told to refuse.")
        if not http.headers.get("xi-api-key"):
            return seen, _refused(401, "invalid_api_key", "Invalid API key")
        try:
            _format_of(http)
        except ValueError as error:
            return seen, _refused(400, "invalid_output_format", str(error))
        return seen, None


class _Stream:
    """One WebSocket and its contexts."""

    def __init__(
        self,
        script: VendorScript,
        journal: Journal,
        seen: Request,
        socket: web.WebSocketResponse,
        *,
        is_multi: bool,
    ) -> None:
        self._script = script
        self._journal = journal
        self._seen = seen
        self._socket = socket
        self._is_multi = is_multi
        self._contexts: dict[str | None, _Context] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, transport: asyncio.Transport | None) -> None:
        self._transport = transport
        timeout_s = float(self._seen.query.get("inactivity_timeout", [str(_INACTIVITY_S)])[0])
        try:
            while True:
                try:
                    message = await self._socket.receive(timeout=timeout_s)
                except TimeoutError:
                    await self._socket.close(code=1008, message=b"input_timeout_exceeded")
                    return
                if message.type is not WSMsgType.TEXT:
                    return
                data = json.loads(message.data)
                self._seen.messages.append(data)
                if await self._take(data):
                    return
        finally:
            for task in self._tasks:
                task.cancel()

    async def _take(self, data: dict[str, Any]) -> bool:
        """Do as one message says; return whether the connection is over."""
        if data.get("close_socket"):
            for left in self._contexts.values():
                left.close()
            await self._drain()
            return True
        key = data.get("context_id") if self._is_multi else None
        if key not in self._contexts and not data.get("close_context"):
            self._open(key, data)
        if (context := self._contexts.get(key)) is None:
            return False
        text = str(data.get("text") or "")
        context.take(text, is_flush=bool(data.get("flush") or data.get("try_trigger_generation")))
        if data.get("close_context") or (not self._is_multi and "text" in data and not text):
            del self._contexts[key]
            context.close()
            if not self._is_multi:
                await self._drain()
                return True
        return False

    def _open(self, key: str | None, data: dict[str, Any]) -> None:
        generation = data.get("generation_config") or {}
        schedule = generation.get("chunk_length_schedule") or _SCHEDULE
        fault = self._script.strike(Vendor.TTS, refusing=False)
        sent = 0

        async def send(chunk: Chunk) -> None:
            nonlocal sent
            sent += 1
            await self._send_audio(key, chunk, fault)
            if fault is not None and fault.kind == "reset" and sent >= fault.after:
                self._abort()

        output = AudioFormat(self._seen.query.get("output_format", ["pcm_16000"])[0])
        speaker = Speaker(self._script, self._journal, output, send, fault)
        is_auto = self._seen.query.get("auto_mode", ["false"])[0] == "true"
        self._contexts[key] = _Context(speaker, None if is_auto else list(schedule))
        task = asyncio.create_task(self._speak(key, speaker, fault))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _speak(self, key: str | None, speaker: Speaker, fault: Fault | None) -> None:
        await speaker.run()
        if fault is None or fault.kind == "drip":
            await self._send({"audio": None, "isFinal": True, **self._named(key)})

    async def _send_audio(self, key: str | None, chunk: Chunk, fault: Fault | None) -> None:
        if fault is not None and fault.kind == "silent":
            return
        if fault is not None and fault.kind == "garbage":
            await self._socket.send_str("}this is no JSON{")
            return
        alignment = chunk.alignment if self._asked("sync_alignment") or self._is_multi else None
        await self._send(
            {
                "audio": base64.b64encode(chunk.audio).decode(),
                "isFinal": None,
                "alignment": alignment,
                "normalizedAlignment": alignment,
                **self._named(key),
            }
        )

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _drain(self) -> None:
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        await self._socket.close(code=1000)

    async def _send(self, message: dict[str, Any]) -> None:
        if not self._socket.closed:
            await self._socket.send_json(message)

    def _named(self, key: str | None) -> dict[str, str]:
        return {} if key is None else {"contextId": key}

    def _asked(self, name: str) -> bool:
        return self._seen.query.get(name, ["false"])[0] == "true"


class _Context:
    """Gathers a context's text until it may be spoken."""

    def __init__(self, speaker: Speaker, schedule: list[int] | None) -> None:
        """
        Args:
            schedule: characters to gather before each synthesis; None speaks each text as it comes.
        """
        self._speaker = speaker
        self._schedule = schedule
        self._text = ""

    def take(self, text: str, *, is_flush: bool) -> None:
        self._text += text
        if self._schedule is None or is_flush or len(self._text) >= self._schedule[0]:
            self._speak()

    def close(self) -> None:
        self._speak()
        self._speaker.end()

    def _speak(self) -> None:
        if not self._text.strip():
            return
        if self._schedule is not None and len(self._schedule) > 1:
            self._schedule.pop(0)
        self._speaker.say(self._text)
        self._text = ""


def _format_of(http: web.Request) -> AudioFormat:
    return AudioFormat(http.query.get("output_format", "pcm_16000"))


def _refused(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"detail": {"status": code, "message": message}}, status=status)
