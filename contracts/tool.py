"""Tools that a bot brings along: HTTP requests that its model may ask for, and MCP servers."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from contracts import template
from contracts.open import Open
from contracts.tool_schema import schema_fault

BUILT_IN = frozenset(
    {
        "collect_digits",
        "detected_voicemail",
        "end_call",
        "search_knowledge",
        "send_digits",
        "transfer_call",
    }
)
"""Tools of the platform's own. A bot may describe them in its words, not do them its way."""
MAX_TOOLS = 64
MAX_SERVERS = 8

_ARGUMENT = "args."
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "host",
        "idempotency-key",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that frame a request, which are the platform's to set."""
_NOT_IN_URLS = re.compile(r"[\s\x00-\x20\x7f\\]")


def _upper(word: Any) -> Any:
    return word.upper() if isinstance(word, str) else word


ToolName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""What every vendor takes for the name of a function."""


class HttpTool(Open):
    """A function of the family's, in OpenAI's form, and the HTTP request that carries it out.

    `function: {name, description, parameters}` may stand inside, as OpenAI has it, or its keys
    beside the others. Templates: `args.*` is what the model gives, beside `call.*`, `crm.*` and
    `system.*`.
    """

    name: ToolName
    description: str = Field(default="", max_length=4000)
    parameters: dict[str, Any] = Field(default_factory=dict)
    """JSON schema of the arguments; none where there are none."""
    url: str = Field(default="", max_length=4000)
    """Path and query may be templates. Empty for a tool that is an intent and no more, and for one
    of the platform's own, which is described here."""
    method: Annotated[Literal["GET", "POST", "PUT", "PATCH", "DELETE"], BeforeValidator(_upper)] = (
        "POST"
    )
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)
    """Values may be templates, or name a secret: `secret://name`."""
    query: dict[str, Any] = Field(default_factory=dict, max_length=100)
    """Templates. What an argument is missing for is left out."""
    body: Any = None
    """JSON whose texts are templates; a text that is one variable alone becomes its value, of
    whatever type. None: the arguments that nothing else names."""
    body_format: Literal["json", "form"] = "json"
    timeout_s: float = Field(default=8.0, gt=0, le=60)
    """For the whole request."""
    result_path: str = Field(default="", max_length=500)
    """Which part of a JSON answer the model gets: `data.orders.0`; empty: all of it."""
    max_result_chars: int = Field(default=4000, ge=100, le=20_000)
    """As much of it as the model gets."""
    pre_message: str = Field(default="", max_length=1000)
    """Said while the request is under way."""
    is_intent: bool = False
    """Whether each use is one of the call's `intents`, its arguments the slots."""

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, tool: Any) -> Any:
        if not isinstance(tool, dict):
            return tool
        inner = tool["function"] if isinstance(tool.get("function"), dict) else {}
        # That it is a function goes without saying.
        said = (("function", inner), ("type", "function"))
        beside = {key: part for key, part in tool.items() if (key, part) not in said}
        return {**beside, **inner}

    @field_validator("parameters")
    @classmethod
    def _sound_schema(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        if fault := schema_fault(parameters):
            raise ValueError(fault)
        return parameters

    @field_validator("url")
    @classmethod
    def _fixed_host(cls, url: str) -> str:
        return _checked_url(url) if url else url

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, str]) -> dict[str, str]:
        return _checked_headers(headers)

    @field_validator("query")
    @classmethod
    def _flat_query(cls, query: dict[str, Any]) -> dict[str, Any]:
        return _without_objects(query, "query")

    @model_validator(mode="after")
    def _fits(self) -> HttpTool:
        if self.name in BUILT_IN and self.url:
            raise ValueError(f"{self.name} is built in: give the tool another name")
        if not self.url and self.name not in BUILT_IN and not self.is_intent:
            raise ValueError("url: required, unless is_intent is set")
        if self.body is not None and self.method == "GET":
            raise ValueError("body: not with GET")
        if isinstance(self.body, str):
            raise ValueError("body: write it as JSON, not as text")
        if self.body is not None and self.body_format == "form":
            if not isinstance(self.body, dict):
                raise ValueError("body: a form is an object")
            _without_objects(self.body, "body")
        if unknown := self._unknown_arguments():
            raise ValueError(f"parameters: there is no property {unknown[0]!r}, yet it is used")
        return self

    def arguments_named(self) -> set[str]:
        """Return the arguments that templates of the request name, as `order_id`."""
        named = template.tokens([self.url, self.headers, self.query, self.body])
        return {name.removeprefix(_ARGUMENT) for name in named if name.startswith(_ARGUMENT)}

    def _unknown_arguments(self) -> list[str]:
        schema = self.parameters
        if schema.get("additionalProperties", False) or (schema and "properties" not in schema):
            return []
        known = schema.get("properties", {})
        return sorted(name for name in self.arguments_named() if name.split(".")[0] not in known)


