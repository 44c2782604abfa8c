"""How what is wrong with a field is told."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, StringConstraints, ValidationError, field_validator

from sidecar.denial import Code
from sidecar.fault import fault, faults_of, unfit


class Model(BaseModel):
    words: dict[Annotated[str, StringConstraints(min_length=1)], int] = {}
    numbers: list[int] = []

    @field_validator("numbers")
    @classmethod
    def _even(cls, numbers: list[int]) -> list[int]:
        if any(number % 2 for number in numbers):
            raise ValueError("only even ones")
        return numbers


def test_places_in_lists_are_numbers() -> None:
    assert fault("tools.0.url", "no") == {
        "type": "value_error",
        "loc": ["tools", 0, "url"],
        "msg": "no",
    }
    assert fault("llm", "Value error, no", "vendor") == {
        "type": "vendor",
        "loc": ["llm"],
        "msg": "no",
    }


def test_models_faults_are_told_without_what_the_model_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"words": {"": 1}, "numbers": [1337]})
    found = faults_of(caught.value)
    assert [(each["loc"], each["msg"]) for each in found] == [
        (["words", ""], "String should have at least 1 character"),
        (["numbers"], "only even ones"),
    ]
    assert "1337" not in str(found)


def test_unfit_field_is_named_in_words_and_by_its_place() -> None:
    denied = unfit("limit", "not a number")
    assert (denied.code, denied.message) == (Code.BODY_INVALID, "limit: not a number")
    assert [each["loc"] for each in denied.details["errors"]] == [["limit"]]
