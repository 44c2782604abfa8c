"""Digest: RFC 7616's own example, both ends against each other, and every way to get it wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.wire.sip.digest import (
    MAX_PARAMS,
    MAX_REALMS,
    NONCE_LIFETIME_S,
    Credentials,
    Prover,
    Verdict,
    Verifier,
    claimed_username,
    parse_params,
    proof,
)
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.header import Headers
from bridges.wire.sip.message import Request, Response
from tests.fakes.sip_wire import randomness

ALICE = Credentials("alice", "secret")
URI = "sip:+911234@192.0.2.1"
HOST = "192.0.2.9"
RFC_7616 = {
    "realm": "http-auth@example.org",
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "uri": "/dir/index.html",
    "qop": "auth",
    "nc": "00000001",
    "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
}
MUFASA = Credentials("Mufasa", "Circle of Life")


def challenged(*values: str, status: int = 401) -> Response:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    return Response(status, "", Headers((name, value) for value in values))


def a_prover(*values: str) -> Prover:
    prover = Prover(ALICE, randomness(1))
    assert prover.take(challenged(*values))
    return prover


def asked(verifier: Verifier, now: float = 0.0) -> list[str]:
    return [value for _, value in verifier.challenge("pbx", HOST, now, is_stale=False)]


def an_invite(fields: tuple[tuple[str, str], ...], uri: str = URI) -> Request:
    return Request("INVITE", uri, Headers(fields))


def verdict(
    fields: tuple[tuple[str, str], ...], verifier: Verifier, now: float = 1.0, uri: str = URI
) -> Verdict:
    return verifier.check(an_invite(fields, uri), "pbx", ALICE, HOST, now)


def test_published_examples() -> None:
    assert (
        proof("SHA-256", MUFASA, "GET", RFC_7616)
        == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    )
    assert proof("MD5", MUFASA, "GET", RFC_7616) == "8ca523f5e9506fed4657c9700eebdbec"


def test_password_is_not_shown() -> None:
    assert "secret" not in repr(ALICE)


def test_both_ends_agree_and_prefer_the_better_algorithm() -> None:
    verifier = Verifier(b"key")
    fields = a_prover(*asked(verifier)).headers("INVITE", URI)

    assert verdict(fields, verifier) is Verdict.PROVEN
    assert "algorithm=SHA-256" in fields[0][1]
    assert claimed_username(an_invite(fields)) == "alice"


def test_md5_alone_is_answered_too() -> None:
    verifier = Verifier(b"key")
    md5 = [value for value in asked(verifier) if "MD5" in value]
    assert verdict(a_prover(*md5).headers("INVITE", URI), verifier) is Verdict.PROVEN


def test_algorithms_that_are_not_offered_prove_nothing() -> None:
    old, both = Verifier(b"key", ("MD5",)), Verifier(b"key")
    assert len(asked(old)) == 1
    assert verdict(a_prover(*asked(old)).headers("INVITE", URI), old) is Verdict.PROVEN
    assert verdict(a_prover(*asked(both)).headers("INVITE", URI), old) is Verdict.WRONG


def test_challenge_without_qop_or_algorithm_is_rfc_2069s() -> None:
    verifier = Verifier(b"key")
    nonce = parse_params(asked(verifier)[0])["nonce"]
    prover = a_prover(f'Digest realm="pbx", nonce="{nonce}", opaque="o\\"p"')

    ((name, value),) = prover.headers("INVITE", URI)

    assert name == "Authorization"
    assert "qop" not in value
    assert 'opaque="o\\"p"' in value
    assert verdict(((name, value),), verifier) is Verdict.PROVEN


def test_proxys_challenge_is_answered_as_such_and_each_use_counted() -> None:
    prover = Prover(ALICE, randomness(1))
    assert prover.take(challenged('Digest realm="p", nonce="n", qop="auth,auth-int"', status=407))

    first = dict(prover.headers("INVITE", URI))["Proxy-Authorization"]
    second = dict(prover.headers("BYE", URI))["Proxy-Authorization"]

    assert "nc=00000001" in first
    assert "nc=00000002" in second
    assert parse_params(first)["qop"] == "auth"


@pytest.mark.parametrize(
    "value",
    [
        "Basic realm=a",
        'Digest realm="a"',
        'Digest realm="a", nonce="n", algorithm=SHA-512-256',
        'Digest realm="a", nonce="n", qop="auth-int"',
        "Digest realm",
    ],
)
def test_challenges_we_cannot_answer_are_no_reason_to_try_again(value: str) -> None:
    assert not Prover(ALICE, randomness(1)).take(challenged(value))


def test_challenges_of_many_realms_do_not_fill_a_request() -> None:
    values = [f'Digest realm="{number}", nonce="n"' for number in range(MAX_REALMS + 1)]
    prover = a_prover(*values)
    assert len(prover.headers("INVITE", URI)) == MAX_REALMS
    assert not prover.take(challenged(*values))


def test_refused_proof_is_tried_again_only_where_the_nonce_grew_stale() -> None:
    prover = a_prover('Digest realm="a", nonce="1"')

    assert not prover.take(challenged('Digest realm="a", nonce="1", stale=true'))
    assert not prover.take(challenged('Digest realm="a", nonce="2"'))
    assert prover.take(challenged('Digest realm="a", nonce="3", stale=TRUE'))
    assert 'nonce="3"' in prover.headers("INVITE", URI)[0][1]


def test_missing_and_foreign_proofs() -> None:
    verifier = Verifier(b"key")
    other = a_prover('Digest realm="other", nonce="1"').headers("INVITE", URI)

    assert verdict((), verifier) is Verdict.MISSING
    assert verdict(other, verifier) is Verdict.MISSING
    assert verdict((("Authorization", "Bearer x"),), verifier) is Verdict.MISSING
    assert claimed_username(an_invite((("Authorization", "Bearer x"),))) == ""


def test_proof_is_of_one_method_and_one_callee() -> None:
    verifier = Verifier(b"key")
    prover = a_prover(*asked(verifier))

    assert verdict(prover.headers("BYE", URI), verifier) is Verdict.WRONG
    fields = prover.headers("INVITE", URI)
    assert verdict(fields, verifier, uri="sip:+911234@other.host") is Verdict.PROVEN
    assert verdict(fields, verifier, uri="sip:+919999@192.0.2.1") is Verdict.WRONG
    assert verdict(prover.headers("INVITE", "no uri"), verifier) is Verdict.WRONG


def test_wrong_password_and_wrong_name() -> None:
    verifier = Verifier(b"key")
    for credentials in (Credentials("alice", "guess"), Credentials("bob", "secret")):
        prover = Prover(credentials, randomness(1))
        prover.take(challenged(*asked(verifier)))
        assert verdict(prover.headers("INVITE", URI), verifier) is Verdict.WRONG


def test_proof_of_an_old_or_foreign_nonce_is_stale() -> None:
    verifier = Verifier(b"key")
    fields = a_prover(*asked(verifier)).headers("INVITE", URI)

    assert verdict(fields, verifier, NONCE_LIFETIME_S) is Verdict.PROVEN
    assert verdict(fields, verifier, NONCE_LIFETIME_S + 1) is Verdict.STALE
    assert verdict(fields, Verifier(b"restarted")) is Verdict.STALE
    assert verifier.check(an_invite(fields), "pbx", ALICE, "192.0.2.77", 1.0) is Verdict.STALE
    stale = verifier.challenge("pbx", HOST, 0.0, is_stale=True)
    assert all("stale=true" in value for _, value in stale)


@pytest.mark.parametrize(
    "change",
    [("algorithm=SHA-256", "algorithm=SHA-1"), ("qop=auth", "qop=auth-int"), ("nc=", "xx=")],
)
def test_proof_of_another_kind_is_wrong(change: tuple[str, str]) -> None:
    verifier = Verifier(b"key")
    ((name, value),) = a_prover(*asked(verifier)).headers("INVITE", URI)
    assert verdict(((name, value.replace(*change)),), verifier) is Verdict.WRONG


def test_parameters_are_unquoted_and_single() -> None:
    assert parse_params('digest A="b, \\"c\\"" , d=e') == {"a": 'b, "c"', "d": "e"}
    for text in ("Digest a=1, A=2", "Digest a", 'Digest a="b', "Digest a=b c=d", "Basic x"):
        with pytest.raises(ProtocolError):
            parse_params(text)
    many = ", ".join(f"p{number}=1" for number in range(MAX_PARAMS + 1))
    with pytest.raises(ProtocolError):
        parse_params(f"Digest {many}")


@given(st.text())
def test_any_authorization_is_judged(text: str) -> None:
    value = "Digest " + text.replace("\r", "").replace("\n", "").replace("\0", "")
    assert verdict((("Authorization", value),), Verifier(b"key")) is not Verdict.PROVEN
