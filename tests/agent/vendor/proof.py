"""What proves that a bot's field reaches its vendor: a value, and what it makes of a request.

Each vendor's test module has a `PROOFS` of its own and puts every one of them through the real
plug-in to the stand-in. `tests.agent.vendor.table` makes the documentation's table of them, and
`test_table` wants one for every field that there is.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.bot import BotConfig
from tests.fakes.vendors.journal import Request

Wire = tuple[str, Callable[[Request], bool]]
"""What is on the wire: in words, and as a question to a journalled request."""

AS_GIVEN = object()
"""For a `value` that only the running stand-in knows, its address: what the base config has."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One field of a bot's, set to a value, and what is then on the wire.

    `Proof("deepgram", "stt.extra.endpointing", 300, *in_query("endpointing", "300"))`
    """

    vendor: str
    """The `provider`."""
    field: str
    """The path in the bot's config."""
    value: Any
    wire: str
    holds: Callable[[Request], bool]
    beside: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Other fields that this one needs, by their paths."""

    def __str__(self) -> str:
        return f"{self.vendor} {self.field}"

    def bot(self, base: Mapping[str, Any]) -> BotConfig:
        """Return the bot that `base` describes, with this proof's value in it."""
        config = copy.deepcopy(dict(base))
        for path, value in {**self.beside, self.field: self.value}.items():
            if value is not AS_GIVEN:
                _put(config, path, value)
        return BotConfig.model_validate(config)


@dataclass(frozen=True, slots=True)
class Unsent:
    """A field that has no place on a vendor's wire, and why."""

    vendor: str
    field: str
    why: str


def in_query(name: str, *values: str) -> Wire:
    """`?name=value` in the address, once for each value."""
    words = " and ".join(f"`{name}={value}`" for value in values)
    return f"{words} in the query", lambda request: request.query.get(name) == list(values)


def in_path(path: str) -> Wire:
    """The path of the request, from the stand-in's root."""
    return f"asked at `{path}`", lambda request: request.path == path


def in_header(name: str, value: str) -> Wire:
    """A header with its whole value."""
    return f"`{name}: {value}`", lambda request: request.headers.get(name) == value


def in_body(path: str, value: Any) -> Wire:
    """A member of the JSON body, by its path in it."""
    words = f"`{path}` is `{shown(value)}` in the body"
    return words, lambda request: _at(request.body, path) == value


def in_message(path: str, value: Any) -> Wire:
    """A member of the first JSON message on a WebSocket, by its path in it."""
    words = f"`{path}` is `{shown(value)}` in the first message"
    return words, lambda request: _at(request.messages[0], path) == value


def shown(value: Any) -> str:
    """Return a value as JSON shows it, without the quotes of a text."""
    return value if isinstance(value, str) else json.dumps(value)


def _put(config: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[name] = value


def _at(body: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(body, list):
            body = body[int(name)] if int(name) < len(body) else None
        else:
            body = body.get(name) if isinstance(body, dict) else None
    return body
