"""JSON schemas of tools' arguments: are they sound, and do arguments fit them? Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

_MAX_FAULTS = 3
_MAX_WORDS_CHARS = 200
_NOTHING: Registry[Any] = Registry()
"""Refers to nobody: the library would fetch schemas from wherever one names."""
_TRUE, _FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})


def schema_fault(schema: Mapping[str, Any]) -> str | None:
    """Return why a schema cannot describe a tool's arguments; None if it can."""
    if not schema:
        return None
    if schema.get("type", "object") != "object":
        return "the schema of arguments is one of type object"
    try:
        references = list(_references(schema))
        for reference in references:
            if not isinstance(reference, str) or not reference.startswith("#"):
                return "a schema may refer to itself alone: $ref begins with #"
        Draft202012Validator.check_schema(schema)
        if lost := _lost(references, schema):
            return f"$ref: {lost[:_MAX_WORDS_CHARS]!r} leads nowhere, or in a circle"
    except SchemaError as error:
        return f"not a JSON schema: {_words(error)}"
    except RecursionError:
        return "the schema is too deep"
    return None


def argument_faults(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with arguments, in words, the first few things; empty: they fit."""
    if not schema:
        return []
    found: list[str] = []
    try:
        for error in Draft202012Validator(schema, registry=_NOTHING).iter_errors(dict(arguments)):
            found.append(_words(error))
            if len(found) == _MAX_FAULTS:
                break
    except (Unresolvable, RecursionError, OverflowError):
        # A tool whose schema leads nowhere, in a circle, or past the largest number is better run
        # than lost.
        return []
    return found


def coerced(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments with texts made what the schema wants, where they say just that.

    Some models write numbers as texts, and rules have nothing but texts.
    """
    properties = schema.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    return {name: _coerced(value, known.get(name)) for name, value in arguments.items()}


def _coerced(value: Any, schema: Any) -> Any:
    if not isinstance(value, str) or not isinstance(schema, Mapping):
        return value
    text = value.strip()
    try:
        match schema.get("type"):
            case "integer":
                return int(text)
            case "number":
                number = float(text)
                return number if abs(number) < float("inf") else value
            case "boolean" if text.lower() in _TRUE | _FALSE:
                return text.lower() in _TRUE
    except ValueError:
        pass
    return value


def _references(schema: Any) -> Iterator[Any]:
    if isinstance(schema, Mapping):
        for key, part in schema.items():
            if key in ("$ref", "$dynamicRef") and not isinstance(part, Mapping):
                yield part
            yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _lost(references: list[str], schema: Mapping[str, Any]) -> str | None:
    """Return a reference that leads to no schema; a schema may well have itself as a part."""
    root = DRAFT202012.create_resource(schema)
    resolver = _NOTHING.resolver_with_root(root)
    found: set[str] = set()
    for each in references:
        reference: Any = each
        passed: set[str] = set()
        while isinstance(reference, str) and reference not in found:
            if reference in passed:
                return each
            passed.add(reference)
            try:
                target = resolver.lookup(reference).contents
            # The others are the library's for ways through what is neither object nor list.
            except (Unresolvable, AttributeError, TypeError, ValueError):
                return each
            reference = target.get("$ref") if isinstance(target, Mapping) else None
        found |= passed
    return None


def _words(error: ValidationError | SchemaError) -> str:
    where = ".".join(map(str, error.absolute_path))
    words = f"{where}: {error.message}" if where else str(error.message)
    return words if len(words) <= _MAX_WORDS_CHARS else f"{words[: _MAX_WORDS_CHARS - 1]}…"
