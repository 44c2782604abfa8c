"""What the SIP bridge can be told, and what makes no sense."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from pydantic import ValidationError

from bridges.sip.settings import SipSettings


def test_loopback_alone_may_call_unless_told_otherwise() -> None:
    settings = SipSettings()
    assert settings.sip_allowed_peers == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert settings.advertised_host == settings.domain == "127.0.0.1"


def test_environment_names_peers_by_address_and_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIP_ALLOWED_PEERS", "192.0.2.7, 10.1.2.3/8,")
    assert SipSettings().sip_allowed_peers == (
        ip_network("192.0.2.7/32"),
        ip_network("10.0.0.0/8"),
    )
    monkeypatch.setenv("SIP_ALLOWED_PEERS", "")
    assert SipSettings().sip_allowed_peers == ()


def test_digests_are_named_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SipSettings().sip_digest_algorithms == ("MD5",)
    monkeypatch.setenv("SIP_DIGEST_ALGORITHMS", "sha-256, MD5")
    assert SipSettings().sip_digest_algorithms == ("SHA-256", "MD5")


def test_domain_is_the_advertised_address_where_none_is_set() -> None:
    settings = SipSettings(sip_host="0.0.0.0", sip_advertised_address="203.0.113.1")
    assert (settings.advertised_host, settings.domain) == ("203.0.113.1", "203.0.113.1")
    assert SipSettings(sip_domain="us.example").domain == "us.example"


@pytest.mark.parametrize(
    "values",
    [
        {"sip_host": "0.0.0.0"},
        {"sip_host": "localhost"},
        {"sip_advertised_address": "sip.example"},
        {"rtp_port_start": 41000, "rtp_port_end": 41014},
        {"rtp_port_start": 41000, "rtp_port_end": 41100, "sip_media_processes": 8},
        {"sip_unknown_peers": "shout"},
        {"sip_allowed_peers": "everyone"},
        {"sip_digest_algorithms": ""},
        {"sip_digest_algorithms": "MD4"},
    ],
)
def test_what_cannot_work_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SipSettings(**values)


@pytest.mark.parametrize(("start", "end", "processes"), [(41000, 42000, 3), (41001, 41064, 4)])
def test_media_processes_share_out_the_ports(start: int, end: int, processes: int) -> None:
    settings = SipSettings(
        rtp_port_start=start,
        rtp_port_end=end,
        sip_media_processes=processes,
        sip_media_max_calls=7,
    )
    shares = [settings.media_ports(index) for index in range(processes)]
    taken = [port for first, last in shares for port in range(first, last + 1)]
    assert len(set(taken)) == len(taken)
    assert start <= min(taken) <= max(taken) <= end
    for first, last in shares:
        assert first % 2 == 0
        assert (last - first + 1) // 2 >= 7
