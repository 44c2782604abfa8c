"""URIs: what they say, what they are written as, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.uri import MAX_URI_CHARACTERS, Uri, escape_user


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@example.com",
        "sips:alice:secret@example.com:5061",
        "sip:example.com",
        "sip:alice@[2001:db8::1]:5060;transport=tcp;lr",
        "sip:%75se%72@example.com",
        "sip:user;par=u%40example.net@example.com",
        "sip:a@b?Subject=x&Priority=urgent",
        "sip:alice:@example.com",
        "sip:@10.0.0.1",
        "sip:*31#123@pbx",
        "tel:+1-201-555-0123;phone-context=example.com",
    ],
)
def test_uri_is_written_as_it_was_read(text: str) -> None:
    assert Uri.parse(text).serialize() == text


def test_parts_of_a_uri() -> None:
    uri = Uri.parse("SIP:alice;x=1:pw@Example.com:5070;Transport=TCP;lr?a=b")

    assert (uri.scheme, uri.host, uri.port) == ("sip", "Example.com", 5070)
    assert (uri.user, uri.password, uri.headers) == ("alice;x=1", "pw", "a=b")
    assert [uri.param(each) for each in ("transport", "lr", "maddr")] == ["TCP", "", None]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sip:%2B91%2098@h", "+91 98"),
        ("sip:+9198;phone-context=x@h", "+9198"),
        ("tel:+1-(201).555", "+1201555"),
        ("sip:h", ""),
        ("sip:null-%00-null@h", "null-\ufffd-null"),
        ("sip:%FF@h", "\ufffd"),
    ],
)
def test_name_is_what_people_read(text: str, name: str) -> None:
    assert Uri.parse(text).name == name


def test_request_uri_carries_neither_headers_nor_method() -> None:
    uri = Uri.parse("sip:a@b;method=INVITE;lr?Route=%3Csip%3Aevil%3E")
    assert uri.without_headers().serialize() == "sip:a@b;lr"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 400),
        ("alice", 400),
        (":x", 400),
        ("<sip:a@b>", 400),
        ("http://example.com", 416),
        ("soap.beep://192.0.2.103:3002", 416),
        ("sip:", 400),
        ("sip:a b@c", 400),
        ("sip:a:b c@d", 400),
        ("sip:a@b c", 400),
        ("sip:a@ b", 400),
        ("sip:a@b;", 400),
        ("sip:a@b;x=", 400),
        ("sip:a@b; lr", 400),
        ("sip:a@b?", 400),
        ("sip:a@b?x y", 400),
        ("sip:a@b:99999", 400),
        ("tel:", 400),
        ("tel:abcz", 400),
        ("sip:a@b" + ";p" * 65, 400),
        ("sip:" + "a" * MAX_URI_CHARACTERS, 414),
    ],
)
def test_what_is_no_uri_is_refused(text: str, status: int) -> None:
    with pytest.raises(ProtocolError) as raised:
        Uri.parse(text)
    assert raised.value.status == status


@given(st.text(min_size=1))
def test_any_text_can_be_a_user(text: str) -> None:
    uri = Uri.parse(f"sip:{escape_user(text)}@example.com")
    if ";" not in text and text.isprintable():
        assert uri.name == text.encode("utf-8", "replace").decode()


@given(st.text())
def test_text_is_a_uri_or_refused(text: str) -> None:
    for prefix in ("", "sip:", "sip:a@", "tel:"):
        try:
            again = Uri.parse(prefix + text).serialize()
        except ProtocolError:
            continue
        assert Uri.parse(again).serialize() == again
