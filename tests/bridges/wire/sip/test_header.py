"""Header fields: an ordered multi-map that hostile values cannot break out of."""

from __future__ import annotations

import pytest

from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.header import MAX_HEADERS, MAX_VALUES, Headers, readable


def test_names_are_one_whatever_case_and_form() -> None:
    headers = Headers([("v", "1"), ("VIA", "2"), ("Via", "3, 4")])

    assert headers.values("via") == ["1", "2", "3", "4"]
    assert headers.lines("V") == ["1", "2", "3, 4"]
    assert "vIa" in headers
    assert "To" not in headers
    assert list(headers) == [("Via", "1"), ("VIA", "2"), ("Via", "3, 4")]


def test_order_is_kept_and_a_set_field_goes_last() -> None:
    headers = Headers([("To", "a"), ("From", "b")])
    headers.set("to", "c")
    assert headers.serialize() == "From: b\r\nto: c\r\n"


def test_first_field_goes_before_what_a_peer_wrote() -> None:
    headers = Headers()
    headers.append_received("From", '"\0" <sip:a@b>')
    headers.put_first("Via", "x")
    assert [name for name, _ in headers] == ["Via", "From"]


def test_the_value_of_a_repeated_field_is_an_error() -> None:
    headers = Headers([("To", "a"), ("t", "b")])

    with pytest.raises(ProtocolError, match="To: expected one, got 2"):
        headers.get("To")
    with pytest.raises(ProtocolError, match="From: expected one, got none"):
        headers.require("From")
    assert headers.get("From") is None
    assert Headers([("From", "x")]).require("f") == "x"


def test_only_lists_are_split() -> None:
    headers = Headers([("Date", "Sat, 13 Nov"), ("Supported", "timer, , Replaces"), ("X-A", "1,2")])

    assert headers.values("Date") == ["Sat, 13 Nov"]
    assert headers.tokens("k") == ["timer", "replaces"]
    assert headers.values("X-A") == ["1,2"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-A", "a\r\nBye: b"), ("X-A", "a\nb"), ("X-A", "a\0"), ("X A", "a"), ("", "a")],
)
def test_value_that_would_end_its_line_is_rejected(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="stays on its line"):
        Headers().add(name, value)


def test_received_names_must_be_tokens_and_few() -> None:
    headers = Headers()
    with pytest.raises(ProtocolError, match="token"):
        headers.append_received("a b", "")
    for _ in range(MAX_HEADERS):
        headers.append_received("X-A", "\0")
    with pytest.raises(ProtocolError, match="at most"):
        headers.append_received("X-A", "")


def test_values_of_a_list_have_a_limit() -> None:
    with pytest.raises(ProtocolError, match="at most"):
        Headers([("Via", "a," * (MAX_VALUES + 1))]).values("Via")


def test_readable_text_holds_neither_controls_nor_broken_octets() -> None:
    text = b"J\xc3\xbcrgen \xff\x07".decode("utf-8", "surrogateescape")
    assert readable(text) == "Jürgen \ufffd "
    assert Headers([("X-A", "b")]).readable() == (("X-A", "b"),)
