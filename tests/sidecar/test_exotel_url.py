"""Stream URLs: whose bridge, whose bot, and never more than Exotel takes."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.denial import Code, Denied
from sidecar.exotel_url import MAX_QUERY_CHARS, Place, choose, custom_of, stream_url

HERE = Place("wss://voice.example.com")
A, B = Place("wss://a.example.com", "box1"), Place("wss://b.example.com", "box2")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("wss://voice.example.com", HERE),
        (" wss://voice.example.com/ ", HERE),
        ("box1=wss://a.example.com", A),
        ("ws://127.0.0.1:7870/edge", Place("ws://127.0.0.1:7870/edge")),
        ("wss://[2001:db8::1]:443", Place("wss://[2001:db8::1]:443")),
    ],
)
def test_place_is_read(text: str, place: Place) -> None:
    assert Place.parse(text) == place


@pytest.mark.parametrize(
    "text", ["", "voice.example.com", "https://a", "wss://", "wss://u:p@a", "=wss://a", "wss://a?b"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        Place.parse(text)


@pytest.mark.parametrize(
    ("scheme", "host", "url"),
    [
        ("https", "voice.example.com", "wss://voice.example.com"),
        ("http", "127.0.0.1:8000", "ws://127.0.0.1:8000"),
        ("https", "[::1]:8443", "wss://[::1]:8443"),
    ],
)
def test_place_of_a_request(scheme: str, host: str, url: str) -> None:
    assert Place.of_request(scheme, host).url == url


@pytest.mark.parametrize(
    ("scheme", "host"),
    [("https", ""), ("https", "a/b"), ("https", "u@a"), ("https", "a?b"), ("ftp", "a")],
)
def test_request_that_names_no_host_is_refused(scheme: str, host: str) -> None:
    with pytest.raises(Denied, match="STREAM_PUBLIC_URL"):
        Place.of_request(scheme, host)


@pytest.mark.parametrize(
    ("free", "chance", "chosen"),
    [
        ({"box1": 2, "box2": 5}, 0.0, B),
        ({"box1": 2}, 0.9, A),
        ({"box1": 3, "box2": 3}, 0.0, A),
        ({"box1": 3, "box2": 3}, 0.6, B),
        # Nobody is known to have a slot: whoever has not been told of may.
        ({"box1": 0}, 0.0, HERE),
        ({}, 0.9, HERE),
    ],
)
def test_stream_goes_where_most_is_free(free: dict[str, int], chance: float, chosen: Place) -> None:
    assert choose([A, B, HERE], free, lambda: chance) == chosen


def test_stream_goes_somewhere_even_if_all_that_is_known_is_full() -> None:
    assert choose([A, B], {"box1": 0, "box2": 0}, lambda: 0.99) == B


def test_query_says_what_is_handed_on() -> None:
    pairs = [("CallSid", "c1"), ("call.campaign", "spring & co"), ("token", "t"), ("call.lang", "")]
    assert custom_of(pairs) == {"campaign": "spring & co", "lang": ""}


@pytest.mark.parametrize(
    "pairs",
    [
        [("call.a", "1"), ("call.a", "2")],
        [("call.a", "1"), ("call.b", "2"), ("call.c", "3"), ("call.d", "4")],
        [("call.", "1")],
        [("call.sample-rate", "1")],
        [("call.token", "1")],
        [("call.Call_Sid", "1")],
        [("call." + "a" * 65, "1")],
        [("call.a b", "1")],
    ],
)
def test_what_cannot_be_handed_on_is_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(Denied) as caught:
        custom_of(pairs)
    assert caught.value.code is Code.BODY_INVALID


def test_url_has_all_a_stream_needs() -> None:
    url = stream_url(HERE, "desk", {"name": "Ann & Bo"}, rate_hz=16000, token="vt1.9.x")
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.path) == ("wss", "voice.example.com", "/exotel/desk")
    assert parse_qsl(parts.query) == [
        ("sample-rate", "16000"),
        ("token", "vt1.9.x"),
        ("name", "Ann & Bo"),
    ]
    assert stream_url(HERE, "desk", {}) == "wss://voice.example.com/exotel/desk"


def test_bots_name_stays_one_part_of_the_path() -> None:
    url = stream_url(HERE, "../a b/?x#y", {})
    assert url == "wss://voice.example.com/exotel/..%2Fa%20b%2F%3Fx%23y"


@pytest.mark.parametrize(
    ("bot_id", "custom"),
    [("desk", {"a": "x" * MAX_QUERY_CHARS}), ("desk", {"a": "ü" * 50}), ("ü" * 128, {})],
)
def test_url_that_exotel_would_not_take_is_refused(bot_id: str, custom: dict[str, str]) -> None:
    with pytest.raises(Denied, match="more than"):
        stream_url(HERE, bot_id, custom)


@given(st.text(min_size=1, max_size=40), st.dictionaries(st.just("a"), st.text(max_size=30)))
def test_whatever_is_handed_on_arrives(bot_id: str, custom: dict[str, str]) -> None:
    if any("\ud800" <= char <= "\udfff" for char in bot_id + "".join(custom.values())):
        return
    try:
        url = stream_url(HERE, bot_id, custom)
    except Denied:
        return
    parts = urlsplit(url)
    assert parts.path.count("/") == 2
    assert dict(parse_qsl(parts.query, keep_blank_values=True)) == custom
