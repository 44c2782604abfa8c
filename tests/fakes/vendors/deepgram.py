"""The stand-in for Deepgram's streaming recogniser: `WS /v1/listen`."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

from aiohttp import WSMsgType, web

from tests.fakes.vendors.energy import SpeechBegan, SpeechEnded, SpeechWatch
from tests.fakes.vendors.journal import Journal, Reference, Request
from tests.fakes.vendors.script import Fault, Vendor, VendorScript

_SILENCE_TIMEOUT_S = 10.0
"""Without audio or a KeepAlive the vendor hangs up after this."""
_STOCK_WORDS = "I would like to know when my booking is"
_SLOW = 10
_NOTHING_S = 1.0
"""How often interim results tell that there are no words."""


class Deepgram:
    """All connections of the recogniser; each gets the next `R<n>`."""

    def __init__(self, script: VendorScript, journal: Journal) -> None:
        self._script = script
        self._journal = journal
        self._connections = 0

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/listen", self.listen)]

    async def listen(self, http: web.Request) -> web.StreamResponse:
        """Serve one connection to its end."""
        query = {key: http.query.getall(key) for key in http.query}
        seen = Request(Vendor.STT, http.path, query, dict(http.headers))
        self._journal.requests.append(seen)
        request_id = str(uuid.uuid4())
        fault = self._script.strike(Vendor.STT)
        if fault is not None and fault.kind == "http":
            return _refused(fault.status, "FAULT", "The stand-in was told to refuse.", request_id)
        scheme, _, key = http.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in ("token", "bearer") or not key:
            return _refused(401, "INVALID_AUTH", "Invalid credentials.", request_id)
        if http.query.get("encoding", "linear16") != "linear16":
            return _refused(400, "Bad Request", "The stand-in takes linear16.", request_id)
        self._connections += 1
        socket = web.WebSocketResponse(compress=False)
        socket.headers["dg-request-id"] = request_id
        await socket.prepare(http)
        listener = _Listener(
            self._connections, self._script, self._journal, seen, socket, fault, request_id
        )
        self._journal.note(Vendor.STT, "request", listener.reference)
        await listener.run(http)
        return socket


class _Listener:
    """One connection: energy in, transcripts out."""

    def __init__(
        self,
        number: int,
        script: VendorScript,
        journal: Journal,
        seen: Request,
        socket: web.WebSocketResponse,
        fault: Fault | None,
        request_id: str,
    ) -> None:
        self._number = number
        self._script = script
        self._journal = journal
        self._seen = seen
        self._socket = socket
        self._fault = fault.kind if fault is not None else None
        self._request_id = request_id
        self._rate_hz = int(seen.query.get("sample_rate", ["16000"])[0])
        self._watch = SpeechWatch(self._rate_hz, script.stt_quiet_ms)
        self._turn = 1
        self._began_s = 0.0
        self._interim_s = self._nothing_s = 0.0
        self._from_finalize = False
        self._pending: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connection: asyncio.Transport | None = None

    @property
    def reference(self) -> Reference:
        return Reference(self._number, self._turn)

    async def run(self, http: web.Request) -> None:
        self._connection = http.transport
        try:
            await self._listen()
        finally:
            for task in self._tasks:
                task.cancel()

    async def _listen(self) -> None:
        while True:
            try:
                message = await self._socket.receive(timeout=_SILENCE_TIMEOUT_S)
            except TimeoutError:
                await self._socket.close(code=1011, message=b"NET-0001")
                return
            if message.type is WSMsgType.BINARY:
                await self._hear(message.data)
            elif message.type is WSMsgType.TEXT:
                command = json.loads(message.data)
                self._seen.messages.append(command)
                if await self._obey(str(command.get("type"))):
                    return
            else:
                return

    async def _hear(self, pcm: bytes) -> None:
        self._seen.audio_bytes += len(pcm)
        self._seen.audio_messages += 1
        for event in self._watch.push(pcm, time.time()):
            if isinstance(event, SpeechBegan):
                await self._begin(event)
            else:
                self._end(event)
        due_s = self._interim_s + self._script.stt_interim_ms / 1000
        if self._watch.speaking and self._watch.audio_s >= due_s and self._asked("interim_results"):
            self._interim_s = self._watch.audio_s
            words = int((self._watch.audio_s - self._began_s) / 0.3)
            await self._send(self._results(self._text(words), is_final=False))

        is_idle = not self._watch.speaking and self._pending is None and self._fault != "garbage"
        if is_idle and self._watch.audio_s >= self._nothing_s + _NOTHING_S:
            self._nothing_s = self._watch.audio_s
            if self._asked("interim_results"):
                await self._send(self._results("", is_final=False))

    async def _begin(self, event: SpeechBegan) -> None:
        if self._pending is not None:
            # Sound again before the final was out: one stretch of speech.
            self._pending.cancel()
            self._pending = None
            return
        self._began_s = self._interim_s = event.audio_s
        self._journal.note(Vendor.STT, "speech_start", self.reference)
        if self._asked("vad_events"):
            await self._send(
                {"type": "SpeechStarted", "channel": [0], "timestamp": round(event.audio_s, 3)}
            )

    def _end(self, event: SpeechEnded) -> None:
        delay_ms = self._script.stt_final_ms * (_SLOW if self._fault == "drip" else 1)
        self._pending = asyncio.create_task(self._finish(event.at + delay_ms / 1000, event))
        self._tasks.add(self._pending)
        self._pending.add_done_callback(self._tasks.discard)

    async def _finish(self, due: float, event: SpeechEnded) -> None:
        await asyncio.sleep(due - time.time())
        self._pending = None
        reference = self.reference
        self._journal.step(Vendor.STT, "speech_end", reference, event.at)
        if self._fault == "reset" and self._connection is not None:
            self._connection.abort()
            return
        if self._fault == "garbage":
            await self._socket.send_str("}this is no JSON{")
            return
        text = self._text()
        self._turn += 1
        await self._send(
            self._results(text, is_final=True, from_finalize=self._from_finalize, until=event)
        )
        self._from_finalize = False
        self._journal.note(Vendor.STT, "final", reference, text=text)
        if (wait_ms := self._seen.query.get("utterance_end_ms")) is not None:
            await asyncio.sleep(max(0.0, event.at + int(wait_ms[0]) / 1000 - time.time()))
            await self._send(
                {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": event.audio_s}
            )

    async def _obey(self, command: str) -> bool:
        """Do as told; return whether the connection is over."""
        if command == "Finalize":
            await self._finalize()
        elif command == "CloseStream":
            await self._finalize()
            if self._pending is not None:
                await asyncio.wait({self._pending})
            await self._send(
                {
                    "type": "Metadata",
                    "transaction_key": "deprecated",
                    "request_id": self._request_id,
                    "duration": self._watch.audio_s,
                    "channels": 1,
                }
            )
            await self._socket.close(code=1000)
            return True
        return False

    async def _finalize(self) -> None:
        """Take what was said for complete. The fixed delay holds all the same."""
        if self._watch.speaking:
            self._watch.stop()
            self._end(SpeechEnded(self._watch.loud_at, self._watch.speech_until_s))
        if self._pending is not None:
            self._from_finalize = True
        else:
            await self._send(self._results("", is_final=True, from_finalize=True))

    def _text(self, words: int | None = None) -> str:
        """Return the turn's transcript, or as much of it as has been heard."""
        script = self._script
        index = self._turn - 1
        spoken = script.transcripts[index] if index < len(script.transcripts) else _STOCK_WORDS
        if words is not None:
            spoken = " ".join(spoken.split()[: max(1, words)])
        return f"R{self._number} T{self._turn} {spoken}" if script.references else spoken

    def _asked(self, name: str) -> bool:
        return self._seen.query.get(name, ["false"])[0] == "true"

    def _results(
        self,
        text: str,
        *,
        is_final: bool,
        from_finalize: bool = False,
        until: SpeechEnded | None = None,
    ) -> dict[str, Any]:
        end_s = until.audio_s if until is not None else self._watch.audio_s
        start_s = min(self._began_s, end_s)
        words = text.split()
        each_s = (end_s - start_s) / max(1, len(words))
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": round(end_s - start_s, 3),
            "start": round(start_s, 3),
            "is_final": is_final,
            "speech_final": is_final,
            "from_finalize": from_finalize,
            "channel": {
                "alternatives": [
                    {
                        "transcript": text,
                        "confidence": 0.99 if text else 0.0,
                        "words": [
                            {
                                "word": word.lower().strip(".,?!"),
                                "punctuated_word": word,
                                "start": round(start_s + index * each_s, 3),
                                "end": round(start_s + (index + 1) * each_s, 3),
                                "confidence": 0.99,
                            }
                            for index, word in enumerate(words)
                        ],
                    }
                ]
            },
            "metadata": {
                "request_id": self._request_id,
                "model_info": {"name": "stand-in", "version": "0", "arch": "nova-3"},
                "model_uuid": "00000000-0000-0000-0000-000000000000",
            },
        }

    async def _send(self, message: dict[str, Any]) -> None:
        if self._fault == "silent" or self._socket.closed:
            return
        await self._socket.send_json(message)


def _refused(status: int, code: str, message: str, request_id: str) -> web.Response:
    body = {"err_code": code, "err_msg": message, "request_id": request_id}
    return web.json_response(body, status=status, headers={"dg-error": message})
