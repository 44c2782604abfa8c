"""Tickets: for one bot, for a minute, from us alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ticket import LIFETIME, holds, issue
from tests.fakes.control_plane import START

UNTIL = START + LIFETIME
GOOD = issue("s3cret", "desk", UNTIL)


def test_ticket_lets_into_its_bot_until_it_expires() -> None:
    assert holds("s3cret", GOOD, "desk", START)
    assert holds("s3cret", GOOD, "desk", UNTIL)
    assert not holds("s3cret", GOOD, "desk", UNTIL + timedelta(seconds=1))


def test_ticket_is_for_one_bot_and_from_one_platform() -> None:
    assert not holds("s3cret", GOOD, "sales", START)
    assert not holds("other", GOOD, "desk", START)


def test_ticket_is_short_and_fit_for_a_url() -> None:
    assert len(GOOD) < 60
    assert GOOD.replace(".", "").replace("-", "").replace("_", "").isalnum()


def test_longer_life_is_not_had_by_writing_it_in() -> None:
    prefix, stamp, mac = GOOD.split(".")
    assert not holds("s3cret", f"{prefix}.{int(stamp) + 3600}.{mac}", "desk", START)


@pytest.mark.parametrize(
    "ticket",
    ["", "vt1", "vt1..", GOOD[:-1], f"{GOOD}=", f" {GOOD}", GOOD.replace("vt1", "vt2"), "é" * 40],
)
def test_what_is_no_ticket_is_none(ticket: str) -> None:
    assert not holds("s3cret", ticket, "desk", START)


@given(st.text(max_size=80))
def test_nothing_that_is_made_up_holds(ticket: str) -> None:
    assert ticket == GOOD or not holds("s3cret", ticket, "desk", START)
