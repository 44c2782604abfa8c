"""From a tool, its arguments and the call's variables to the HTTP request that is sent. Pure.

Each place has an escape of its own: what a caller said stays a part of a path, a value of a query,
a text in JSON, and can neither end a header nor choose whom it is sent to.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from contracts import template
from contracts.tool import HttpTool

_NO_VISIBLE = re.compile(r"[\x00-\x1f\x7f]")
_ARGUMENT = "args."
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
_ABSENT = object()


class Unfit(ValueError):
    """The arguments make no request; the message tells the model why."""


class NoVariable(Unfit):
    """The path needs a variable of the call's that is not known, or is empty."""


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A request to a tool's server, every template in it resolved."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def request_of(
    tool: HttpTool, arguments: Mapping[str, Any], variables: Mapping[str, str]
) -> ToolRequest:
    """Return the request; variables that are not known are left empty in it, but in the path.

    Raises:
        NoVariable: the path needs one of the call's that is missing.
        Unfit: an argument cannot be sent, or one is missing that the path needs.
    """
    filling = _Filling(arguments, variables)
    named = tool.arguments_named()
    rest = {name: value for name, value in filling.arguments.items() if name not in named}
    has_body = tool.method in _BODY_METHODS
    is_bare = not has_body and tool.body is None and not tool.query
    query = rest if is_bare else filling.value(tool.query)
    body = b""
    if tool.body is not None or has_body:
        body = _encoded(tool, rest if tool.body is None else filling.value(tool.body))
    headers = {name: filling.header(value) for name, value in tool.headers.items()}
    if body and "content-type" not in map(str.lower, headers):
        headers["Content-Type"] = _TYPES[tool.body_format]
    return ToolRequest(tool.method, filling.url(tool.url, query), headers, body)


def address_of(url: str, variables: Mapping[str, str]) -> str:
    """Return a URL with the call's variables in it.

    Raises:
        NoVariable: its path needs one that is missing.
    """
    return _Filling({}, variables).url(url, {})


def headers_of(headers: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return headers with the call's variables in them."""
    filling = _Filling({}, variables)
    return {name: filling.header(value) for name, value in headers.items()}


class _Filling:
    """What templates are filled with."""

    def __init__(self, arguments: Mapping[str, Any], variables: Mapping[str, str]) -> None:
        self.arguments: dict[str, Any] = _clean(dict(arguments))
        self._raw = dict(_named(_ARGUMENT[:-1], self.arguments))
        given = {name: template.stringify(value) for name, value in self._raw.items()}
        known = {name: _whole(text) for name, text in variables.items()}
        self._texts = {**known, **given}

    def url(self, url: str, query: Mapping[str, Any]) -> str:
        url = url.partition("#")[0]
        path, _, written = url.partition("?")
        for name in sorted(template.tokens(path)):
            # Without it the path would be another's: all orders instead of one.
            if not (template.lookup(name, self._texts) or "").strip(". "):
                if name.startswith(_ARGUMENT):
                    raise Unfit(f"{name.removeprefix(_ARGUMENT)}: required, and not empty")
                raise NoVariable(f"the address needs {name}, which is not known on this call")
        escaped = {name: _escaped(text) for name, text in self._texts.items()}
        path, written = (
            template.render(part, escaped, drop_unresolved=True) for part in (path, written)
        )
        flat = {name: _flat(value) for name, value in query.items()}
        more = urlencode({name: value for name, value in flat.items() if value != ""}, doseq=True)
        both = "&".join(filter(None, (written, more)))
        return f"{path}?{both}" if both else path

    def header(self, value: str) -> str:
        plain = {name: _NO_VISIBLE.sub(" ", text) for name, text in self._texts.items()}
        return template.render(value, plain, drop_unresolved=True).strip()

    def value(self, value: Any) -> Any:
        """Return JSON filled; a field is left out whose only content is a missing argument."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            filled = {name: self.value(part) for name, part in value.items()}
            return {name: part for name, part in filled.items() if part is not _ABSENT}
        if isinstance(value, list):
            return [part for part in map(self.value, value) if part is not _ABSENT]
        return value

    def _text(self, text: str) -> Any:
        name = template.sole_token(text)
        if name is not None and name.startswith(_ARGUMENT):
            return self._raw.get(name, _ABSENT)
        return template.render(text, self._texts, drop_unresolved=True)


def _encoded(tool: HttpTool, body: Any) -> bytes:
    if tool.body_format == "form":
        fields = {name: _flat(value) for name, value in body.items()}
        return urlencode(fields, doseq=True).encode("ascii")
    return json.dumps(body, allow_nan=False).encode("ascii")


def _flat(value: Any) -> str | list[str]:
    if isinstance(value, list):
        return [template.stringify(part) for part in value]
    return template.stringify(value)


def _escaped(text: str) -> str:
    # Nothing but dots would be a step up in the path, escaped or not.
    return quote(text, safe="") if text.strip(".") else ""


def _named(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every part of an argument by its full name, such as `args.address.city`."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield f"{prefix}.{name}", part
            yield from _named(f"{prefix}.{name}", part)


def _clean(value: Any) -> Any:
    """Return what a model gave in what every place can carry.

    Raises:
        Unfit: a number is none.
    """
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, Mapping):
        return {_clean(str(name)): _clean(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_clean(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise Unfit("numbers must be finite")
    return value


def _whole(text: str) -> str:
    """Return a text without halves of surrogate pairs, which nothing can encode."""
    return text.encode("utf-8", "replace").decode("utf-8")
