"""SRTP against the vectors of RFC 3711, and against those who listen, forge and replay."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.wire.rtp import MAX_PACKET_BYTES, RtpPacket
from bridges.wire.sdp import Crypto
from bridges.wire.srtp import SUITES, SrtpDefect, SrtpReceiver, SrtpSender

# RFC 3711 appendix B.3: master key and salt, and the session keys derived from them.
MASTER = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6")
AUTH_KEY = bytes.fromhex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")
# libsrtp's reference packet under this key, computed with the RFC's session keys.
PLAIN = bytes.fromhex("800f1234decafbadcafebabe" + "ab" * 16)
CIPHER = bytes.fromhex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402")
TAG_BYTES = {"AES_CM_128_HMAC_SHA1_80": 10, "AES_CM_128_HMAC_SHA1_32": 4}


def crypto(suite: str = SUITES[0], key: bytes = MASTER) -> Crypto:
    return Crypto("1", suite, key)


def packet(sequence: int, ssrc: int = 7) -> bytes:
    return RtpPacket(8, sequence & 0xFFFF, sequence * 160, ssrc, b"\xd5" * 160).serialize()


@pytest.mark.parametrize("suite", SUITES)
def test_reference_packet(suite: str) -> None:
    protected = SrtpSender(crypto(suite)).protect(PLAIN)
    # Section 4.2: the tag is over the packet and the roll-over counter.
    tag = hmac.new(AUTH_KEY, CIPHER + bytes(4), hashlib.sha1).digest()[: TAG_BYTES[suite]]
    assert protected == CIPHER + tag
    assert SrtpReceiver(crypto(suite)).unprotect(protected) == PLAIN


def test_tag_of_libsrtps_own_reference() -> None:
    assert SrtpSender(crypto()).protect(PLAIN)[-10:] == bytes.fromhex("b78d6acc99ea179b8dbb")


@pytest.mark.parametrize("suite", SUITES)
def test_both_ends_follow_the_sequence_numbers_roll_over(suite: str) -> None:
    sender, receiver = SrtpSender(crypto(suite)), SrtpReceiver(crypto(suite))
    for sequence in range(65_000, 66_000):
        plain = packet(sequence)
        assert receiver.unprotect(sender.protect(plain)) == plain
    tag_bytes = TAG_BYTES[suite]
    protected = sender.protect(packet(66_000))
    # Section 4.2: the tag is over the packet and the roll-over counter, now 1.
    tag = hmac.new(AUTH_KEY, protected[:-tag_bytes] + (1).to_bytes(4, "big"), hashlib.sha1)
    assert protected[-tag_bytes:] == tag.digest()[:tag_bytes]


def test_packets_may_come_out_of_order_and_get_lost() -> None:
    sender, receiver = SrtpSender(crypto()), SrtpReceiver(crypto())
    protected = [sender.protect(packet(n)) for n in range(100)]
    for n in (0, 3, 1, 50, 2, 99, 60):
        assert receiver.unprotect(protected[n]) == packet(n)


def test_replays_are_refused() -> None:
    sender, receiver = SrtpSender(crypto()), SrtpReceiver(crypto())
    protected = [sender.protect(packet(n)) for n in range(300)]
    assert receiver.unprotect(protected[0]) == packet(0)
    assert receiver.unprotect(protected[0]) is SrtpDefect.REPLAYED
    for n in range(1, 300):
        assert receiver.unprotect(protected[n]) == packet(n)
    # Older than the window: whether it came before is not known any more.
    assert receiver.unprotect(protected[5]) is SrtpDefect.REPLAYED


@pytest.mark.parametrize(
    "data", [b"", b"\x80", PLAIN, CIPHER, bytes(40), bytes(MAX_PACKET_BYTES + 1)]
)
def test_what_is_not_authentic_is_refused(data: bytes) -> None:
    assert SrtpReceiver(crypto()).unprotect(data) is SrtpDefect.FORGED


def test_other_keys_packet_is_refused_and_changes_nothing() -> None:
    receiver = SrtpReceiver(crypto())
    stranger, sender = SrtpSender(crypto(key=bytes(30))), SrtpSender(crypto())
    for n in range(60_000, 60_010):
        assert receiver.unprotect(stranger.protect(packet(n))) is SrtpDefect.FORGED
    assert receiver.unprotect(sender.protect(packet(1))) == packet(1)


def test_several_sources_under_one_key() -> None:
    sender, receiver = SrtpSender(crypto()), SrtpReceiver(crypto())
    for n in range(5):
        for ssrc in (1, 2, 0xFFFFFFFF):
            plain = packet(n * 500, ssrc)
            assert receiver.unprotect(sender.protect(plain)) == plain


@given(st.integers(0, 181), st.integers(1, 255))
def test_any_changed_bit_is_noticed(at: int, mask: int) -> None:
    protected = bytearray(SrtpSender(crypto()).protect(packet(9)))
    protected[at] ^= mask
    assert SrtpReceiver(crypto()).unprotect(bytes(protected)) is SrtpDefect.FORGED


@given(st.binary(max_size=200))
def test_any_datagram_is_refused_or_read(data: bytes) -> None:
    assert isinstance(SrtpReceiver(crypto()).unprotect(data), SrtpDefect)
