"""What is refused before anybody looks what it wants."""

from __future__ import annotations

import pytest

from bridges.wire.sip.admission import Refusal, refusal_of
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.header import Headers
from bridges.wire.sip.message import Request
from bridges.wire.sip.profile import ACCEPT, ALLOW

SDP = (("Content-Type", "application/sdp"),)
Fields = tuple[tuple[str, str], ...]


def refusal(method: str, *fields: tuple[str, str], body: bytes = b"x") -> Refusal | None:
    return refusal_of(Request(method, "sip:a@b", Headers(fields), body))


@pytest.mark.parametrize("method", ["REGISTER", "MESSAGE", "PUBLISH", "PRACK"])
def test_known_methods_we_do_not_do_are_not_allowed(method: str) -> None:
    assert refusal(method) == Refusal(405, (("Allow", ALLOW),))


def test_unknown_methods_are_not_implemented() -> None:
    assert refusal("NEWMETHOD") == Refusal(501, (("Allow", ALLOW),))
    assert refusal("invite") == Refusal(501, (("Allow", ALLOW),))


def test_subscriptions_are_a_bad_event() -> None:
    assert refusal("SUBSCRIBE") == Refusal(489, (("Allow-Events", "refer"),))


def test_extensions_we_do_not_have_are_named() -> None:
    assert refusal("INVITE", ("Require", "timer, 100rel"), ("Require", "Foo"), *SDP) == Refusal(
        420, (("Unsupported", "100rel, Foo"),)
    )
    assert refusal("INVITE", ("Require", "Timer"), *SDP) is None
    # RFC 3261 section 8.2.2.3: a CANCEL must not be refused so.
    assert refusal("CANCEL", ("Require", "100rel")) is None


def test_what_is_no_extensions_name_is_not_echoed() -> None:
    with pytest.raises(ProtocolError, match="tokens"):
        refusal("INVITE", ("Require", "a\x07b"), *SDP)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (SDP, None),
        ((*SDP, ("Content-Encoding", "identity")), None),
        (
            (*SDP, ("Content-Encoding", "gzip")),
            Refusal(415, (("Accept-Encoding", "identity"),)),
        ),
        ((("Content-Type", "text/plain"),), Refusal(415, (("Accept", ACCEPT),))),
        ((), Refusal(415, (("Accept", ACCEPT),))),
        (
            (("Content-Type", "a/b"), ("Content-Disposition", "render; Handling=optional")),
            None,
        ),
        ((*SDP, ("Accept", "text/nobodyKnowsThis")), Refusal(406)),
        ((*SDP, ("Accept", "text/html, application/SDP;level=1")), None),
        ((*SDP, ("Accept", "*/*")), None),
    ],
)
def test_body_of_an_invite(fields: Fields, expected: Refusal | None) -> None:
    assert refusal("INVITE", *fields) == expected


def test_other_bodies_are_left_to_their_methods() -> None:
    assert refusal("INFO", ("Content-Type", "text/plain")) is None
    assert refusal("INVITE", body=b"") is None
