"""Everything a bot may call on one call, and what was said before it took over."""

from __future__ import annotations

from datetime import datetime

from livekit.agents import Agent, llm

from agent.account import Account
from agent.engines import Engines
from agent.http_tool import HttpTools
from agent.key_tools import key_tools
from agent.knowledge import Ask, knowledge_tools
from agent.mcp_tools import McpTools
from agent.meanwhile import Meanwhile
from agent.telephone import Telephone
from agent.tools import CallControl, built_in_tools, declared_tools
from agent.web import Web
from contracts.ids import KEYED, PRESSING
from contracts.plan import AgentPlan
from contracts.tool import BUILT_IN
from contracts.transfer import METHODS
from contracts.zone import zone_of


class Toolbox:
    """The tools that a bot has on this line.

    Attributes:
        tools: those that are there from the beginning.
    """

    def __init__(
        self,
        plan: AgentPlan,
        engines: Engines,
        call: CallControl,
        phone: Telephone,
        account: Account,
        web: Web,
        look_up: Ask | None = None,
    ) -> None:
        self._config = plan.config
        self._web = web
        self._meanwhile = Meanwhile()
        self._servers = McpTools(plan.variables, web, self._meanwhile, account.tell, account.notice)
        # The last of a name counts: a tool of the bot's own stands in for a simulated one.
        found = [
            *_usual(plan, engines, call, phone, account),
            *knowledge_tools(plan.config, look_up, self._meanwhile, account.tell),
            *self._own(plan, account),
        ]
        self.tools: list[llm.Tool | llm.Toolset] = list({tool.id: tool for tool in found}.values())
        self._describe()

    @property
    def is_at_work(self) -> bool:
        """Whether somebody else's server is waited for, which has a time-out."""
        return self._meanwhile.is_waiting

    def connect(self, bot: Agent) -> None:
        """Begin to fetch the tools of servers, which join the bot's as they come."""

        async def join(tools: list[llm.Tool]) -> None:
            await bot.update_tools([*bot.tools, *tools])

        self._servers.connect(
            self._config.mcp_servers, lambda: {tool.id for tool in bot.tools}, join
        )

    async def aclose(self) -> None:
        """Give up what is still under way, and part from the servers."""
        await self._meanwhile.aclose()
        await self._servers.aclose()
        await self._web.aclose()

    def _own(self, plan: AgentPlan, account: Account) -> list[llm.Tool]:
        http = HttpTools(plan, self._web, self._meanwhile, account.tell, account.intend)
        return [http.tool(each) for each in plan.config.tools if each.name not in BUILT_IN]

    def _describe(self) -> None:
        """Let the bot's words stand where it describes tools of the platform's."""
        words = {
            each.name: each.description
            for each in self._config.tools
            if each.name in BUILT_IN and each.description
        }
        for tool in self.tools:
            if isinstance(tool, llm.RawFunctionTool) and tool.id in words:
                tool.info.raw_schema["description"] = words[tool.id]


def _usual(
    plan: AgentPlan, engines: Engines, call: CallControl, phone: Telephone, account: Account
) -> list[llm.Tool]:
    config = plan.config
    has_keys, can_press = (plan.channel in doors for doors in (KEYED, PRESSING))
    tools = built_in_tools(config, call, phone, account.tell, can_transfer=can_transfer(plan))
    if has_keys:
        tools += key_tools(config, phone, account.tell, can_press=can_press)
    zone = zone_of(config.timezone)
    return [*tools, *declared_tools(engines.rules, lambda: datetime.now(zone), account.tell)]


def can_transfer(plan: AgentPlan) -> bool:
    """Whether the bot has somewhere to hand callers to, and the line a way to do it."""
    config = plan.config
    return plan.channel in METHODS and bool(config.transfer_targets or config.transfer_numbers)


def history_of(plan: AgentPlan) -> llm.ChatContext:
    """Return what was said so far, for an agent that takes over."""
    history = llm.ChatContext.empty()
    for line in plan.history:
        role = "assistant" if line.speaker == "bot" else "user"
        history.add_message(role=role, content=line.text)  # type: ignore[arg-type]
    return history
