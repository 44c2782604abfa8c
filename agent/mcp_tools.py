"""Tools from MCP servers: fetched beside the call's beginning, joined to the bot's as they come."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import structlog
from livekit.agents import RunContext, llm
from livekit.agents.llm import ToolError

from agent.http_request import NoVariable, address_of, headers_of
from agent.http_tool import shown
from agent.meanwhile import Meanwhile
from agent.tools import OnCalled, Shown, ToolFailed, schema_tool
from agent.vigil import Notice
from agent.web import Web
from contracts.tool import McpServer
from contracts.tool_schema import schema_fault
from sidecar.client import EgressRefused

if TYPE_CHECKING:
    from agent.vendor.mcp import McpConnection

log = structlog.get_logger(__name__)

MAX_TOOLS = 64
MAX_DESCRIPTION_CHARS = 2000
MAX_SCHEMA_CHARS = 20_000
MAX_LEFT_OUT_TOLD = 64
_WHY = {TimeoutError: "timeout", EgressRefused: "refused", NoVariable: "variables"}
_CLOSE_S = 1.0
_ODD = re.compile(r"[^A-Za-z0-9_-]")
_MAX_NAME_CHARS = 64

Join = Callable[[list[llm.Tool]], Awaitable[None]]
"""Takes more tools for the bot."""


class McpTools:
    """The tools of one bot's MCP servers, on one call."""

    def __init__(
        self,
        variables: Mapping[str, str],
        web: Web,
        meanwhile: Meanwhile,
        on_called: OnCalled,
        notice: Notice,
    ) -> None:
        self._variables = variables
        self._web = web
        self._meanwhile = meanwhile
        self._on_called = on_called
        self._notice = notice
        self._servers: list[_Server] = []
        self._joining: list[asyncio.Task[None]] = []

    def connect(
        self, servers: list[McpServer], taken: Callable[[], Collection[str]], join: Join
    ) -> None:
        """Begin to connect, and return; each server's tools join once they are known.

        Args:
            servers: where tools are from.
            taken: the names that the bot's tools have by then.
            join: takes a server's tools.
        """
        for server in servers:
            self._joining.append(asyncio.create_task(self._add(server, taken, join)))

    async def aclose(self) -> None:
        """Part from the servers, however they take it."""
        for task in self._joining:
            task.cancel()
        await asyncio.gather(*self._joining, return_exceptions=True)
        await asyncio.gather(*(server.aclose() for server in self._servers))

    async def _add(
        self, server: McpServer, taken: Callable[[], Collection[str]], join: Join
    ) -> None:
        began = perf_counter()
        left_out: list[dict[str, str]] = []
        try:
            connected = _Server(server, self._variables, self._web)
            self._servers.append(connected)
            async with asyncio.timeout(server.connect_timeout_s):
                sound = await _sound(await connected.offers(), server.allowed_tools, left_out)
            tools = self._named(connected, sound, set(taken()), left_out)
            if tools:
                await join(tools)
        except Exception as error:
            why = _WHY.get(type(error), "unreachable")
            log.warning("MCP server left out", why=why, error=type(error).__name__)
            self._notice("mcp_unavailable", server=server.name, failure=why)
            return
        took_ms = round((perf_counter() - began) * 1000, 1)
        more: dict[str, Any] = {"left_out": left_out[:MAX_LEFT_OUT_TOLD]} if left_out else {}
        if more:
            log.warning("MCP tools left out", **more)
        self._notice(
            "mcp_connected", server=server.name, tools=len(tools), duration_ms=took_ms, **more
        )

    def _named(
        self,
        server: _Server,
        sound: list[_Offer],
        taken: set[str],
        left_out: list[dict[str, str]],
    ) -> list[llm.Tool]:
        """Return a server's tools under names that the bot has not yet."""
        tools: list[llm.Tool] = []
        for offer in sound:
            name = _name_of(offer.name, server.config.name, taken)
            if name in taken:
                left_out.append(_left_out(offer.name, "its name is taken"))
                continue
            taken.add(name)
            tools.append(self._tool(server, name, offer))
        return tools

    def _tool(self, server: _Server, name: str, offer: _Offer) -> llm.Tool:
        config = server.config

        async def run(arguments: dict[str, Any], context: RunContext[Any]) -> Shown:
            async def ask() -> Shown:
                result = await server.use(offer.name, arguments)
                return shown(result, config.max_result_chars, server=config.name)

            return await self._meanwhile.run(name, arguments, ask, context, config.pre_message)

        return schema_tool(name, offer.description, offer.parameters, run, self._on_called)


