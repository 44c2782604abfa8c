"""`contracts.trunk`: how a trunk is written down, and what is refused at once."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from contracts.trunk import Trunk


def test_name_is_all_that_must_be_given() -> None:
    trunk = Trunk(name="Carrier")
    assert (trunk.kind, trunk.transport, trunk.codecs) == ("managed", "auto", ["PCMA", "PCMU"])
    assert Trunk.model_validate_json(trunk.model_dump_json()) == trunk


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"kind": "magic"},
        {"cps": 0},
        {"channels": 501},
        {"inbound_addresses": ["carrier.example"]},
        {"codecs": []},
        {"register_expires_s": 60},
        {"register_expires_s": 60, "address": "pbx.example"},
        {"headers": {"X-A": "b\r\nX-C: d"}},
        {"headers": {"": "b"}},
        {"headers": {"X-\u00e4": "b"}},
        {"headers": {"X A": "b"}},
        {"headers": {"Content-Length": "0"}},
        {"headers": {"v": "SIP/2.0/UDP 192.0.2.1"}},
        {"passwort": "secret"},
    ],
    ids=str,
)
def test_what_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Trunk.model_validate({"name": "Carrier", **wrong})


def test_extension_registers_with_a_name_at_an_address() -> None:
    trunk = Trunk(name="PBX", address="10.0.0.9", username="701", register_expires_s=300)
    assert trunk.register_expires_s == 300


def test_addresses_and_headers_stay_as_they_were_written() -> None:
    given = {"inbound_addresses": ["198.51.100.0/24", "::1"], "headers": {"X-A": "b", "X-C": "d"}}
    shown = Trunk.model_validate({"name": "Carrier", **given}).model_dump(mode="json")
    assert given.items() <= shown.items()
