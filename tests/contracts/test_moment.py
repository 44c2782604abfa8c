"""Times from outside: in UTC, or refused before anything calculates with them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.moment import Moment

ADAPTER: TypeAdapter[datetime] = TypeAdapter(Moment)


def test_time_of_another_zone_becomes_utc() -> None:
    at = ADAPTER.validate_json('"2026-06-05T12:00:00+02:00"')
    assert (at, at.tzinfo) == (datetime(2026, 6, 5, 10, tzinfo=UTC), UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-06-05T12:00:00",
        "0001-01-01T00:00:00+14:00",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_time_nobody_can_calculate_with_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_json(f'"{text}"')
