"""Points in time that every part can store and calculate with: aware, in UTC, of this era."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""Nearer to the end of the calendar, adding a call's duration or changing the zone overflows."""


def _in_utc(at: datetime) -> datetime:
    if not EARLIEST <= at <= LATEST:
        raise ValueError(f"not between the years {EARLIEST.year} and {LATEST.year}")
    return at.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A pydantic field's type for a time that somebody else sent."""
