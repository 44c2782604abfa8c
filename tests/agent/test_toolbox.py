"""Which tools a bot has on its line: the platform's, its own, and those of servers."""

from __future__ import annotations

import asyncio
from typing import Any

from livekit.agents import Agent, llm
from livekit.agents.llm import RawFunctionTool

from agent.account import Account
from agent.toolbox import Toolbox
from agent.web import Web
from contracts.ids import Channel
from contracts.report import Fact, Noticed
from contracts.rules import RulesConfig
from sidecar.client import EgressGuard
from tests.fakes.engines import ScriptedEngines
from tests.fakes.mcp_server import running_mcp_server
from tests.fakes.spoken_call import plan

RULES = {"tools": {"find_order": {"kind": "static"}, "greet": {"kind": "static"}}}
FIND = {"name": "find_order", "description": "Really finds.", "url": "https://shop.example/"}


def packed(facts: list[Fact] | None = None, **config: Any) -> Toolbox:
    engines = ScriptedEngines().engines()
    engines.rules = RulesConfig.model_validate(RULES)
    nobody: Any = None
    told: list[Fact] = [] if facts is None else facts
    return Toolbox(
        plan(Channel.WEB, **config),
        engines,
        nobody,
        nobody,
        Account(told.append),
        Web(EgressGuard(allow_private=True)),
    )


def words(tools: list[llm.Tool | llm.Toolset]) -> dict[str, str]:
    raw = [tool for tool in tools if isinstance(tool, RawFunctionTool)]
    return {tool.id: tool.info.raw_schema["description"] for tool in raw}


def test_bots_own_tool_takes_the_place_of_a_simulated_one() -> None:
    found = words(packed(tools=[FIND]).tools)
    assert found["find_order"] == "Really finds."
    assert set(found) >= {"find_order", "greet", "end_call"}


def test_bot_describes_the_platforms_tools_in_its_words_and_has_no_more_of_them() -> None:
    ours = {"name": "end_call", "description": "Hang up after the goodbye."}
    silent = {"name": "detected_voicemail"}
    found = words(packed(tools=[ours, silent, {"name": "search_knowledge"}]).tools)
    assert found["end_call"] == "Hang up after the goodbye."
    assert found["detected_voicemail"].startswith("A machine answered")
    assert "search_knowledge" not in found
    assert words(packed().tools)["end_call"] == "End the current call."


async def test_tools_of_servers_join_and_leave_with_the_call() -> None:
    facts: list[Fact] = []
    async with running_mcp_server() as server:
        servers = [{"name": "shop", "url": server.url, "allowed_tools": ["find_order", "fail"]}]
        toolbox = packed(facts, tools=[FIND], mcp_servers=servers)
        bot = Agent(instructions="", tools=toolbox.tools)
        toolbox.connect(bot)
        assert not toolbox.is_at_work
        async with asyncio.timeout(10):
            while not facts:  # noqa: ASYNC110 - it tells the account alone
                await asyncio.sleep(0.01)
        assert {"find_order", "shop_find_order", "fail"} <= {tool.id for tool in bot.tools}
        await toolbox.aclose()
    assert [fact.name for fact in facts if isinstance(fact, Noticed)] == ["mcp_connected"]
