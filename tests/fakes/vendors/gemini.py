"""The stand-in for Google's models: `POST …:streamGenerateContent`, as Gemini and as Vertex AI."""

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
from tests.fakes.vendors.openai import STOCK_REPLY
from tests.fakes.vendors.script import Fault, Reply, Vendor, VendorScript

_SLOW = 10
_CACHED_TOKENS = 2048
"""What a kept prompt counts."""
THOUGHT_TOKENS = 50
"""What every answer was thought about, though its thoughts are not sent."""
_MODEL = {"name": "models/gemini-2.5-flash", "displayName": "stand-in"}


class Gemini:
    """The model: an echo of the caller's references in a stock reply, or a scripted reply."""

    def __init__(self, script: VendorScript, journal: Journal) -> None:
        self._script = script
        self._journal = journal

    def routes(self) -> list[web.RouteDef]:
        vertex = "/v1beta1/projects/{project}/locations/{location}/publishers/google/models/{call}"
        return [
            web.post("/v1beta/models/{call}", self.generate),
            web.get("/v1beta/models", self.models),
            web.post(vertex, self.generate),
            web.get("/v1beta1/publishers/google/models", self.models),
        ]

    async def models(self, http: web.Request) -> web.Response:
        return _unauthorised(http) or web.json_response({"models": [_MODEL]})

    async def generate(self, http: web.Request) -> web.StreamResponse:
        """Answer one request as a stream of events."""
        arrived = time.monotonic()
        body: dict[str, Any] = await http.json()
        query = {key: http.query.getall(key) for key in http.query}
        self._journal.requests.append(
            Request(Vendor.LLM, http.path, query, dict(http.headers), body=body)
        )
        model, _, method = http.match_info["call"].partition(":")
        if method != "streamGenerateContent" or query.get("alt") != ["sse"]:
            return _error(404, "The stand-in knows streamGenerateContent?alt=sse.")
        fault = self._script.strike(Vendor.LLM)
        if fault is not None and fault.kind == "http":
            return _error(fault.status, "The stand-in was told to refuse.")
        if refusal := _unauthorised(http) or self._bad_cache(http, body):
            return refusal
        references = references_in(_last_words(body["contents"]))
        last = references[-1] if references else None
        echoed = [str(reference) for reference in references]
        self._journal.note(Vendor.LLM, "request", last, refs=echoed, model=model)
        if fault is not None and fault.kind == "silent":
            await asyncio.Event().wait()
        answer = _Answer(self._script, self._reply(body, references), fault, body)
        return await self._stream(http, model, answer, arrived, last)

    async def _stream(
        self,
        http: web.Request,
        model: str,
        answer: _Answer,
        arrived: float,
        reference: Reference | None,
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        response.enable_chunked_encoding()
        await response.prepare(http)
        sent = 0
        try:
            async for chunk in answer.chunks(model, arrived):
                if sent == 0:
                    self._journal.note(Vendor.LLM, "first_token", reference)
                await response.write(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n")
                sent += 1
                if answer.is_struck("garbage"):
                    await response.write(b"data: }this is no JSON{\r\n\r\n")
                    return response
                if answer.is_struck("reset") and sent == 3 and http.transport is not None:
                    http.transport.abort()
                    return response
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            # The client has heard enough: an interrupted turn.
            self._journal.note(Vendor.LLM, "cancelled", reference, tokens=sent)
            raise
        self._journal.note(Vendor.LLM, "done", reference, tokens=sent)
        return response

    def _bad_cache(self, http: web.Request, body: dict[str, Any]) -> web.Response | None:
        name = body.get("cachedContent")
        if name is None:
            return None
        if name not in self._script.llm_caches:
            if "project" in http.match_info:
                return _error(404, f"Not found: cached content metadata for {name}.")
            return _error(403, "CachedContent not found (or permission denied)")
        if {"systemInstruction", "tools", "toolConfig"} & body.keys():
            return _error(
                400,
                "CachedContent can not be used with GenerateContent request setting"
                " system_instruction, tools or tool_config.",
            )
        return None

    def _reply(self, body: dict[str, Any], references: list[Reference]) -> Reply:
        last = _text_of(body["contents"][-1])
        for reply in self._script.replies:
            if re.search(reply.when, last, re.IGNORECASE):
                return reply
        echoed = "".join(f" {reference}" for reference in references)
        return Reply(text=STOCK_REPLY.format(references=echoed))


class _Answer:
    """One answer and its pace."""

    def __init__(
        self, script: VendorScript, reply: Reply, fault: Fault | None, body: dict[str, Any]
    ) -> None:
        self._reply = reply
        self._fault = fault
        self._body = body
        slower = _SLOW if self.is_struck("drip") else 1
        self._first_s = script.llm_first_token_ms / 1000
        self._token_s = script.llm_token_ms * slower / 1000
        self._tokens = re.findall(r"\s*\S+", reply.text)

    def is_struck(self, kind: str) -> bool:
        return self._fault is not None and self._fault.kind == kind

    async def chunks(self, model: str, arrived: float) -> AsyncIterator[dict[str, Any]]:
        """Yield the stream's events, each when it is due; the last says why it ends."""
        parts: list[dict[str, Any]] = [{"text": token} for token in self._tokens]
        parts += [
            {"functionCall": {"name": call.name, "args": call.arguments}}
            for call in self._reply.tool_calls
        ]
        response_id = uuid.uuid4().hex[:22]
        for number, part in enumerate(parts, start=1):
            due = arrived + self._first_s + (number - 1) * self._token_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            ends = {"finishReason": "STOP"} if number == len(parts) else {}
            content = {"role": "model", "parts": [part]}
            yield {
                "candidates": [{"content": content, "index": 0, **ends}],
                "usageMetadata": self._counts(number),
                "modelVersion": model,
                "responseId": response_id,
            }

    def _counts(self, completion: int) -> dict[str, Any]:
        instruction = self._body.get("systemInstruction")
        contents = [*self._body["contents"], *([instruction] if instruction else [])]
        kept = _CACHED_TOKENS if self._body.get("cachedContent") else 0
        prompt = kept + sum(len(_text_of(content).split()) for content in contents)
        return {
            "promptTokenCount": prompt,
            "candidatesTokenCount": completion,
            "thoughtsTokenCount": THOUGHT_TOKENS,
            "totalTokenCount": prompt + completion + THOUGHT_TOKENS,
            **({"cachedContentTokenCount": kept} if kept else {}),
        }


def _last_words(contents: list[dict[str, Any]]) -> str:
    """Return what the user has said since the last answer."""
    said: list[str] = []
    for content in reversed(contents):
        if content["role"] == "model" and _text_of(content):
            break
        if content["role"] == "user":
            said.insert(0, _text_of(content))
    return " ".join(said)


def _text_of(content: dict[str, Any]) -> str:
    return " ".join(str(part["text"]) for part in content["parts"] if "text" in part)


def _unauthorised(http: web.Request) -> web.Response | None:
    if "/v1beta1/" in http.path:
        if http.headers.get("Authorization", "").startswith("Bearer "):
            return None
        return _error(401, "Request had invalid authentication credentials.")
    if http.headers.get("x-goog-api-key", "bad") != "bad":
        return None
    return _error(400, "API key not valid. Please pass a valid API key.")


_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def _error(status: int, message: str) -> web.Response:
    error = {"code": status, "message": message, "status": _STATUS.get(status, "INTERNAL")}
    return web.json_response({"error": error}, status=status)