class McpServer(Open):
    """A server whose tools a bot has, by the Model Context Protocol (ours).

    Path and query of its URL, and its headers, are templates over `call.*`, `crm.*` and `system.*`.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
    url: str = Field(min_length=1, max_length=4000)
    transport: Literal["streamable_http", "sse"] = "streamable_http"
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)
    """Values may name a secret: `secret://name`."""
    allowed_tools: list[str] = Field(default_factory=list, max_length=200)
    """By the server's names; empty: all."""
    connect_timeout_s: float = Field(default=5.0, gt=0, le=30)
    """For connecting and listing; a server that takes longer is left out of the call."""
    timeout_s: float = Field(default=8.0, gt=0, le=60)
    """For each use of a tool."""
    max_result_chars: int = Field(default=4000, ge=100, le=20_000)
    pre_message: str = Field(default="", max_length=1000)
    """Said while a tool of the server's is under way."""

    @field_validator("url")
    @classmethod
    def _fixed_host(cls, url: str) -> str:
        return _checked_url(url)

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, str]) -> dict[str, str]:
        return _checked_headers(headers)


def unique_tools(tools: list[HttpTool]) -> list[HttpTool]:
    """Return tools whose names differ.

    Raises:
        ValueError: two have one name.
    """
    _require_unique([tool.name for tool in tools])
    return tools


def unique_servers(servers: list[McpServer]) -> list[McpServer]:
    """Return servers whose names differ.

    Raises:
        ValueError: two have one name.
    """
    _require_unique([server.name for server in servers])
    return servers


def _require_unique(names: list[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"names must be unique: {', '.join(twice)}")


def _checked_url(url: str) -> str:
    # A caller's words must not choose who is asked.
    bare = template.without_tokens(url, "x")
    if _NOT_IN_URLS.search(bare):
        raise ValueError("a URL holds no blanks, control characters or backslashes")
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if template.has_tokens(f"{scheme}{authority}"):
        raise ValueError("only the path and the query may hold {{variables}}")
    try:
        parts = urlsplit(bare)
        has_host = bool(parts.hostname) and _port_of(parts) != 0
    except ValueError as error:
        raise ValueError(f"not a URL: {error}") from error
    if parts.scheme.lower() not in ("http", "https") or not has_host:
        raise ValueError("only http and https URLs with a host can be asked")
    if "@" in parts.netloc:
        raise ValueError("no user and password in a URL: use headers")
    return url


def _port_of(parts: SplitResult) -> int | None:
    return parts.port


def _checked_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or _CONTROL.search(value):
            raise ValueError(f"the header {name!r} cannot be sent")
        if name.lower() in _OURS:
            raise ValueError(f"the header {name!r} is not for a bot to set")
    return headers


def _without_objects(fields: dict[str, Any], where: str) -> dict[str, Any]:
    for name, value in fields.items():
        flat = value if isinstance(value, list) else [value]
        if any(isinstance(each, dict | list) for each in flat):
            raise ValueError(f"{where}: {name!r} is neither a value nor a list of values")
    return fields
