"""`contracts.command`: what an agent may ask of its bridge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.command import HangUp, Transfer, parse_command, serialize_command


def test_hang_up_has_this_json() -> None:
    data = serialize_command(HangUp())
    assert data == b'{"type":"hang_up","message":"Call ended by bot"}'
    assert parse_command(data) == HangUp()


def test_transfer_has_this_json() -> None:
    command = Transfer(to="+911234567890", target="billing", reason="asked")
    data = serialize_command(command)
    assert data == (b'{"type":"transfer","to":"+911234567890","target":"billing","reason":"asked"}')
    assert parse_command(data) == command


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b'{"type":"dance"}', b'{"type":"transfer"}', b"\xff"]
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValidationError):
        parse_command(data)


@given(st.text(), st.text(), st.text())
def test_transfer_round_trips(to: str, target: str, reason: str) -> None:
    command = Transfer(to=to, target=target, reason=reason)
    assert parse_command(serialize_command(command)) == command


@given(st.binary(max_size=80))
def test_any_bytes_raise_only_value_error(data: bytes) -> None:
    try:
        parse_command(data)
    except ValueError:
        return
