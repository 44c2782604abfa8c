"""Names that are time zones, and names that are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from contracts.zone import zone_of


def test_known_zone_is_found() -> None:
    assert zone_of("Asia/Kolkata").utcoffset(datetime(2026, 1, 1)) == timedelta(hours=5.5)  # noqa: DTZ001


@pytest.mark.parametrize("name", ["", "Nowhere/Atlantis", "../../etc/passwd", "a" * 5000, "\0"])
def test_anything_else_is_utc(name: str) -> None:
    assert zone_of(name) is UTC
