"""What an endpoint says of itself is what it does."""

from __future__ import annotations

from bridges.wire.sip.flow import Transport
from bridges.wire.sip.profile import ALLOW, SUPPORTED, Profile


def test_host_is_written_as_header_fields_have_it() -> None:
    assert Profile("192.0.2.1").host_text == "192.0.2.1"
    assert Profile("2001:db8::1").host_text == "[2001:db8::1]"
    assert Profile("h").ports == {Transport.UDP: 5060}


def test_nothing_is_advertised_that_is_not_implemented() -> None:
    assert "PRACK" not in ALLOW
    assert SUPPORTED == "timer"