@dataclass(frozen=True, slots=True)
class _Offer:
    """A tool as its server has it."""

    name: str
    description: str
    parameters: dict[str, Any]


async def _sound(
    listed: list[Any], allowed: Collection[str], left_out: list[dict[str, str]]
) -> list[_Offer]:
    """Return the tools that any model can be offered; tell of the others, each by itself."""
    sound: dict[str, _Offer] = {}
    for each in listed:
        whole = each if isinstance(each, dict) else {}
        name, words = whole.get("name"), whole.get("description")
        if allowed and name not in allowed:
            continue
        parameters = whole.get("inputSchema")
        if not isinstance(name, str) or not name.strip():
            left_out.append(_left_out("", "it has no name"))
        elif name in sound:
            left_out.append(_left_out(name, "it is listed twice"))
        elif len(sound) >= MAX_TOOLS:
            left_out.append(_left_out(name, f"there are {MAX_TOOLS} before it"))
        elif not isinstance(parameters, dict):
            left_out.append(_left_out(name, "it has no schema"))
        # In a thread: of a hostile schema it takes a second, and the caller is being listened to.
        elif fault := await asyncio.to_thread(_unfit, parameters):
            left_out.append(_left_out(name, fault))
        else:
            described = words[:MAX_DESCRIPTION_CHARS] if isinstance(words, str) else ""
            sound[name] = _Offer(name, described, parameters)
    return list(sound.values())


def _left_out(name: str, why: str) -> dict[str, str]:
    return {"tool": name[:_MAX_NAME_CHARS], "why": why}


class _Server:
    """A server and the session with it, made anew after it was lost."""

    def __init__(self, config: McpServer, variables: Mapping[str, str], web: Web) -> None:
        self.config = config
        self._url = address_of(config.url, variables)
        self._headers = headers_of(config.headers, variables)
        self._web = web
        self._connection: McpConnection | None = None
        self._is_lost = False
        self._connecting = asyncio.Lock()

    async def offers(self) -> list[Any]:
        """Connect and return what the server lists, sound or not."""
        connection = await self._connected()
        return await connection.offers()

    async def use(self, name: str, arguments: dict[str, Any]) -> str:
        """Return a tool's result as text.

        Raises:
            ToolFailed: there is none; the message tells the model why.
        """
        config = self.config
        is_sent = False
        try:
            async with asyncio.timeout(config.timeout_s):
                connection = await self._connected()
                is_sent = True
                return await connection.use(name, arguments)
        except ToolError as error:
            words = shown(str(error.message), config.max_result_chars).text
            raise ToolFailed(words, "tool_error", server=config.name) from error
        except TimeoutError as error:
            words = f"The server did not answer within {config.timeout_s:g} seconds."
            raise ToolFailed(_unsure(words, is_sent), "timeout", server=config.name) from error
        except Exception as error:
            self._is_lost = True
            log.warning("MCP server lost", error=type(error).__name__)
            words = "The server cannot be reached."
            raise ToolFailed(_unsure(words, is_sent), "unreachable", server=config.name) from error

    async def aclose(self) -> None:
        """Hang up, however the server takes it."""
        if self._connection is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._connection.aclose()
        except Exception as error:
            log.debug("MCP server not parted from", error=type(error).__name__)

    async def _connected(self) -> McpConnection:
        async with self._connecting:
            # Told apart from a server that is away: here nobody may go at all.
            await self._web.guard.check(self._url)
            if self._connection is None:
                # A second and 30 MB, which the forkserver has paid.
                from agent.vendor.mcp import McpConnection

                self._connection = McpConnection(
                    self.config, self._url, self._headers, self._web.guard, self._web.tls
                )
            if self._is_lost:
                await self.aclose()
                self._is_lost = False
            if not self._connection.initialized:
                await self._connection.initialize()
            return self._connection


def _unfit(schema: dict[str, Any]) -> str | None:
    try:
        # Never too deep to be written: the client reads no more than 200 levels.
        written = json.dumps(schema, allow_nan=False)
    except ValueError:
        return "its schema has a number that is none"
    if len(written) > MAX_SCHEMA_CHARS:
        return f"its schema is longer than {MAX_SCHEMA_CHARS:,} characters"
    return schema_fault(schema)


def _name_of(name: str, server: str, taken: Collection[str]) -> str:
    """Return a name that every vendor takes, with the server's before it where it is taken."""
    plain = _ODD.sub("_", name)[:_MAX_NAME_CHARS]
    return f"{server}_{plain}"[:_MAX_NAME_CHARS] if plain in taken else plain


def _unsure(words: str, is_sent: bool) -> str:
    if not is_sent:
        return words
    return f"{words} Whether it was done is not known: do not simply do it again."
