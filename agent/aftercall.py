"""Work after calls, in the worker's main process: asks bots' language models about calls held.

A task that dies with its worker is given to another after its lease, so nothing is kept here.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from livekit.agents import APIConnectOptions, APIStatusError, llm
from pydantic_core import from_json

from agent.providers import build_brain
from contracts.engines import LlmConfig, PromptParts
from contracts.task import Task, TaskAnswer, TaskClaim
from sidecar.client import Refused, SidecarClient, SidecarError

log = structlog.get_logger(__name__)

MAX_TASKS = 2
"""At once: a worker is there for its calls."""
WORKING_SHARE = 2 / 3
"""Of a task's lease that the model may take; the rest is for handing in what it said."""
ANSWER_TOKENS = 1024
"""Least length of an answer: a bot's own limit is made for spoken lines."""
MAX_RAW_CHARS = 20_000
RETRY_S = 1.0

_HEAVY = {
    "google": ("google.genai",),
    "google_vertex": ("google.genai",),
    "openai": ("openai.types.beta.realtime", "openai.types.realtime"),
}
"""What takes long in the first import of a provider's plug-in."""
_FORM = "Answer with one JSON object and nothing else."
_REPAIR = "That was not one JSON object ({problem}). Answer again, with the JSON object alone."

BuildBrain = Callable[[LlmConfig, PromptParts | None], Awaitable[llm.LLM[Any]]]


async def brain(config: LlmConfig, kept: PromptParts | None = None) -> llm.LLM[Any]:
    """Return a bot's language model, for answers longer than those it speaks.

    Raises:
        ConfigUnusable: it cannot be asked.
    """
    # The plug-in's first import takes a second, which the worker's heartbeat does not have, and
    # insists on the main thread. What takes that long in it does not.
    for name in _HEAVY.get(config.provider, ()):
        await asyncio.to_thread(importlib.import_module, name)
    tokens = max(config.max_tokens, ANSWER_TOKENS)
    if kept is not None:
        rest = f"{kept.dynamic_runtime_prompt}\n\n{_FORM}".strip()
        kept = kept.model_copy(update={"dynamic_runtime_prompt": rest})
    return build_brain(config.model_copy(update={"max_tokens": tokens}), kept)


class Aftercall:
    """Takes tasks up when there are some, `MAX_TASKS` at once."""

    def __init__(self, client: SidecarClient, worker_id: str, build: BuildBrain = brain) -> None:
        self._client = client
        self._worker_id = worker_id
        self._build = build
        self._working: set[asyncio.Task[None]] = set()

    def take_up(self) -> None:
        """Begin to claim tasks, as far as there is room for more."""
        for _ in range(MAX_TASKS - len(self._working)):
            working = asyncio.create_task(self._work())
            self._working.add(working)
            working.add_done_callback(self._working.discard)

    async def aclose(self) -> None:
        """Drop what is under way: somebody else takes it up."""
        for working in list(self._working):
            working.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)

    async def _work(self) -> None:
        try:
            task = await self._client.claim_task(TaskClaim(worker_id=self._worker_id))
            if task is not None:
                await self._do(task)
        except SidecarError as error:
            log.warning("task not taken up", error=type(error).__name__)
        except Exception:
            log.exception("task failed")

    async def _do(self, task: Task) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + task.lease_s
        result, error = None, None
        try:
            result = await self._result(task)
        except Exception as failure:
            error = _told(failure)
            log.warning("task not answered", task_id=task.task_id, error=error)
        answer = TaskAnswer(
            worker_id=self._worker_id, attempt=task.attempt, result=result, error=error
        )
        while loop.time() < ends:
            try:
                await self._client.answer_task(task.task_id, answer)
                return
            except Refused as refused:
                if refused.status < 500:
                    log.warning("answer refused", task_id=task.task_id, code=refused.code)
                    return
            except SidecarError:
                log.warning("answer not delivered", task_id=task.task_id)
            await asyncio.sleep(RETRY_S)

    async def _result(self, task: Task) -> dict[str, Any]:
        """Return what the bot's model says, or the next of its fallbacks where that fails."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + task.lease_s * WORKING_SHARE
        # Rules can be put no question.
        others = [each for each in task.llm.fallbacks if each.provider != "rules"]
        *firsts, last = task.llm, *others
        for at, config in enumerate(firsts):
            try:
                share_s = (ends - loop.time()) / (len(firsts) + 1 - at)
                return await self._asked(config, task, share_s)
            except Exception as failure:
                log.warning("model failed", task_id=task.task_id, error=_told(failure))
        return await self._asked(last, task, ends - loop.time())

    async def _asked(self, config: LlmConfig, task: Task, within_s: float) -> dict[str, Any]:
        # What a vendor keeps is the first choice's.
        kept = task.kept if config is task.llm else None
        async with asyncio.timeout(within_s):
            model = await self._build(config, kept)
            try:
                return await ask(model, task)
            finally:
                await model.aclose()


async def ask(model: llm.LLM[Any], task: Task) -> dict[str, Any]:
    """Return the JSON object the model answers a task with; what it said under `raw`, if it was
    none even when asked again.

    Raises:
        livekit.agents.APIError: the model does not answer.
    """
    chat = llm.ChatContext.empty()
    chat.add_message(role="system", content=f"{task.prompt}\n\n{_FORM}")
    chat.add_message(role="user", content=_transcript(task))
    said = await _said(model, chat, task)
    try:
        return parsed(said)
    except ValueError as problem:
        chat.add_message(role="assistant", content=said)
        chat.add_message(role="user", content=_REPAIR.format(problem=problem))
    again = await _said(model, chat, task)
    try:
        return parsed(again)
    except ValueError:
        return {"raw": (again or said)[:MAX_RAW_CHARS]}


def parsed(text: str) -> dict[str, Any]:
    """Return the one JSON object in a model's answer, whatever it wrote around it.

    Raises:
        ValueError: there is none.
    """
    first, last = text.find("{"), text.rfind("}")
    if first < 0 or last < first:
        raise ValueError("there is none in it")
    value = from_json(text[first : last + 1], allow_inf_nan=False)
    assert isinstance(value, dict)
    return value


async def _said(model: llm.LLM[Any], chat: llm.ChatContext, task: Task) -> str:
    # Not tried again here: half an answer would be kept, and the task itself has more attempts.
    once = APIConnectOptions(max_retry=0, timeout=task.lease_s * WORKING_SHARE)
    async with model.chat(chat_ctx=chat, conn_options=once) as stream:
        text = (await stream.collect()).text
    # A lone surrogate cannot be sent on.
    return text.encode(errors="replace").decode()


def _transcript(task: Task) -> str:
    lines = (f"{line.speaker}: {line.text}" for line in task.transcript)
    return "The transcript of the call:\n\n" + "\n".join(lines)


def _told(failure: Exception) -> str:
    """Return what went wrong in words that hold nothing of the call and no secret."""
    if isinstance(failure, APIStatusError):
        return f"the model answered {failure.status_code}"
    if isinstance(failure, TimeoutError):
        return "the model took too long"
    return type(failure).__name__
