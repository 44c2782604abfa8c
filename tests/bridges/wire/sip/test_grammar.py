"""Tokens, quoted strings, lists and parameters: what is one, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.wire.sip import grammar
from bridges.wire.sip.error import ProtocolError


@pytest.mark.parametrize(("text", "is_one"), [("INVITE", True), ("a-.!%*_+`'~", True), ("", False)])
def test_token(text: str, is_one: bool) -> None:
    assert grammar.is_token(text) is is_one
    assert not grammar.is_token(text + "(")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("example.com", "example.com", None),
        ("example.com.", "example.com.", None),
        ("my_pbx:5070", "my_pbx", 5070),
        ("192.0.2.1 : 5060", "192.0.2.1", 5060),
        ("[2001:db8::1]", "[2001:db8::1]", None),
        ("[2001:db8::1]:5061", "[2001:db8::1]", 5061),
        ("[::ffff:192.0.2.1]", "[::ffff:192.0.2.1]", None),
    ],
)
def test_host_and_port(text: str, host: str, port: int | None) -> None:
    assert grammar.parse_host_port(text, "Via") == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":5060",
        "a..b",
        "-a",
        "2001:db8::1",
        "a:",
        "a:x",
        "a:65536",
        "a b",
        "[::1",
        "a]",
        "a:1:2",
    ],
)
def test_what_is_no_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        grammar.parse_host_port(text, "Via")


def test_number_up_to_its_limit() -> None:
    assert grammar.parse_decimal("0068", "Max-Forwards", 255) == 68
    for text in ("", "-1", "256", "1e2", "٣", "9" * 21):
        with pytest.raises(ProtocolError, match="Max-Forwards"):
            grammar.parse_decimal(text, "Max-Forwards", 255)


def test_white_space_collapses() -> None:
    assert grammar.collapse("  a \t\r\n  b ") == "a b"


def test_list_is_split_outside_of_quotes_and_brackets() -> None:
    text = '"a, \\" b" <sip:a,b@c>,d;x="1,2", <sip:e"@f>'
    assert [each.strip() for each in grammar.split_outside(text, ",")] == [
        '"a, \\" b" <sip:a,b@c>',
        'd;x="1,2"',
        '<sip:e"@f>',
    ]
    assert list(grammar.split_outside("a<b;c", ";", brackets=False)) == ["a<b", "c"]


@pytest.mark.parametrize("text", ['"a', '"a\\"', "<sip:a", "a, <b,c"])
def test_unclosed_quote_or_bracket_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="closing"):
        list(grammar.split_outside(text, ","))


@given(st.text())
def test_quoted_text_comes_back(text: str) -> None:
    quoted = grammar.quote(text)
    clean = "".join(" " if each < " " or each == "\x7f" else each for each in text)
    assert grammar.unquote(quoted) == clean


def test_unquoted_text_is_left_alone() -> None:
    assert [grammar.unquote(each) for each in ("", '"', "a", '"a"b"')] == ["", '"', "a", '"a"b"']


def test_parameters_come_in_order() -> None:
    params = grammar.parse_params(' ; Tag = 1 ;lr; q="a;b" ;maddr=[::1]', "To")

    assert params == (("tag", "1"), ("lr", None), ("q", '"a;b"'), ("maddr", "[::1]"))
    assert grammar.format_params(params) == ';tag=1;lr;q="a;b";maddr=[::1]'
    assert [grammar.param(params, each) for each in ("tag", "lr", "x")] == ["1", "", None]
    assert grammar.parse_params(" ", "To") == ()


def test_parameter_is_set_in_its_place_or_at_the_end() -> None:
    params = (("rport", None), ("branch", "b"))
    assert grammar.with_param(params, "rport", "1") == (("rport", "1"), ("branch", "b"))
    assert grammar.with_param(params, "tag", "t") == (*params, ("tag", "t"))


@pytest.mark.parametrize(
    "text", ["x;a", ";", ";a;;b", ";a=", ";a=1;A=2", ";a=b c", ';a="b', ";a=<b>", ";=1"]
)
def test_malformed_parameters_are_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        grammar.parse_params(text, "To")


def test_parameters_have_a_limit() -> None:
    text = "".join(f";p{number}" for number in range(grammar.MAX_PARAMS))
    assert len(grammar.parse_params(text, "To")) == grammar.MAX_PARAMS
    with pytest.raises(ProtocolError, match="at most"):
        grammar.parse_params(text + ";one-more", "To")
