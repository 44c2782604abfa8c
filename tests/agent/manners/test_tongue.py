"""Which language a caller speaks, and whether the bot follows."""

from __future__ import annotations

import pytest

from agent.manners.tongue import Tongue, language_of_words, name_of
from agent.manners.words import words
from contracts.manners import LanguageManners


def tongue(own: str = "en", **manners: object) -> Tongue:
    return Tongue(LanguageManners.model_validate({"mode": "switch", **manners}), own)


@pytest.mark.parametrize(
    ("turn", "named", "expected"),
    [
        ("मुझे अपना बिल चाहिए", [], "hi"),
        ("mujhe apna bill chahiye", [], "hi"),
        ("mujhe apna bill chahiye", ["en"], "hi"),
        ("I would like to see my bill", [], "en"),
        ("I would like to see my bill", ["en"], "en"),
        ("मला माझे बिल पाहिजे", ["mr"], "mr"),
        ("मुझे अपना बिल चाहिए", ["en"], "hi"),
        ("எனக்கு என் பில் வேண்டும்", [], "ta"),
        ("quiero ver mi factura", ["es"], "es"),
        ("quiero ver mi factura", [], None),
        ("Nova Dental Bangalore", ["en"], None),
        ("haan theek", ["hi"], None),
        ("12 34 56", ["en"], None),
        ("mera बिल kitna 12 34", [], None),
    ],
)
def test_language_of_a_turn(turn: str, named: list[str], expected: str | None) -> None:
    assert language_of_words(words(turn), named) == expected


def test_bot_follows_a_whole_turn_and_comes_back() -> None:
    spoken = tongue()
    assert spoken.order == ""
    spoken.heard("mujhe kal aana hai", "en")
    assert spoken.take_up("mujhe kal aana hai")
    assert spoken.spoken == "hi"
    assert spoken.order == "The caller speaks Hindi: answer in Hindi."
    assert not spoken.take_up("okay")
    assert spoken.spoken == "hi"
    assert spoken.take_up("I would like to come tomorrow")
    # The model would go on in the language of its last answers.
    assert spoken.order == "The caller speaks English: answer in English."


def test_recognisers_names_are_those_of_one_turn() -> None:
    spoken = tongue()
    spoken.heard("quiero ver mi factura", "es-MX")
    spoken.heard("por favor", "multi")
    assert spoken.take_up("quiero ver mi factura por favor")
    assert spoken.spoken == "es"
    assert not spoken.take_up("vorrei un appuntamento domani")


def test_bot_follows_only_where_it_may() -> None:
    spoken = tongue(languages=["ta"])
    assert not spoken.take_up("mujhe kal aana hai")
    assert spoken.take_up("எனக்கு என் பில் வேண்டும்")
    assert spoken.take_up("I would like to come tomorrow")


def test_bot_that_is_locked_or_free_never_follows() -> None:
    for mode, order in (
        ("lock", "Always answer in Tamil, whatever language the caller speaks."),
        ("free", ""),
    ):
        spoken = tongue("ta", mode=mode)
        assert spoken.standing_order == order
        assert not spoken.take_up("I would like to come tomorrow")
        assert spoken.order == ""
    assert tongue().standing_order == ""


def test_language_without_a_name_has_its_code() -> None:
    assert name_of("xx") == "xx"
