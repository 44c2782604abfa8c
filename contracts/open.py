"""The base of every part of a bot's config."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict


class Open(BaseModel):
    """Keeps unknown keys; never mutated after parsing."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


def unread(part: Any, path: str = "") -> Iterator[str]:
    """Yield the keys of a part, and of all parts in it, that nothing here knows.

    Args:
        part: an `Open`, or what holds some.
        path: what its keys begin with; `llm.` makes `llm.temprature` of one.
    """
    inner: Iterable[tuple[Any, Any]]
    match part:
        case Open():
            yield from (f"{path}{key}" for key in part.model_extra or {})
            inner = [(name, getattr(part, name)) for name in type(part).model_fields]
        case dict():
            inner = part.items()
        case list():
            inner = enumerate(part)
        case _:
            return
    for key, each in inner:
        yield from unread(each, f"{path}{key}.")
