"""Finding slots in what callers say."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from agent.speech.slot import Partial, Value, extract, yes_no
from contracts.rules import Slot

NOW = datetime(2026, 4, 27, 10, 0, tzinfo=ZoneInfo("America/New_York"))


def slot(kind: str, **options: object) -> Slot:
    return Slot.model_validate({"type": kind, "prompt": "?", **options})


def value(found: Value | Partial | None) -> tuple[str, str]:
    assert isinstance(found, Value)
    return found.raw, found.text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Yes.", True),
        ("Yeah, that's right.", True),
        ("Sure, go ahead.", True),
        ("This is she.", True),
        ("No problem.", True),
        ("No, that's correct.", True),
        ("That's right, no changes.", True),
        ("No.", False),
        ("Not really.", False),
        ("No, that's wrong.", False),
        ("That is not right.", False),
        ("I am not.", False),
        ("Tuesday.", None),
        ("", None),
    ],
)
def test_yes_and_no(text: str, answer: bool | None) -> None:
    assert yes_no(text) is answer


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My name is Rahul Sharma.", "Rahul Sharma"),
        ("It's Daniel.", "Daniel"),
        ("Maria", "Maria"),
        ("Okay, Maria Lopez.", "Maria Lopez"),
        ("R-A-H-U-L", "Rahul"),
        ("My name is Anna and I want to come in", "Anna"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert value(extract(slot("name"), text, NOW, asked=True)) == (name, name)


@pytest.mark.parametrize(
    "text", ["Yes.", "What for?", "ten", "I would like to know something about it first", ""]
)
def test_no_name_is_none(text: str) -> None:
    assert extract(slot("name"), text, NOW, asked=True) is None


def test_unasked_names_must_be_announced() -> None:
    assert extract(slot("name"), "This is about a cleaning", NOW, asked=False) is None
    assert value(extract(slot("name"), "my name is Ana", NOW, asked=False))[0] == "Ana"


def test_phone_numbers_are_grouped_for_the_caller() -> None:
    phone = slot("phone", min_digits=10, max_digits=11)
    text = "Four one five, five five five, zero one nine two."
    assert value(extract(phone, text, NOW, asked=True)) == ("4155550192", "415-555-0192")
    assert value(extract(phone, "1 415 555 0192", NOW, asked=True))[1] == "1-415-555-0192"


def test_number_in_parts_is_put_together() -> None:
    phone = slot("phone", min_digits=10)
    first = extract(phone, "four one five", NOW, asked=True)
    assert first == Partial("415")
    rest = extract(phone, "five five five oh one nine two", NOW, asked=True, partial="415")
    assert value(rest)[0] == "4155550192"


def test_whole_number_after_a_part_starts_over() -> None:
    phone = slot("phone", min_digits=10)
    found = extract(phone, "415 555 0192", NOW, asked=True, partial="41")
    assert value(found)[0] == "4155550192"


def test_too_many_digits_are_no_number() -> None:
    assert extract(slot("phone", max_digits=10), "1" * 25, NOW, asked=True) is None
    assert extract(slot("phone"), "no idea", NOW, asked=True) is None


def test_few_digits_are_not_taken_unasked() -> None:
    assert extract(slot("digits", min_digits=4), "on the 5th", NOW, asked=False) is None


def test_dates_and_times_are_relative_to_now() -> None:
    assert value(extract(slot("date"), "tomorrow", NOW, asked=True)) == (
        "2026-04-28",
        "Tuesday, April 28",
    )
    assert value(extract(slot("time"), "half past three", NOW, asked=True)) == ("15:30", "3:30 PM")


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("A cleaning, please.", "cleaning"),
        ("I need my teeth cleaned", "cleaning"),
        ("a check up", "check-up"),
        ("just a cleening", "cleaning"),
        ("a haircut", None),
        ("", None),
    ],
)
def test_choices(text: str, choice: str | None) -> None:
    service = slot("choice", choices={"cleaning": ["teeth cleaned"], "check-up": ["checkup"]})
    found = extract(service, text, NOW, asked=True)
    assert (found.raw if isinstance(found, Value) else None) == choice


def test_amounts_and_numbers() -> None:
    assert value(extract(slot("money"), "two hundred and fifty", NOW, asked=True)) == ("250", "250")
    assert value(extract(slot("money"), "1,234.50", NOW, asked=False)) == ("1234.5", "1,234.50")
    assert value(extract(slot("number"), "three of us", NOW, asked=True))[0] == "3"
    assert extract(slot("number"), "three of us", NOW, asked=False) is None


def test_free_text_is_an_answer_but_a_question_is_none() -> None:
    assert value(extract(slot("text"), " the red one ", NOW, asked=True))[0] == "the red one"
    assert extract(slot("text"), "What do you mean?", NOW, asked=True) is None


def test_yes_or_no_slots_need_their_question() -> None:
    assert value(extract(slot("yes_no"), "Yes.", NOW, asked=True))[0] == "yes"
    assert value(extract(slot("yes_no"), "nope", NOW, asked=True))[0] == "no"
    assert extract(slot("yes_no"), "Yes.", NOW, asked=False) is None
    assert extract(slot("yes_no"), "blue", NOW, asked=True) is None
