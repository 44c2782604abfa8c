"""On what terms a call's media are."""

from __future__ import annotations

import pytest

from bridges.sip.terms import capabilities_of, signalled_from
from bridges.wire.media_plan import Codec, SrtpUse
from tests.fakes.sip_call import TRUNK, incoming, order


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.7:5080", "198.51.100.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:5080", "2001:db8::1"),
        ("carrier.example:5060", ""),
        ("", ""),
    ],
)
def test_media_may_come_from_where_the_trunk_is(address: str, host: str) -> None:
    trunk = TRUNK.model_copy(update={"address": address})
    assert signalled_from(order(trunk=trunk)) == host


def test_media_may_come_from_where_the_caller_signals() -> None:
    assert signalled_from(incoming(None)) == "127.0.0.9"


@pytest.mark.parametrize(
    ("said", "meant"),
    [("off", SrtpUse.NEVER), ("allowed", SrtpUse.OPTIONAL), ("required", SrtpUse.REQUIRED)],
)
def test_trunk_says_what_may_be_agreed(said: str, meant: SrtpUse) -> None:
    trunk = TRUNK.model_copy(update={"srtp": said, "codecs": ["PCMU"]})
    for call in (order(trunk=trunk), incoming(None, srtp=said, codecs=["PCMU"])):
        capabilities = capabilities_of(call)
        assert (capabilities.srtp, capabilities.codecs) == (meant, (Codec.PCMU,))


def test_caller_without_a_trunk_may_encrypt() -> None:
    assert capabilities_of(incoming(None)).srtp is SrtpUse.OPTIONAL
