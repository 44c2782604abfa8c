"""Whether a bot answers at a given moment: active hours, pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from contracts.bot import ActiveHours
from contracts.zone import zone_of

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_open(hours: ActiveHours, at: datetime, timezone: str) -> bool:
    """Return whether `at` lies in the hours. A night shift belongs to the day it begins on."""
    if not hours.enabled:
        return True
    local = at.astimezone(zone_of(timezone))
    clock = local.time().replace(microsecond=0)
    today = _is_day(hours, local)
    if hours.start_time < hours.end_time:
        return today and hours.start_time <= clock <= hours.end_time
    if clock >= hours.start_time:
        return today
    return clock <= hours.end_time and _is_day(hours, local - timedelta(days=1))


def _is_day(hours: ActiveHours, local: datetime) -> bool:
    return any(day.startswith(_WEEKDAYS[local.weekday()]) for day in hours.days)
