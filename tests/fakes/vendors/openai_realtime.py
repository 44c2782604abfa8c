"""The stand-in for OpenAI's Realtime API: `WS /v1/realtime`, the events of its general release."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import uuid
from typing import Any

from aiohttp import WSMsgType, web

from tests.fakes.vendors.answer import RATE_HZ, BrokenOff, pieces, reply_to, words_of
from tests.fakes.vendors.energy import SpeechBegan, SpeechWatch
from tests.fakes.vendors.journal import Journal, Request
from tests.fakes.vendors.script import Fault, Reply, Vendor, VendorScript

_LEAST_S = 0.1
"""OpenAI commits no less audio than this."""


class OpenAiRealtime:
    """All connections of the model."""

    def __init__(self, script: VendorScript, journal: Journal) -> None:
        self._script = script
        self._journal = journal

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/realtime", self.talk)]

    async def talk(self, http: web.Request) -> web.StreamResponse:
        """Serve one connection to its end."""
        query = {key: http.query.getall(key) for key in http.query}
        seen = Request(Vendor.REALTIME, http.path, query, dict(http.headers))
        self._journal.requests.append(seen)
        fault = self._script.strike(Vendor.REALTIME, refusing=True)
        if fault is not None:
            return web.json_response({"error": {"message": "refused"}}, status=fault.status)
        if not http.headers.get("Authorization", "").startswith("Bearer "):
            return web.json_response({"error": {"code": "invalid_api_key"}}, status=401)
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
        self._session: dict[str, Any] = {"type": "realtime", "audio": {"input": {}}}
        self._items: list[dict[str, Any]] = []
        self._words: dict[str, str] = {}
        self._audio_ms: dict[str, float] = {}
        self._heard = b""
        self._turns = 0
        self._watch = SpeechWatch(RATE_HZ, script.stt_quiet_ms)
        self._response: asyncio.Task[None] | None = None

    async def run(self) -> None:
        await self._send("session.created", session=self._session)
        expiring = asyncio.create_task(self._expire())
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    await self._take(json.loads(message.data))
        finally:
            expiring.cancel()
            if self._response is not None:
                self._response.cancel()

    async def _expire(self) -> None:
        if self._script.realtime_connection_s is not None:
            await asyncio.sleep(self._script.realtime_connection_s)
            await self._fail("session_expired", "Your session hit the maximum duration.")
            await self._socket.close()

    async def _take(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "input_audio_buffer.append":
            await self._hear(base64.b64decode(event["audio"]))
            return
        self._seen.messages.append(event)
        match kind:
            case "session.update":
                _merge(self._session, event["session"])
                await self._send("session.updated", session=self._session)
            case "input_audio_buffer.commit":
                await self._commit(event)
            case "input_audio_buffer.clear":
                self._heard = b""
                await self._send("input_audio_buffer.cleared")
            case "conversation.item.create":
                await self._create(event)
            case "conversation.item.delete":
                await self._delete(event)
            case "conversation.item.truncate":
                await self._truncate(event)
            case "response.create":
                await self._respond(event.get("response") or {}, event.get("event_id"))
            case "response.cancel":
                await self._cancel(event)
            case _:
                await self._fail("invalid_value", f"unknown type {kind}", event)

    async def _hear(self, pcm: bytes) -> None:
        self._seen.audio_bytes += len(pcm)
        self._seen.audio_messages += 1
        self._heard += pcm
        if not self._session["audio"]["input"].get("turn_detection"):
            return
        for edge in self._watch.push(pcm, time.monotonic()):
            if isinstance(edge, SpeechBegan):
                await self._send(
                    "input_audio_buffer.speech_started", item_id=_new("item"), audio_start_ms=0
                )
                await self._stop("turn_detected")
            else:
                await self._send(
                    "input_audio_buffer.speech_stopped", item_id=_new("item"), audio_end_ms=0
                )
                await self._commit({})
                await self._respond({}, None)

    async def _commit(self, event: dict[str, Any]) -> None:
        length_s = len(self._heard) / 2 / RATE_HZ
        if length_s < _LEAST_S:
            await self._fail(
                "input_audio_buffer_commit_empty", f"buffer only has {1000 * length_s} ms", event
            )
            return
        self._heard = b""
        self._turns += 1
        item: dict[str, Any] = {
            "id": _new("item"),
            "type": "message",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        words = words_of(self._script, self._turns)
        self._journal.note(Vendor.REALTIME, "committed", audio_s=round(length_s, 3), words=words)
        await self._send("input_audio_buffer.committed", item_id=item["id"])
        await self._add(item, words)
        if self._session["audio"]["input"].get("transcription"):
            for kind, name in (("delta", "delta"), ("completed", "transcript")):
                await self._send(
                    f"conversation.item.input_audio_transcription.{kind}",
                    item_id=item["id"],
                    content_index=0,
                    **{name: words},
                )

    async def _create(self, event: dict[str, Any]) -> None:
        item = {"id": _new("item"), **event["item"]}
        if any(item["id"] == known["id"] for known in self._items):
            await self._fail("item_create_duplicate_item_id", "already there", event)
            return
        texts = [part.get("text") or "" for part in item.get("content") or []]
        await self._add(item, " ".join(texts) or str(item.get("output") or ""), event)

    async def _add(
        self, item: dict[str, Any], words: str, event: dict[str, Any] | None = None
    ) -> None:
        place = len(self._items)
        before = (event or {}).get("previous_item_id")
        if before == "root":
            place = 0
        elif before is not None:
            ids = [known["id"] for known in self._items]
            if before not in ids:
                await self._fail("invalid_value", f"no item {before}", event)
                return
            place = ids.index(before) + 1
        previous = self._items[place - 1]["id"] if place else None
        self._items.insert(place, item)
        self._words[item["id"]] = words
        await self._send("conversation.item.added", previous_item_id=previous, item=item)
        await self._send("conversation.item.done", previous_item_id=previous, item=item)

    async def _delete(self, event: dict[str, Any]) -> None:
        kept = [item for item in self._items if item["id"] != event["item_id"]]
        if len(kept) == len(self._items):
            await self._fail("item_delete_invalid_item_id", "no such item", event)
            return
        self._items = kept
        await self._send("conversation.item.deleted", item_id=event["item_id"])

    async def _truncate(self, event: dict[str, Any]) -> None:
        length_ms = self._audio_ms.get(event["item_id"])
        if length_ms is None or event["audio_end_ms"] > length_ms:
            message = f"Audio content of {length_ms}ms is already shorter"
            await self._fail("invalid_value", message, event)
            return
        self._journal.note(
            Vendor.REALTIME, "truncated", at_ms=event["audio_end_ms"], length_ms=length_ms
        )
        await self._send(
            "conversation.item.truncated",
            item_id=event["item_id"],
            content_index=0,
            audio_end_ms=event["audio_end_ms"],
        )

    async def _respond(self, asked: dict[str, Any], event_id: str | None) -> None:
        if self._response is not None and not self._response.done():
            await self._fail(
                "conversation_already_has_active_response", "one at a time", {"event_id": event_id}
            )
            return
        last = asked.get("instructions") or (
            self._words[self._items[-1]["id"]] if self._items else ""
        )
        fault = self._script.strike(Vendor.REALTIME, refusing=False)
        self._journal.note(Vendor.REALTIME, "asked", last=last)
        if fault is not None and fault.kind == "silent":
            return
        if fault is not None and fault.kind == "garbage":
            await self._socket.send_str("}this is no JSON{")
            return
        reply = reply_to(self._script, last)
        self._response = asyncio.create_task(self._answer(reply, asked, fault))

    async def _answer(self, reply: Reply, asked: dict[str, Any], fault: Fault | None) -> None:
        response: dict[str, Any] = {
            "id": _new("resp"),
            "object": "realtime.response",
            "status": "in_progress",
            "output": [],
            "metadata": asked.get("metadata"),
        }
        await self._send("response.created", response=response)
        status: str = "completed"
        details: dict[str, Any] | None = None
        try:
            if fault is not None and fault.kind == "error":
                error = {"type": "server_error", "code": None, "message": "told to fail"}
                status, details = "failed", {"type": "failed", "error": error}
            else:
                await self._speak(response["id"], reply, fault)
                for call in reply.tool_calls:
                    await self._call(response["id"], call.name, json.dumps(call.arguments))
        except BrokenOff:
            if self._http.transport is not None:
                self._http.transport.abort()
            return
        except asyncio.CancelledError:
            status, details = "cancelled", {"type": "cancelled", "reason": "client_cancelled"}
        usage = {"input_tokens": 20, "output_tokens": 30, "total_tokens": 50}
        done = {**response, "status": status, "status_details": details, "usage": usage}
        await self._send("response.done", response=done)

    async def _speak(self, response_id: str, reply: Reply, fault: Fault | None) -> None:
        item: dict[str, Any] = {"id": _new("item"), "type": "message", "role": "assistant"}
        item["content"] = []
        place = {
            "response_id": response_id,
            "item_id": item["id"],
            "output_index": 0,
            "content_index": 0,
        }
        begun = False
        async for piece in pieces(self._script, reply, fault):
            if not begun:
                begun = True
                self._journal.note(Vendor.REALTIME, "first_audio")
                await self._send(
                    "response.output_item.added",
                    response_id=response_id,
                    output_index=0,
                    item=dict(item),
                )
                await self._add(item, reply.text)
                await self._send(
                    "response.content_part.added", **place, part={"type": "audio", "transcript": ""}
                )
            await self._send("response.output_audio_transcript.delta", **place, delta=piece.text)
            length_ms = 1000 * len(piece.audio) / 2 / RATE_HZ
            self._audio_ms[item["id"]] = self._audio_ms.get(item["id"], 0.0) + length_ms
            await self._send(
                "response.output_audio.delta",
                **place,
                delta=base64.b64encode(piece.audio).decode(),
            )
        if begun:
            whole = {**item, "status": "completed"}
            await self._send("response.output_audio.done", **place)
            await self._send(
                "response.output_item.done", response_id=response_id, output_index=0, item=whole
            )

    async def _call(self, response_id: str, name: str, arguments: str) -> None:
        item: dict[str, Any] = {
            "id": _new("item"),
            "type": "function_call",
            "call_id": _new("call"),
            "name": name,
            "arguments": "",
        }
        await self._send(
            "response.output_item.added", response_id=response_id, output_index=1, item=dict(item)
        )
        await self._add(item, "")
        item["arguments"] = arguments
        await self._send(
            "response.output_item.done", response_id=response_id, output_index=1, item=item
        )

    async def _cancel(self, event: dict[str, Any]) -> None:
        if not await self._stop("client_cancelled"):
            message = "Cancellation failed: no active response found"
            await self._fail("response_cancel_not_active", message, event)

    async def _stop(self, why: str) -> bool:
        if self._response is None or self._response.done():
            return False
        self._journal.note(Vendor.REALTIME, "cancelled", why=why)
        self._response.cancel()
        await asyncio.wait({self._response})
        return True

    async def _fail(self, code: str, message: str, event: dict[str, Any] | None = None) -> None:
        await self._send(
            "error",
            error={
                "type": "invalid_request_error",
                "code": code,
                "message": message,
                "event_id": (event or {}).get("event_id"),
            },
        )

    async def _send(self, kind: str, **more: Any) -> None:
        if not self._socket.closed:
            await self._socket.send_str(
                json.dumps({"type": kind, "event_id": _new("event"), **more})
            )


def _merge(into: dict[str, Any], part: dict[str, Any]) -> None:
    for key, value in part.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _new(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex[:20]}"
