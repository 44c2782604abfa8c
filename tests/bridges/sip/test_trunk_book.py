"""Who may call in, by which trunk."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from bridges.sip.trunk_book import Admitted, Challenged, Denied, TrunkBook
from contracts.trunk import Trunk

INVITE = b"INVITE sip:1@h SIP/2.0\r\nTo: <sip:1@h>\r\nFrom: <sip:2@h>;tag=x\r\n\r\n"
BYE = b"BYE sip:1@h SIP/2.0\r\nFrom: <sip:2@h>;tag=x\r\nTo: <sip:1@h>;tag=y\r\n\r\n"
RESPONSE = b"SIP/2.0 200 OK\r\n\r\n"


def trunk(trunk_id: str, **fields: Any) -> Trunk:
    return Trunk.model_validate({"name": trunk_id, "trunk_id": trunk_id} | fields)


CARRIER = trunk("carrier", inbound_addresses=["192.0.2.0/24"])
NODE = trunk("node", inbound_addresses=["192.0.2.7"])
SECOND = trunk("second", inbound_addresses=["192.0.2.0/24"], numbers=["42"])
BOTH = trunk("both", inbound_addresses=["198.51.100.1"], inbound_username="u", inbound_password="p")
UNPROVABLE = trunk("unprovable", inbound_addresses=["198.51.100.2"], inbound_username="u")
ROAMING = trunk("roaming", inbound_username="r", inbound_password="p")
NOMAD = trunk("nomad", inbound_username="n", inbound_password="p")
IDLE = trunk("idle", inbound_addresses=["203.0.113.1"], is_active=False)
EXTENSION = trunk("extension", address="pbx", username="1001", register_expires_s=60)
LOOPBACK = [ip_network("127.0.0.0/8")]


@pytest.mark.parametrize(
    ("trunks", "host", "number", "username", "expected"),
    [
        ([], "127.0.0.1", "1", "", Admitted(None)),
        ([], "192.0.2.1", "1", "", Denied()),
        ([CARRIER], "192.0.2.1", "1", "", Admitted(CARRIER)),
        ([CARRIER], "::ffff:192.0.2.1", "1", "", Admitted(CARRIER)),
        ([CARRIER], "2001:db8::1", "1", "", Denied()),
        ([CARRIER, NODE], "192.0.2.7", "1", "", Admitted(NODE)),
        ([CARRIER, NODE, SECOND], "192.0.2.7", "42", "", Admitted(SECOND)),
        ([IDLE], "203.0.113.1", "1", "", Denied()),
        ([BOTH], "198.51.100.1", "1", "", Challenged(BOTH)),
        ([BOTH], "198.51.100.9", "1", "u", Denied()),
        ([UNPROVABLE], "198.51.100.2", "1", "u", Denied()),
        ([ROAMING, NOMAD], "203.0.113.9", "1", "", Challenged(ROAMING)),
        ([ROAMING, NOMAD], "203.0.113.9", "1", "n", Challenged(NOMAD)),
        ([ROAMING, NOMAD], "203.0.113.9", "1", "who", Challenged(ROAMING)),
        ([ROAMING], "127.0.0.1", "1", "", Admitted(None)),
        ([ROAMING], "127.0.0.1", "1", "r", Challenged(ROAMING)),
        ([ROAMING, CARRIER], "192.0.2.1", "1", "r", Admitted(CARRIER)),
        ([EXTENSION], "192.0.2.50", "1", "", Admitted(EXTENSION)),
        ([EXTENSION], "192.0.2.51", "1", "", Denied()),
    ],
)
def test_peer_is_judged_by_address_and_claim(
    trunks: list[Trunk], host: str, number: str, username: str, expected: object
) -> None:
    book = TrunkBook(LOOPBACK, trunks, {"extension": ["192.0.2.50"]})
    assert book.judge(host, number, username) == expected


@pytest.mark.parametrize(
    ("trunks", "host", "data", "is_let_in"),
    [
        ([], "127.0.0.1", INVITE, True),
        ([], "192.0.2.1", INVITE, False),
        ([], "192.0.2.1", b"", False),
        ([], "192.0.2.1", BYE, True),
        ([], "192.0.2.1", BYE.replace(b"To:", b"t :"), True),
        ([], "192.0.2.1", RESPONSE, True),
        ([CARRIER], "192.0.2.1", INVITE, True),
        ([BOTH], "192.0.2.1", INVITE, False),
        ([ROAMING], "192.0.2.1", INVITE, True),
    ],
)
def test_strangers_are_read_only_within_calls(
    trunks: list[Trunk], host: str, data: bytes, is_let_in: bool
) -> None:
    assert TrunkBook(LOOPBACK, trunks).lets_in(data, host) is is_let_in


def test_trunk_is_found_by_its_id_while_it_is_active() -> None:
    book = TrunkBook([], [CARRIER, IDLE])
    assert book.trunk("carrier") == CARRIER
    assert book.trunk("idle") is None
