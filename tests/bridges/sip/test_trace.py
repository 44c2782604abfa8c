"""What a log may show of a SIP message."""

from __future__ import annotations

import pytest

from bridges.sip.trace import MAX_CHARACTERS, first_line, masked

MESSAGE = (
    b"INVITE sip:1@h SIP/2.0\r\n"
    b'Authorization: Digest username="u", realm="r",\r\n response="dead"\r\n'
    b'proxy-authorization : Digest response="beef"\r\n'
    b"Subject: hello\r\n\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20\r\na=sendrecv\r\n"
)


def test_proofs_and_keys_are_masked_and_the_rest_is_not() -> None:
    shown = masked(MESSAGE)
    assert "dead" not in shown
    assert "beef" not in shown
    assert "c2VjcmV0" not in shown
    assert "Authorization: ***\r\nproxy-authorization: ***\r\nSubject: hello" in shown
    assert shown.endswith("inline:***\r\na=sendrecv\r\n")


def test_trace_is_cut() -> None:
    assert len(masked(b"x" * 100_000)) == MAX_CHARACTERS


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"INVITE sip:1@h SIP/2.0\r\n", "INVITE"),
        (b"SIP/2.0 486 Busy\r\n", "486"),
        (b"", "?"),
        (b"\r\n\r\n", "?"),
        (b"\xff\xfe", "?"),
        (b"A" * 200, "?"),
    ],
)
def test_kind_of_a_message_is_a_word_that_any_log_may_hold(data: bytes, expected: str) -> None:
    assert first_line(data) == expected
