"""`search_knowledge`: the bot looks something up in its documents, which the sidecar keeps.

The model is given the passages with what to make of them; events and results name the passages
that it was given, with their scores, and not their text.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog
from livekit.agents import RunContext, llm

from agent.meanwhile import Meanwhile
from agent.tools import OnCalled, Shown, ToolFailed, schema_tool
from contracts.bot import BotConfig
from contracts.knowledge import MAX_QUESTION_CHARS, KnowledgeFound, KnowledgeQuestion
from contracts.plan import AgentPlan
from sidecar.client import SidecarClient, SidecarError

log = structlog.get_logger(__name__)

NAME = "search_knowledge"
TIMEOUT_S = 3.0
_DESCRIPTION = (
    "Look up facts in the documents you were given: prices, hours, rules and the like. Use it"
    " before you answer a question about them."
)
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "query": {
            "type": "string",
            "description": "What to find, in a few words, in the language of the documents.",
        }
    },
    "required": ["query"],
}
_STRICT_ORDER = (
    f"Answer questions of fact only from what {NAME} finds in this call: look things up before you"
    " answer, and never answer from general knowledge. Where it does not find the answer, say so."
)
_STRICT = (
    "Answer from these passages alone. Where they do not hold the answer, do not answer from"
    " general knowledge:"
)
_LOOSE = "Use what of these passages fits the question. Where they do not hold the answer:"
_ASK_OTHERWISE = "say that you do not know."
_NOTHING = "Nothing was found."

Ask = Callable[[str], Awaitable[KnowledgeFound]]
"""Looks something up, or raises a `SidecarError`."""


def asker(client: SidecarClient, plan: AgentPlan) -> Ask:
    """Return what looks things up for the agent of a call."""

    async def ask(question: str) -> KnowledgeFound:
        asked = KnowledgeQuestion(incarnation=plan.incarnation, question=question)
        return await client.search_knowledge(plan.call_id, asked)

    return ask


def standing_order(config: BotConfig) -> str:
    """Return what a strict bot is told for the whole call; "" for any other."""
    return _STRICT_ORDER if config.knowledge_enabled and config.knowledge_strict else ""


def knowledge_tools(
    config: BotConfig, ask: Ask | None, meanwhile: Meanwhile, on_called: OnCalled
) -> list[llm.Tool]:
    """Return the tool of a bot that has documents."""
    if ask is None or not (config.knowledge_enabled and config.knowledge_kb_ids):
        return []

    async def run(raw: dict[str, Any], context: RunContext[Any]) -> Shown:
        question = str(raw.get("query") or "").strip()[:MAX_QUESTION_CHARS]
        if not question:
            raise ToolFailed("Nothing was looked up: say what to find in `query`.", "arguments")
        work = partial(_looked_up, config, ask, question)
        return await meanwhile.run(NAME, {"query": question}, work, context)

    description = config.knowledge_trigger_instructions or _DESCRIPTION
    return [schema_tool(NAME, description, _SCHEMA, run, on_called)]


async def _looked_up(config: BotConfig, ask: Ask, question: str) -> Shown:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            found = await ask(question)
    except TimeoutError as error:
        raise ToolFailed(
            f"The documents could not be searched within {TIMEOUT_S:g} seconds. Tell the caller"
            " that you cannot look it up just now; do not guess the answer.",
            "timeout",
        ) from error
    except SidecarError as error:
        log.warning("knowledge_not_searched", error=type(error).__name__)
        raise ToolFailed(
            "The documents cannot be searched just now. Tell the caller so; do not guess the"
            " answer.",
            "unreachable",
        ) from error
    return shown(config, found)


def shown(config: BotConfig, found: KnowledgeFound) -> Shown:
    """Return what the model is told of what was found, and what is kept of it."""
    kept = {"passages": [each.model_dump(exclude={"text"}) for each in found.passages]}
    line = config.knowledge_fallback_message
    otherwise = f"say exactly: {json.dumps(line, ensure_ascii=False)}" if line else _ASK_OTHERWISE
    if not found.passages:
        if not (config.knowledge_strict or line):
            return Shown(_NOTHING, kept)
        return Shown(f"{_NOTHING} Now {otherwise}", kept)
    told = {
        "note": f"{_STRICT if config.knowledge_strict else _LOOSE} {otherwise}",
        "passages": [{"from": each.document, "text": each.text} for each in found.passages],
    }
    return Shown(json.dumps(told, ensure_ascii=False), kept)
