"""By which trunk a call goes: the one asked for, the bot's own, the oldest; never a stranger's."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.trunk import Trunk
from sidecar import route
from sidecar.denial import Code, Denied


def trunk(trunk_id: str, **changes: Any) -> Trunk:
    return Trunk(trunk_id=trunk_id, name=trunk_id, **{"address": "sip.example", **changes})


A, B = trunk("a", numbers=["911111111111", "+912222222222"]), trunk("b", numbers=["+913333333333"])
OFF = trunk("off", numbers=["+914444444444"], is_active=False)
INBOUND = trunk("in", numbers=["+915555555555"], address="")


@pytest.mark.parametrize(
    ("from_number", "of_bot", "found"),
    [
        ("", [], ("a", "+911111111111")),
        ("+912222222222", [], ("a", "+912222222222")),
        ("+913333333333", [], ("b", "+913333333333")),
        ("", [("+917777777777", "b")], ("b", "+917777777777")),
        ("", [("+917777777777", "off"), ("+918888888888", "b")], ("b", "+918888888888")),
        ("", [("+917777777777", "gone")], ("a", "+911111111111")),
        ("+917777777777", [("+917777777777", "b")], ("b", "+917777777777")),
    ],
)
def test_way_out(from_number: str, of_bot: list[tuple[str, str]], found: tuple[str, str]) -> None:
    way = route.choose([INBOUND, OFF, A, B], from_number=from_number, of_bot=of_bot)
    assert (way.trunk.trunk_id, way.from_number) == found


@pytest.mark.parametrize("from_number", ["+914444444444", "+915555555555", "+916666666666"])
def test_caller_id_of_no_active_trunk_is_not_replaced(from_number: str) -> None:
    with pytest.raises(Denied) as denied:
        route.choose([INBOUND, OFF, A, B], from_number=from_number)
    assert denied.value.code is Code.TRUNK_UNKNOWN


@pytest.mark.parametrize("trunks", [[], [INBOUND], [OFF]])
def test_without_a_trunk_there_is_no_way(trunks: list[Trunk]) -> None:
    with pytest.raises(Denied) as denied:
        route.choose(trunks)
    assert denied.value.code is Code.TRUNK_UNAVAILABLE


def test_trunk_without_numbers_shows_none() -> None:
    assert route.choose([trunk("c")]).from_number == ""


def test_national_numbers_of_a_trunk_are_known_by_their_international_form() -> None:
    ours = trunk("d", numbers=["098 7654 3210"])
    way = route.choose([ours], from_number="+919876543210", country="IN")
    assert (way.trunk, way.from_number) == (ours, "+919876543210")
