"""The stand-in for OpenAI's chat completions: `POST /v1/chat/completions`, `GET /v1/models`."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from tests.fakes.vendors.journal import Journal, Reference, Request, references_in
from tests.fakes.vendors.script import Fault, Reply, Vendor, VendorScript

STOCK_REPLY = (
    "Sure{references}, let me check that. Your booking is on Monday the fourth of May at half past"
    " ten in the morning, and nothing else is open on that day."
)
_SLOW = 10


class OpenAI:
    """The model: an echo of the caller's references in a stock reply, or a scripted reply."""

    def __init__(self, script: VendorScript, journal: Journal) -> None:
        self._script = script
        self._journal = journal

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/chat/completions", self.complete),
            web.get("/v1/models", self.models),
        ]

    async def models(self, http: web.Request) -> web.Response:
        if refusal := _unauthorised(http):
            return refusal
        model = {"id": "gpt-4.1-mini", "object": "model", "created": 0, "owned_by": "stand-in"}
        return web.json_response({"object": "list", "data": [model]})

    async def complete(self, http: web.Request) -> web.StreamResponse:
        """Answer one request, streamed or whole."""
        arrived = time.monotonic()
        body: dict[str, Any] = await http.json()
        self._journal.requests.append(
            Request(Vendor.LLM, http.path, {}, dict(http.headers), body=body)
        )
        fault = self._script.strike(Vendor.LLM)
        if fault is not None and fault.kind == "http":
            return _error(fault.status, "The stand-in was told to refuse.", "server_error")
        if refusal := _unauthorised(http):
            return refusal
        references = references_in(_last_words(body["messages"]))
        last = references[-1] if references else None
        echoed = [str(reference) for reference in references]
        self._journal.note(Vendor.LLM, "request", last, refs=echoed, model=body.get("model"))
        if fault is not None and fault.kind == "silent":
            await asyncio.Event().wait()
        completion = _Completion(self._script, self._reply(body["messages"], references), fault)
        if not body.get("stream"):
            await completion.wait_all(arrived)
            return web.json_response(completion.whole(body))
        return await self._stream(http, body, completion, arrived, last)

    async def _stream(
        self,
        http: web.Request,
        body: dict[str, Any],
        completion: _Completion,
        arrived: float,
        reference: Reference | None,
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "x-request-id": completion.id}
        )
        response.enable_chunked_encoding()
        await response.prepare(http)
        sent = 0
        try:
            async for delta in completion.deltas(arrived):
                if sent == 0:
                    self._journal.note(Vendor.LLM, "first_token", reference)
                await response.write(_event(completion.chunk(body, delta)))
                sent += 1
                if completion.is_struck("garbage"):
                    await response.write(b"data: }this is no JSON{\n\n")
                    return response
                if completion.is_struck("reset") and sent == 3 and http.transport is not None:
                    http.transport.abort()
                    return response
            await response.write(_event(completion.end(body)))
            if (body.get("stream_options") or {}).get("include_usage"):
                await response.write(_event(completion.usage(body)))
            await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            # The client has heard enough: an interrupted turn.
            self._journal.note(Vendor.LLM, "cancelled", reference, tokens=sent)
            raise
        self._journal.note(Vendor.LLM, "done", reference, tokens=sent)
        return response

    def _reply(self, messages: list[dict[str, Any]], references: list[Reference]) -> Reply:
        last = _text_of(messages[-1]) if messages else ""
        for reply in self._script.replies:
            if re.search(reply.when, last, re.IGNORECASE):
                return reply
        echoed = "".join(f" {reference}" for reference in references)
        return Reply(text=STOCK_REPLY.format(references=echoed))


class _Completion:
    """One answer and its pace."""

    def __init__(self, script: VendorScript, reply: Reply, fault: Fault | None) -> None:
        self.id = f"chatcmpl-{uuid.uuid4().hex[:24]}"
        self._reply = reply
        self._fault = fault
        slower = _SLOW if self.is_struck("drip") else 1
        self._first_s = script.llm_first_token_ms / 1000
        self._token_s = script.llm_token_ms * slower / 1000
        # One word a token, the space with the word that follows, as a real tokeniser has it.
        self._tokens = re.findall(r"\s*\S+", reply.text)

    def is_struck(self, kind: str) -> bool:
        return self._fault is not None and self._fault.kind == kind

    async def deltas(self, arrived: float) -> AsyncIterator[dict[str, Any]]:
        """Yield the deltas of a stream, each when it is due."""
        deltas: list[dict[str, Any]] = [{"content": token} for token in self._tokens]
        deltas += [
            {"tool_calls": [each]}
            for index, call in enumerate(self._tool_calls())
            for each in _in_parts(index, call)
        ]
        for number, delta in enumerate(deltas):
            await _until(arrived + self._first_s + number * self._token_s)
            yield {"role": "assistant", **delta} if number == 0 else delta

    async def wait_all(self, arrived: float) -> None:
        await _until(arrived + self._first_s + len(self._tokens) * self._token_s)

    def whole(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request that did not ask for a stream."""
        message: dict[str, Any] = {"role": "assistant", "content": self._reply.text or None}
        if calls := self._tool_calls():
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": self._finish_reason}
        head = self._head(body, "chat.completion")
        return {**head, "choices": [choice], "usage": self._counts(body)}

    def chunk(
        self, body: dict[str, Any], delta: dict[str, Any], finish_reason: str | None = None
    ) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head(body, "chat.completion.chunk"), "choices": [choice], "usage": None}

    def end(self, body: dict[str, Any]) -> dict[str, Any]:
        return self.chunk(body, {}, self._finish_reason)

    def usage(self, body: dict[str, Any]) -> dict[str, Any]:
        head = self._head(body, "chat.completion.chunk")
        return {**head, "choices": [], "usage": self._counts(body)}

    @property
    def _finish_reason(self) -> str:
        return "tool_calls" if self._reply.tool_calls else "stop"

    def _tool_calls(self) -> list[dict[str, Any]]:
        return [
            {
                "id": f"call_{self.id[-12:]}{index}",
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for index, call in enumerate(self._reply.tool_calls)
        ]

    def _head(self, body: dict[str, Any], kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": int(time.time()),
            "model": body.get("model"),
            "service_tier": "default",
            "system_fingerprint": "fp_standin",
        }

    def _counts(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = sum(len(_text_of(message).split()) for message in body["messages"])
        completion = max(1, len(self._tokens))
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }


def _in_parts(index: int, call: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a tool call as a stream brings it: its name first, then its arguments."""
    function = call["function"]
    head = {**call, "index": index, "function": {"name": function["name"], "arguments": ""}}
    return [head, {"index": index, "function": {"arguments": function["arguments"]}}]


def _last_words(messages: list[dict[str, Any]]) -> str:
    """Return what the user has said since the last answer."""
    said: list[str] = []
    for message in reversed(messages):
        if message["role"] == "assistant" and not message.get("tool_calls"):
            break
        if message["role"] == "user":
            said.insert(0, _text_of(message))
    return " ".join(said)


def _text_of(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in content)


async def _until(due: float) -> None:
    await asyncio.sleep(max(0.0, due - time.monotonic()))


def _event(payload: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def _unauthorised(http: web.Request) -> web.Response | None:
    scheme, _, key = http.headers.get("Authorization", "").partition(" ")
    if scheme == "Bearer" and key:
        return None
    return _error(401, "Incorrect API key provided.", "invalid_request_error")


def _error(status: int, message: str, kind: str) -> web.Response:
    body = {"error": {"message": message, "type": kind, "param": None, "code": None}}
    return web.json_response(body, status=status)
