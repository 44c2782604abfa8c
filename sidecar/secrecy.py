"""Keeps secrets out of what is shown or kept: masks them going out, restores them coming in.

One that is only named (`secret://name`, see `sidecar.vault`) is shown and kept as it is: a
reference says where a secret is, not what it is.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any

from sidecar.origin import origin_of

MASK = "********"
SCHEME = "secret://"
_PLAIN_HEADERS = frozenset({"accept", "accept-language", "content-type", "user-agent"})
"""Any other header a tenant sends may be a key, whatever it is called."""
_VARIABLE = re.compile(r"\{\{[^{}]*\}\}")
_SECRET_KEY = re.compile(
    r"(^|_|-)(secret|token|password|api[_-]?key|authorization|credentials)$", re.IGNORECASE
)
_REFERENCE = re.compile(r"(?<![^\s,])secret://[^\s,]*")
_NAMED = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*\s+)?secret://[^\s,]*([\s,]+secret://[^\s,]*)*\s*")
"""Nothing but references, the first perhaps after a scheme such as `Bearer`."""

Path = tuple[str, ...]


def masked(value: Any, under: str = "") -> Any:
    """Return `value` with every non-empty secret in it replaced by `MASK`.

    Args:
        value: a config, or a part of one.
        under: the key that it stands under.
    """

    def mask(_: Path, secret: str) -> str:
        return MASK if secret and not _NAMED.fullmatch(secret) else secret

    return _changed(value, mask, (under,))


def revealed(value: Any, find: Callable[[Path, str], str]) -> Any:
    """Return `value` with every reference that stands where a secret may replaced.

    A reference anywhere else, as in a prompt, is left alone: it would be read out.

    Args:
        value: a config, or a part of one.
        find: given the path to a reference and the reference, returns what it leads to.
    """

    def reveal(path: Path, secret: str) -> str:
        return _REFERENCE.sub(lambda found: find(path[1:], found[0]), secret)

    return _changed(value, reveal, ("",))


def restored(value: Any, stored: Any, under: str = "") -> Any:
    """Return `value` with every `MASK` replaced by what `stored` holds in the same place.

    In a list that is the entry of the same name, tool or vendor.
    """
    if isinstance(value, dict):
        known = stored if isinstance(stored, dict) else {}
        return {
            key: known.get(key, "")
            if item == MASK and _is_secret(key, item, under)
            else restored(item, known.get(key), key)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [restored(item, old) for item, old in _pairs(value, stored)]
    return value


def unrestorable(
    value: Any, stored: Any, path: Path = (), *, is_moved: bool = False
) -> Iterator[tuple[Path, str]]:
    """Yield the path to every `MASK` in `value` that stands for no secret of `stored`, and why not.

    Nothing is held there; or it would be sent to another place than it was given for: whoever may
    not read it could have it sent to themselves.

    Args:
        value: a config, or a part of one.
        stored: what is held in its place.
        path: where it stands.
        is_moved: whether what it is a part of is sent elsewhere by now.
    """
    if isinstance(value, dict):
        known = stored if isinstance(stored, dict) else {}
        # A fallback is a vendor of its own, whatever became of the first choice.
        is_moved = is_moved and not (len(path) == 3 and path[1] == "fallbacks")
        is_moved = is_moved or (bool(path) and _place_of(value) != _place_of(known))
        for key, item in value.items():
            if not (item == MASK and _is_secret(key, item, path[-1] if path else "")):
                yield from unrestorable(item, known.get(key), (*path, key), is_moved=is_moved)
            elif not known.get(key):
                yield (*path, key), "nothing is stored here: give the secret itself"
            elif is_moved:
                yield (*path, key), "give the secret again: it would go to another address"
    if isinstance(value, list):
        for at, (item, old) in enumerate(_pairs(value, stored)):
            yield from unrestorable(item, old, (*path, str(at)), is_moved=is_moved)


def _place_of(part: dict[str, Any]) -> list[Any]:
    """Return what tells to whom a part's secrets are sent."""
    inner = part.get("function")
    # What a tool's `function` says comes before what stands beside it.
    told = {**part, **inner} if isinstance(inner, dict) else part
    names = [told.get("provider"), told.get("host")]
    urls: list[Any] = [told.get("base_url"), told.get("url")]
    return [each or "" for each in (*names, *(origin_of(url) or url for url in urls))]


def _pairs(value: list[Any], stored: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each item with the stored one of its name: entries may be moved, added and removed."""
    known: defaultdict[str, deque[Any]] = defaultdict(deque)
    for item in stored if isinstance(stored, list) else []:
        known[_name_of(item)].append(item)
    for item in value:
        same = known[_name_of(item)]
        yield item, same.popleft() if same else None


def _name_of(item: Any) -> str:
    if not isinstance(item, dict):
        return ""
    function = item.get("function")
    names = [item.get("id"), item.get("name"), item.get("provider")]
    if isinstance(function, dict):
        names.insert(0, function.get("name"))
    return next((str(name) for name in names if name), "")


def _changed(value: Any, change: Callable[[Path, str], str], path: Path) -> Any:
    """Return `value` with every text that may be a secret replaced by what `change` makes of it."""
    if isinstance(value, dict):
        under = path[-1]
        return {
            key: change((*path, key), item)
            if _is_secret(key, item, under)
            else _changed(item, change, (*path, key))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_changed(item, change, (*path, str(at))) for at, item in enumerate(value)]
    return value


def _is_secret(key: str, value: Any, under: str) -> bool:
    # A lone variable says where a value comes from, not what it is.
    if not isinstance(value, str) or _VARIABLE.fullmatch(value.strip()):
        return False
    if under == "headers" and key.lower() not in _PLAIN_HEADERS:
        return True
    return _SECRET_KEY.search(key) is not None
