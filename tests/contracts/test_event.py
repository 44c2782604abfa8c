"""`contracts.event`: the stream's envelope is CloudEvents 1.0 JSON."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from contracts.event import Event, EventType

GOLDEN = (
    '{"specversion":"1.0","id":"e-1","source":"/voicefleet","type":"voicefleet.call.state",'
    '"subject":"c-1","time":"2026-01-05T09:30:00Z","datacontenttype":"application/json",'
    '"sequence":7,"tenantid":"default","data":{"state":"talking"}}'
)


def make(**changes: object) -> Event:
    fields: dict[str, object] = {
        "id": "e-1",
        "type": EventType.CALL_STATE,
        "subject": "c-1",
        "time": datetime(2026, 1, 5, 9, 30, tzinfo=UTC),
        "sequence": 7,
        "data": {"state": "talking"},
    }
    return Event.model_validate(fields | changes)


def test_envelope_has_these_keys_in_this_order() -> None:
    assert make().model_dump_json() == GOLDEN


def test_envelope_round_trips() -> None:
    assert Event.model_validate_json(GOLDEN) == make()


def test_attribute_names_are_those_cloudevents_allows() -> None:
    assert all(name.isalnum() and name.islower() for name in Event.model_fields)


@pytest.mark.parametrize("event_type", EventType)
def test_type_carries_the_product_prefix(event_type: EventType) -> None:
    assert event_type.value.startswith("voicefleet.call.")


@pytest.mark.parametrize(
    "changes",
    [
        {"sequence": 0},
        {"time": datetime(2026, 1, 5, 9, 30)},  # noqa: DTZ001
        {"specversion": "0.3"},
        {"type": "voicefleet.call.unknown"},
    ],
)
def test_envelope_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        make(**changes)
