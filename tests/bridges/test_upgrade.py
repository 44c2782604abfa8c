"""What an upgrade request says, and which parts of it are believed."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from websockets.datastructures import Headers

from bridges.upgrade import MAX_BOT_ID_CHARS, Upgrade, parse_upgrade
from contracts.ids import Channel

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def parsed(path: str, headers: Headers | None = None, socket_ip: str = "192.0.2.1") -> Upgrade:
    upgrade = parse_upgrade(path, headers or Headers(), socket_ip, PROXIES)
    assert upgrade is not None
    return upgrade


@pytest.mark.parametrize(
    ("path", "bot_id"),
    [("/ws/desk", "desk"), ("/ws/desk?x=1", "desk"), ("/ws/caf%C3%A9", "café")],
)
def test_bot_is_named_by_the_path(path: str, bot_id: str) -> None:
    assert parsed(path).bot_id == bot_id


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ws",
        "/ws/",
        "/ws/a/b",
        "/exotel/",
        "/phone/desk",
        "/ws/" + "x" * (MAX_BOT_ID_CHARS + 1),
    ],
)
def test_other_paths_are_no_streams(path: str) -> None:
    assert parse_upgrade(path, Headers(), "192.0.2.1", PROXIES) is None


@pytest.mark.parametrize(
    ("path", "header", "value", "token"),
    [
        ("/ws/desk", "", "", ""),
        ("/ws/desk?token=t0", "", "", "t0"),
        ("/ws/desk", "X-Stream-Token", " t1 ", "t1"),
        ("/ws/desk", "Authorization", "Bearer t2", "t2"),
        ("/ws/desk", "Authorization", "basic dXNlcjpwYXNzOndvcmQ=", "pass:word"),
        ("/ws/desk", "Authorization", "Basic dXNlcg==", ""),
        ("/ws/desk", "Authorization", "Basic %%%", ""),
        ("/ws/desk", "Authorization", "Basic //8=", ""),
        ("/ws/desk", "Authorization", "Digest abc", ""),
        ("/ws/desk?token=t0", "Authorization", "Bearer t2", "t0"),
    ],
)
def test_token_comes_from_where_diallers_can_put_it(
    path: str, header: str, value: str, token: str
) -> None:
    headers = Headers({header: value}) if header else Headers()

    assert parsed(path, headers).token == token


def test_door_is_named_by_the_path() -> None:
    assert parsed("/ws/desk").channel is Channel.WEBSOCKET
    assert parsed("/exotel/desk").channel is Channel.EXOTEL
    assert parsed("/exotel/desk").bot_id == "desk"


@pytest.mark.parametrize(
    ("query", "rate"),
    [
        ("", ""),
        ("?sample-rate=16000", "16000"),
        ("?sample_rate=24000", "24000"),
        ("?sample-rate=8000&sample_rate=16000", "8000"),
        ("?sample-rate=" + "1" * 17, ""),
    ],
)
def test_rate_may_be_asked_for_by_the_url(query: str, rate: str) -> None:
    assert parsed(f"/exotel/desk{query}").url_rate == rate


def test_token_is_not_shown() -> None:
    assert "t0" not in repr(parsed("/ws/desk?token=t0"))


@pytest.mark.parametrize(
    ("socket_ip", "forwarded", "peer_ip"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),  # not from a proxy of ours
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "junk", "junk"),
        ("fd00::1", "2001:db8::9", "2001:db8::9"),
    ],
)
def test_forwarded_address_is_believed_from_our_proxies_only(
    socket_ip: str, forwarded: str, peer_ip: str
) -> None:
    headers = Headers({"X-Forwarded-For": forwarded}) if forwarded else Headers()

    assert parsed("/ws/desk", headers, socket_ip).peer_ip == peer_ip


def test_address_that_cannot_be_read_is_no_stream() -> None:
    assert parse_upgrade("//[", Headers(), "192.0.2.1", PROXIES) is None
