"""What an order to dial becomes on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from bridges.sip.ipc import Dial
from bridges.sip.outbound import (
    Undiallable,
    address_of_record,
    destination_of,
    invitation,
    referral,
)
from bridges.wire.sip.digest import Credentials
from bridges.wire.sip.flow import Destination, Transport
from contracts.trunk import Trunk


def trunk(**changes: Any) -> Trunk:
    return Trunk.model_validate({"name": "t", "address": "pbx.example"} | changes)


def order(to: str = "+919876543210", /, **changes: Any) -> Dial:
    return Dial(
        leg="l",
        to_number=to,
        from_number=changes.pop("from_number", "+914422220000"),
        trunk=trunk(**changes),
        sdp="v=0",
        ringing_timeout_s=45,
        headers={"X-Campaign": "1", "Via": "SIP/2.0/UDP evil"},
    )


@pytest.mark.parametrize(
    ("address", "transport", "expected"),
    [
        ("pbx.example", "auto", Destination(Transport.UDP, "pbx.example", 5060)),
        ("pbx.example:5070", "auto", Destination(Transport.UDP, "pbx.example", 5070)),
        ("pbx.example:5061", "auto", Destination(Transport.TLS, "pbx.example", 5061)),
        ("pbx.example:5061", "tcp", Destination(Transport.TCP, "pbx.example", 5061)),
        ("pbx.example", "tls", Destination(Transport.TLS, "pbx.example", 5061)),
        ("pbx.example;transport=TCP", "auto", Destination(Transport.TCP, "pbx.example", 5060)),
        ("sip:pbx.example;transport=tcp", "udp", Destination(Transport.UDP, "pbx.example", 5060)),
        ("sips:pbx.example", "auto", Destination(Transport.TLS, "pbx.example", 5061)),
        ("[2001:db8::1]:5080", "auto", Destination(Transport.UDP, "2001:db8::1", 5080)),
        (" 192.0.2.7 ", "auto", Destination(Transport.UDP, "192.0.2.7", 5060)),
    ],
)
def test_address_names_host_port_and_transport(
    address: str, transport: str, expected: Destination
) -> None:
    assert destination_of(trunk(address=address, transport=transport)) == expected


@pytest.mark.parametrize("address", ["", "  ", "not a host", "pbx.example;transport=sctp", "a b:1"])
def test_address_that_is_none_cannot_be_dialled(address: str) -> None:
    with pytest.raises(Undiallable):
        destination_of(trunk(address=address))


def test_number_is_the_user_of_a_phone_uri() -> None:
    invite = invitation(order(), "us.example")
    assert invite.to.serialize() == "sip:+919876543210@pbx.example;user=phone"
    assert invite.caller.serialize() == "sip:+914422220000@us.example;user=phone"
    assert invite.credentials is None


def test_what_is_no_number_is_a_plain_user() -> None:
    invite = invitation(order("front desk", from_number=""), "us.example")
    assert invite.to.serialize() == "sip:front%20desk@pbx.example"
    assert invite.caller.serialize() == "sip:anonymous@us.example"


def test_trunk_names_domain_port_and_credentials() -> None:
    dial = order(domain="d.example", address="pbx.example:5070", username="u", password="p")
    invite = invitation(dial, "us.example")
    assert invite.to.serialize() == "sip:+919876543210@pbx.example:5070;user=phone"
    assert invite.caller.host == "d.example"
    assert invite.credentials == Credentials("u", "p")
    assert "p" not in repr(invite.credentials).replace("password", "")


def test_addresses_of_ipv6_are_in_brackets() -> None:
    invite = invitation(order(address="[2001:db8::1]:5070"), "2001:db8::2")
    assert invite.to.serialize() == "sip:+919876543210@[2001:db8::1]:5070;user=phone"
    assert invite.caller.serialize() == "sip:+914422220000@[2001:db8::2];user=phone"


def test_headers_are_the_trunks_and_the_orders_but_never_the_protocols() -> None:
    # No trunk is saved with the latter two, but one may have been before that was looked at.
    headers = {"X-Trunk": "2", "X-Campaign": "0", "cOnTaCt": "x", "f": "y"}
    dial = order()
    dial = dial.model_copy(update={"trunk": dial.trunk.model_copy(update={"headers": headers})})
    assert invitation(dial, "h").headers == (("X-Trunk", "2"), ("X-Campaign", "1"))


def test_header_that_would_begin_another_is_left_out() -> None:
    dial = order().model_copy(
        update={"headers": {"X-A": "1\r\nVia: evil", "X-B": "2", "X C": "3", "": "4"}}
    )
    assert invitation(dial, "h").headers == (("X-B", "2"),)


@pytest.mark.parametrize("domain", ["a b", "a>;tag=x", "a\r\nVia: evil", "a,b", "a@b"])
def test_domain_that_is_none_cannot_be_dialled_from(domain: str) -> None:
    with pytest.raises(Undiallable):
        invitation(order(domain=domain), "h")
    with pytest.raises(Undiallable):
        address_of_record(trunk(username="1001", domain=domain))


def test_nobody_to_call_cannot_be_dialled() -> None:
    with pytest.raises(Undiallable):
        invitation(order(""), "h")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("sip:desk@pbx.example;transport=tcp", "sip:desk@pbx.example;transport=tcp"),
        ("tel:+91-44-2222", "tel:+91-44-2222"),
        ("SIPS:a@b.example", "sips:a@b.example"),
        ("+914422220000", "sip:+914422220000@far.example;user=phone"),
        (" 1001 ", "sip:1001@far.example;user=phone"),
    ],
)
def test_transfer_goes_to_a_uri_or_to_a_number_at_the_far_end(target: str, expected: str) -> None:
    assert referral(target, "far.example").serialize() == expected


@pytest.mark.parametrize("target", ["", "sip:", "sip:a b", "tel:desk office"])
def test_transfer_to_nothing_is_refused(target: str) -> None:
    with pytest.raises(Undiallable):
        referral(target, "far.example")


def test_extension_registers_at_its_domain_or_its_pbx() -> None:
    extension = trunk(username="10 01")
    assert address_of_record(extension).serialize() == "sip:10%2001@pbx.example"
    named = trunk(username="1001", domain="office.example")
    assert address_of_record(named).serialize() == "sip:1001@office.example"
