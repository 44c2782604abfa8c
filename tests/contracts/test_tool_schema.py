"""`contracts.tool_schema`: schemas that can be used, arguments that fit them."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.tool_schema import argument_faults, coerced, schema_fault

BOOKING: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2},
        "guests": {"type": "integer", "minimum": 1},
        "price": {"type": "number"},
        "is_window": {"type": "boolean"},
        "when": {"$ref": "#/$defs/day"},
        "tags": {"type": "array", "items": {"enum": ["quiet", "terrace"]}},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"day": {"type": "string", "pattern": "^[0-9-]+$"}},
}

ROUND: dict[str, Any] = {"$ref": "#/$defs/a"}
LINKED: dict[str, Any] = {
    "$id": "https://tools.example/linked.json",
    "properties": {name: {"$ref": "#/$defs/a"} for name in "xy"},
    "$defs": {
        "a": {"$ref": "#here"},
        "b": {"$anchor": "here"},
        "c": {"$ref": "#/$defs/d"},
        "d": True,
    },
}
TREE: dict[str, Any] = {"type": "object", "properties": {"child": {"$ref": "#"}}}


@pytest.mark.parametrize(
    "schema", [{}, BOOKING, {"properties": {"$ref": {"type": "string"}}}, TREE]
)
def test_sound_schema_has_no_fault(schema: dict[str, Any]) -> None:
    assert schema_fault(schema) is None


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "type object"),
        ({"type": "object", "properties": {"a": {"type": "word"}}}, "not a JSON schema"),
        ({"type": "object", "required": "name"}, "required"),
        ({"allOf": [{"$ref": "http://127.0.0.1/schema.json"}]}, "refer to itself alone"),
        ({"properties": {"a": {"$ref": 7}}}, "refer to itself alone"),
        ({"$ref": "#"}, "'#' leads nowhere, or in a circle"),
        ({"properties": {"a": {"$ref": "#/$defs/gone"}}}, "leads nowhere"),
        ({"properties": {"a": {"$ref": "#gone"}}}, "leads nowhere"),
        ({"odd": 7, "$ref": "#/odd/x"}, "leads nowhere"),
        ({"odd": "x", "$ref": "#/odd/x"}, "leads nowhere"),
        ({"allOf": [{}], "$ref": "#/allOf/x"}, "leads nowhere"),
        ({"$id": 7, "$ref": "#/x"}, "not a JSON schema"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": ROUND}}, "in a circle"),
    ],
)
def test_unsound_schema_is_told(schema: dict[str, Any], words: str) -> None:
    assert words in (schema_fault(schema) or "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "Asha"}, []),
        ({"name": "Asha", "guests": 2, "when": "2026-04-27", "tags": ["quiet"]}, []),
        ({}, ["'name' is a required property"]),
        ({"name": "Asha", "guests": 0}, ["guests: 0 is less than the minimum of 1"]),
        ({"name": "Asha", "tags": ["loud"]}, ["tags.0: 'loud' is not one of"]),
        ({"name": "Asha", "when": "tomorrow"}, ["when: 'tomorrow' does not match"]),
        ({"name": "Asha", "host": "evil"}, ["'host' was unexpected"]),
    ],
)
def test_arguments_are_judged_in_words(arguments: dict[str, Any], words: list[str]) -> None:
    found = argument_faults(BOOKING, arguments)
    assert len(found) == len(words)
    assert all(word in fault for word, fault in zip(words, found, strict=True))


def test_faults_are_few_and_short() -> None:
    schema = {"additionalProperties": {"type": "integer"}}
    found = argument_faults(schema, {str(number): "x" * 1000 for number in range(20)})
    assert len(found) == 3
    assert all(len(fault) <= 200 and fault.endswith("…") for fault in found)


def test_no_schema_takes_anything() -> None:
    assert argument_faults({}, {"a": object()}) == []


@pytest.mark.parametrize(
    "schema", [{"$ref": "#/$defs/nowhere"}, {"$ref": "#"}, {"$ref": "http://127.0.0.1:9/x.json"}]
)
def test_schema_that_leads_nowhere_neither_fetches_nor_fails(schema: dict[str, Any]) -> None:
    assert argument_faults(schema, {"a": 1}) == []


@pytest.mark.parametrize("levels", [180, 5000])
def test_schema_too_deep_to_be_judged_is_refused(levels: int) -> None:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"not": schema}
    assert schema_fault(schema) == "the schema is too deep"


def test_number_too_big_to_be_judged_is_let_through() -> None:
    schema = {"properties": {"price": {"multipleOf": 0.1}}}
    assert argument_faults(schema, {"price": 10**400}) == []


def test_texts_become_what_the_schema_wants() -> None:
    given = {"name": "7", "guests": " 4 ", "price": "12.5", "is_window": "Yes", "when": "5"}
    assert coerced(BOOKING, given) == {
        "name": "7",
        "guests": 4,
        "price": 12.5,
        "is_window": True,
        "when": "5",
    }
    assert coerced(BOOKING, {"is_window": "no"}) == {"is_window": False}


@pytest.mark.parametrize(
    "given",
    [{"guests": "four"}, {"price": "inf"}, {"is_window": "maybe"}, {"guests": 4.5}, {"odd": "1"}],
)
def test_texts_that_are_something_else_stay(given: dict[str, Any]) -> None:
    assert coerced(BOOKING, given) == given


def test_nothing_is_coerced_without_properties() -> None:
    assert coerced({}, {"a": "1"}) == coerced({"properties": 7}, {"a": "1"}) == {"a": "1"}
