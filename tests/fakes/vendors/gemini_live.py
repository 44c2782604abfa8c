"""The stand-in for Gemini Live: `WS …GenerativeService.BidiGenerateContent`, JSON both ways."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
import uuid
from typing import Any

from aiohttp import WSMsgType, web

from tests.fakes.vendors.answer import RATE_HZ, BrokenOff, pieces, reply_to, words_of
from tests.fakes.vendors.energy import SpeechBegan, SpeechWatch
from tests.fakes.vendors.journal import Journal, Request
from tests.fakes.vendors.script import Fault, Reply, Vendor, VendorScript

_HEARD_HZ = 16_000
_WARNING_S = 0.3
"""How long after its `goAway` the stand-in hangs up; Gemini gives some ten seconds."""


class GeminiLive:
    """All connections of the model."""

    def __init__(self, script: VendorScript, journal: Journal) -> None:
        self._script = script
        self._journal = journal

    def routes(self) -> list[web.RouteDef]:
        path = "/ws/google.ai.generativelanguage.{version}.GenerativeService.BidiGenerateContent"
        return [web.get(path, self.talk)]

    async def talk(self, http: web.Request) -> web.StreamResponse:
        """Serve one connection to its end."""
        seen = Request(Vendor.REALTIME, http.path, {}, dict(http.headers))
        self._journal.requests.append(seen)
        fault = self._script.strike(Vendor.REALTIME, refusing=True)
        if fault is not None:
            return web.json_response({"error": {"message": "refused"}}, status=fault.status)
        if not http.headers.get("x-goog-api-key"):
            return web.json_response({"error": {"status": "UNAUTHENTICATED"}}, status=401)
        socket = web.WebSocketResponse(compress=False, max_msg_size=0)
        await socket.prepare(http)
        await _Connection(self._script, self._journal, seen, http, socket).run()
        return socket


class _Connection:
    def __init__(
        self,
        script: VendorScript,
        journal: Journal,
        seen: Request,
        http: web.Request,
        socket: web.WebSocketResponse,
    ) -> None:
        self._script = script
        self._journal = journal
        self._seen = seen
        self._http = http
        self._socket = socket
        self._is_manual = False
        self._is_active = False
        self._active_bytes = 0
        self._said = ""
        self._turns = 0
        self._watch = SpeechWatch(_HEARD_HZ, script.stt_quiet_ms)
        self._turn: asyncio.Task[None] | None = None

    async def run(self) -> None:
        expiring = asyncio.create_task(self._expire())
        try:
            async for message in self._socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    await self._take(_camel(json.loads(message.data)))
        finally:
            expiring.cancel()
            if self._turn is not None:
                self._turn.cancel()

    async def _expire(self) -> None:
        if self._script.realtime_connection_s is not None:
            await asyncio.sleep(self._script.realtime_connection_s)
            await self._send({"goAway": {"timeLeft": f"{_WARNING_S}s"}})
            await asyncio.sleep(_WARNING_S)
            await self._socket.close()

    async def _take(self, event: dict[str, Any]) -> None:
        if heard := event.get("realtimeInput"):
            await self._hear(heard)
            return
        self._seen.messages.append(event)
        if "setup" in event:
            detection = event["setup"].get("realtimeInputConfig", {})
            self._is_manual = bool(
                detection.get("automaticActivityDetection", {}).get("disabled", False)
            )
            await self._send({"setupComplete": {}})
            handle = {"newHandle": uuid.uuid4().hex, "resumable": True}
            await self._send({"sessionResumptionUpdate": handle})
        elif content := event.get("clientContent"):
            texts = [
                part.get("text", "") for turn in content.get("turns", []) for part in turn["parts"]
            ]
            self._said = " ".join(text for text in texts if text != ".") or self._said
            if content.get("turnComplete"):
                await self._begin_turn()
        elif answer := event.get("toolResponse"):
            self._said = json.dumps([each["response"] for each in answer["functionResponses"]])
            await self._begin_turn()

    async def _hear(self, heard: dict[str, Any]) -> None:
        if "activityStart" in heard:
            self._note("activity_start")
            self._is_active, self._active_bytes = True, 0
            await self._interrupt()
        elif "activityEnd" in heard:
            self._note("activity_end")
            self._is_active = False
            await self._answer_voice()
        elif audio := heard.get("audio"):
            if audio["mimeType"] != f"audio/pcm;rate={_HEARD_HZ}":
                await self._socket.close(code=1007, message=b"Unsupported audio.")
                return
            # The SDK writes the alphabet for addresses, and no padding.
            pcm = base64.urlsafe_b64decode(audio["data"] + "==")
            self._seen.audio_bytes += len(pcm)
            self._seen.audio_messages += 1
            self._active_bytes += len(pcm)
            if not self._is_manual:
                await self._watch_voice(pcm)

    async def _watch_voice(self, pcm: bytes) -> None:
        for edge in self._watch.push(pcm, time.monotonic()):
            if isinstance(edge, SpeechBegan):
                await self._interrupt()
            else:
                await self._answer_voice()

    async def _answer_voice(self) -> None:
        self._turns += 1
        self._said = words_of(self._script, self._turns)
        audio_s = round(self._active_bytes / 2 / _HEARD_HZ, 3)
        self._active_bytes = 0
        self._note("committed", audio_s=audio_s, words=self._said)
        if self._seen.messages[0]["setup"].get("inputAudioTranscription") is not None:
            await self._content({"inputTranscription": {"text": f" {self._said}"}})
        await self._begin_turn()

    async def _begin_turn(self) -> None:
        await self._interrupt()
        fault = self._script.strike(Vendor.REALTIME, refusing=False)
        self._note("asked", last=self._said)
        if fault is not None and fault.kind == "silent":
            return
        if fault is not None and fault.kind == "garbage":
            await self._socket.send_bytes(b"}this is no JSON{")
            return
        if fault is not None and fault.kind == "error":
            await self._socket.close(code=1011, message=b"Internal error encountered.")
            return
        self._turn = asyncio.create_task(self._speak(reply_to(self._script, self._said), fault))

    async def _speak(self, reply: Reply, fault: Fault | None) -> None:
        begun_at, said_s = 0.0, 0.0
        try:
            async for piece in pieces(self._script, reply, fault):
                if not begun_at:
                    begun_at = time.monotonic()
                    self._note("first_audio")
                said_s += len(piece.audio) / 2 / RATE_HZ
                blob = {
                    "mimeType": f"audio/pcm;rate={RATE_HZ}",
                    "data": base64.b64encode(piece.audio).decode(),
                }
                await self._content({"modelTurn": {"parts": [{"inlineData": blob}]}})
                await self._content({"outputTranscription": {"text": piece.text}})
        except BrokenOff:
            if self._http.transport is not None:
                self._http.transport.abort()
            return
        if reply.tool_calls:
            calls = [
                {"id": uuid.uuid4().hex, "name": call.name, "args": call.arguments}
                for call in reply.tool_calls
            ]
            await self._send({"toolCall": {"functionCalls": calls}})
            return
        await self._content({"generationComplete": True})
        # Gemini takes its turn for complete once it must have been heard.
        await asyncio.sleep(max(0.0, begun_at + said_s - time.monotonic()))
        tokens = {"promptTokenCount": 20, "responseTokenCount": 30, "totalTokenCount": 50}
        await self._send({"serverContent": {"turnComplete": True}, "usageMetadata": tokens})

    async def _interrupt(self) -> None:
        if self._turn is None or self._turn.done():
            return
        self._turn.cancel()
        await asyncio.wait({self._turn})
        self._note("cancelled")
        await self._content({"interrupted": True})
        await self._content({"turnComplete": True})

    def _note(self, what: str, **more: Any) -> None:
        self._journal.note(Vendor.REALTIME, what, **more)

    async def _content(self, content: dict[str, Any]) -> None:
        await self._send({"serverContent": content})

    async def _send(self, message: dict[str, Any]) -> None:
        if not self._socket.closed:
            await self._socket.send_bytes(json.dumps(message).encode())


def _camel(message: Any) -> Any:
    """Return a message with its names as Google documents them: its SDK writes some otherwise."""
    if isinstance(message, list):
        return [_camel(each) for each in message]
    if not isinstance(message, dict):
        return message
    return {
        re.sub("_([a-z])", lambda found: found[1].upper(), name): _camel(value)
        for name, value in message.items()
    }
