"""Addresses: names, brackets and parameters in every order peers put them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.wire.sip.address import Address
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.uri import Uri

BOB = Uri.parse("sip:bob@example.com")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("sip:bob@example.com", Address(BOB)),
        ("sip:bob@example.com;tag=1", Address(BOB, params=(("tag", "1"),))),
        ("<sip:bob@example.com>;tag=1;x", Address(BOB, params=(("tag", "1"), ("x", None)))),
        ('"Bob \\"B\\" <b>" <sip:bob@example.com>', Address(BOB, 'Bob "B" <b>')),
        ('""<sip:bob@example.com>', Address(BOB)),
        ("Bob B. <sip:bob@example.com>", Address(BOB, "Bob B.")),
        ("caller<sip:bob@example.com>", Address(BOB, "caller")),
        ('"Jürgen" < sip:bob@example.com >', Address(BOB, "Jürgen")),
    ],
)
def test_address_is_read(text: str, address: Address) -> None:
    assert Address.parse(text) == address


def test_parameters_of_the_uri_stay_the_uris() -> None:
    address = Address.parse("<sip:bob@example.com;lr;tag=2>;tag=1")

    assert (address.tag, address.uri.param("tag"), address.param("lr")) == ("1", "2", None)
    assert Address(BOB).tag == ""
    assert address.with_param("tag", "9").serialize() == "<sip:bob@example.com;lr;tag=2>;tag=9"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        '"Bob',
        '"Bob" sip:bob@example.com',
        '"Bob" B <sip:bob@example.com>',
        "<sip:bob@example.com",
        "Bell, Alexander <sip:bob@example.com>",
        "Bell; <sip:bob@example.com>",
        "B\x07 <sip:bob@example.com>",
        "sip:bob@example.com?Route=x",
        "sip:b,ob@example.com",
        "<sip:bob@example.com> x",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        Address.parse(text, "From")


@given(st.text())
def test_any_name_survives(name: str) -> None:
    address = Address(BOB, name)
    again = Address.parse(address.serialize())
    clean = "".join(" " if each < " " or each == "\x7f" else each for each in name)
    assert again.display_name == clean


@given(st.text())
def test_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = Address.parse(text)
    except ProtocolError:
        return
    assert Address.parse(address.serialize()).uri == address.uri
