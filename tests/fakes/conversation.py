"""A conversation with a rules bot, in text: what a caller would hear, tools included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from agent.speech.backend import answer
from agent.speech.dialogue import Dialogue
from agent.speech.state import Reply, State, ToolRequest
from contracts.bot import BotConfig
from contracts.rules import RulesConfig

NOW = datetime(2026, 4, 27, 10, 0, tzinfo=ZoneInfo("America/New_York"))
"""A Monday morning."""

BUILT_IN = frozenset({"end_call", "transfer_call", "detected_voicemail"})


@dataclass(slots=True)
class Conversation:
    """Feeds a dialogue with a caller's lines and keeps what came of them."""

    rules: RulesConfig
    variables: Mapping[str, str] = field(default_factory=dict)
    built_in: frozenset[str] = BUILT_IN
    failing: frozenset[str] = frozenset()
    state: State = field(default_factory=State)
    tools: list[ToolRequest] = field(default_factory=list)
    intents: list[str] = field(default_factory=list)

    def say(self, text: str) -> str:
        """Return all the bot says after the caller said `text`."""
        dialogue = Dialogue(self.rules, self.variables)
        names = self.built_in | self.rules.tools.keys()
        self.state, reply = dialogue.hear(self.state, text, NOW, names)
        spoken = [reply.text]
        while request := self._keep(reply):
            failed = request.name in self.failing
            result = {} if failed or request.name in BUILT_IN else self._run(request)
            self.state, reply = dialogue.answered(self.state, result, NOW, names, failed=failed)
            spoken.append(reply.text)
        return " ".join(text for text in spoken if text)

    def called(self, name: str) -> list[dict[str, Any]]:
        """Return the arguments of every call of a tool."""
        return [request.arguments for request in self.tools if request.name == name]

    def _keep(self, reply: Reply) -> ToolRequest | None:
        self.tools += reply.tools
        self.intents += [intent.name for intent in reply.intents]
        return reply.tools[-1] if reply.tools else None

    def _run(self, request: ToolRequest) -> dict[str, str]:
        return answer(self.rules.tools[request.name], request.arguments, NOW)


def demo_bot(name: str) -> BotConfig:
    """Return one of the bots that come with the product."""
    path = Path(__file__).parents[2] / "bots" / f"{name}.yaml"
    return BotConfig.model_validate(yaml.safe_load(path.read_text()))


def talk_to(name: str) -> Conversation:
    """Return a conversation with a demo bot, just after its opening message."""
    config = demo_bot(name)
    variables = {f"call.{key}": str(value) for key, value in config.variables.items()}
    return Conversation(RulesConfig.model_validate(config.llm.rules), variables)


def with_rules(**rules: Any) -> Conversation:
    """Return a conversation with a bot of these rules."""
    return Conversation(RulesConfig.model_validate(rules), {"call.name": "Alex"})
