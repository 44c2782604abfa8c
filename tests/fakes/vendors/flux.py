"""The stand-in for Deepgram's Flux: `WS /v2/listen`."""

from __future__ import annotations

import json
import uuid

from aiohttp import web

from tests.fakes.vendors.hearing import Hearing
from tests.fakes.vendors.journal import Journal, Request
from tests.fakes.vendors.script import Vendor, VendorScript

CONFIDENCE = 0.9
_MODELS = ("flux-general-en", "flux-general-multi")


class Flux:
    """All connections of the recogniser; each gets the next `R<n>`."""

    def __init__(self, script: VendorScript, journal: Journal) -> None:
        self._script = script
        self._journal = journal
        self._connections = 0

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v2/listen", self.listen)]

    async def listen(self, http: web.Request) -> web.StreamResponse:
        """Serve one connection to its end."""
        query = {key: http.query.getall(key) for key in http.query}
        seen = Request(Vendor.STT, http.path, query, dict(http.headers))
        self._journal.requests.append(seen)
        fault = self._script.strike(Vendor.STT)
        if fault is not None and fault.kind == "http":
            return _refused(fault.status, "FAULT", "The stand-in was told to refuse.")
        scheme, _, key = http.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in ("token", "bearer") or not key:
            return _refused(401, "INVALID_AUTH", "Invalid credentials.")
        if http.query.get("model") not in _MODELS:
            return _refused(400, "INVALID_QUERY_PARAMETER", "No such model.")
        if http.query.get("encoding") != "linear16":
            return _refused(400, "INVALID_QUERY_PARAMETER", "The stand-in takes linear16.")
        self._connections += 1
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(http)
        turns = _Turns(
            self._connections,
            self._script,
            self._journal,
            seen,
            socket,
            fault,
            int(http.query["sample_rate"]),
        )
        await turns.connect()
        await turns.run(http)
        return socket


class _Turns(Hearing):
    """One connection: a `TurnInfo` for each thing that happens in a turn."""

    async def connect(self) -> None:
        self._request_id = str(uuid.uuid4())
        self._sequence = 0
        self._is_eager = "eager_eot_threshold" in self.seen.query
        self._has_started = False
        await self.send({"type": "Connected", "request_id": self._request_id, "sequence_id": 0})

    async def on_words(self, text: str) -> None:
        # A turn starts with its first words, not with the sound of them.
        await self._tell("Update" if self._has_started else "StartOfTurn", text)
        self._has_started = True

    async def on_quiet(self, text: str) -> None:
        if not self._has_started:
            await self.on_words(text)
        if self._is_eager:
            await self._tell("EagerEndOfTurn", text)

    async def on_resumed(self, text: str) -> None:
        if self._is_eager:
            await self._tell("TurnResumed", text)

    async def on_end(self, text: str) -> None:
        await self._tell("EndOfTurn", text)
        self._has_started = False

    async def on_nothing(self) -> None:
        await self._tell("Update", "")

    async def on_error(self) -> None:
        await self.send(
            {
                "type": "Error",
                "sequence_id": self._sequence + 1,
                "code": "INTERNAL_SERVER_ERROR",
                "description": "The stand-in was told to fail.",
            }
        )

    async def on_text(self, text: str) -> bool:
        command = json.loads(text)
        self.seen.messages.append(command)
        if command.get("type") != "CloseStream":
            return False
        await self.finish()
        await self.socket.close(code=1000)
        return True

    async def _tell(self, event: str, text: str) -> None:
        self._sequence += 1
        words = text.split()
        await self.send(
            {
                "type": "TurnInfo",
                "request_id": self._request_id,
                "sequence_id": self._sequence,
                "event": event,
                "turn_index": self.turn - 1,
                "audio_window_start": round(self.began_s, 3),
                "audio_window_end": round(self.watch.speech_until_s, 3),
                "transcript": text,
                "words": [{"word": word, "confidence": CONFIDENCE} for word in words],
                "end_of_turn_confidence": 0.9 if event.endswith("EndOfTurn") else 0.1,
            }
        )


def _refused(status: int, code: str, description: str) -> web.Response:
    body = {"err_code": code, "err_msg": description, "request_id": str(uuid.uuid4())}
    return web.json_response(body, status=status, headers={"dg-error": description})
