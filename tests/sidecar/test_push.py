"""What a CRM is told after a call: the guide's own mapper, word for word, and every namespace."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.bot import BotConfig, PostCallPush
from contracts.call import CallState
from contracts.outcome import Reason
from contracts.result import CallResult, ResultLine
from sidecar.announce import announcements
from sidecar.push import body_of, is_wanted, variables_of
from sidecar.store.calls import CallRow
from sidecar.store.deliveries import Delivery
from tests.fakes.control_plane import START

PAGE = Path(__file__).parents[2] / "docs" / "crm.md"
RECORDING = "https://voice.example/api/v1/public/recordings/t0k"


def example(name: str) -> dict[str, Any]:
    """Return the JSON block of docs/crm.md that has this key."""
    blocks = [
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.S)
    ]
    (found,) = [block[name] for block in blocks if name in block]
    assert isinstance(found, dict)
    return found


def row(**changes: Any) -> CallRow:
    given: dict[str, Any] = {
        "call_id": "c1",
        "tenant_id": "default",
        "idempotency_key": "k",
        "session_id": "s1",
        "bot_id": "desk",
        "channel": "websocket",
        "call_direction": "incoming",
        "room_name": "ws-c1",
        "planned_at": START,
        "expires_at": None,
        "state": CallState.ENDED,
        "answered_at": START + timedelta(seconds=2),
        "end_at": START + timedelta(seconds=44.5),
        "end_reason": Reason.CALLER_HUNG_UP,
        "variables": {
            "crm.customer_id": "CUST-42",
            "crm.address": '{"city": "Pune"}',
            "call.loan_number": "LN1",
            "call.duration": "what the dialler said",
            "system.current_date": "05 June 2026",
        },
        **changes,
    }
    return CallRow(**given)


def result(**changes: Any) -> CallResult:
    given: dict[str, Any] = {
        "session_id": "s1",
        "call_duration_seconds": 42.5,
        "disconnected_by": "customer",
        "recording_url": RECORDING,
        "transcript": [ResultLine(speaker="bot", text="Hello Asha.", timestamp=0.1)],
        "post_call_analysis": {
            "DISPOSITION": "PTP",
            "SUB_DISPOSITION": "PTP_TODAY",
            "CALLING_REMARKS": 'Will pay "today".',
            "amounts": [1, 2],
        },
        "qc_analysis": {"overall_score": 9},
        "was_transferred": True,
        "transfer_destination": "+15550177",
        **changes,
    }
    return CallResult(**given)


def announced(push: dict[str, Any] | None, revision: int = 0, **changes: Any) -> list[Delivery]:
    config = BotConfig.model_validate(
        {"timezone": "Asia/Kolkata", "post_call_push": push, **changes}
    )
    outcome = result(revision=revision)
    return announcements(row(), config.model_dump(mode="json"), outcome, f"c1-{revision}", START)


def test_guides_own_mapper_makes_exactly_this_body() -> None:
    push = example("post_call_push")
    assert push["token"].startswith("Bearer ")
    (delivery,) = announced(push)
    assert delivery.body == (
        '{"CUSTOMER_ID":"CUST-42",'
        '"DISPOSITION":"Connected",'
        '"REMARKS":"Will pay \\"today\\".",'
        '"CALL_DURATION":"42.5",'
        f'"RECORDING_URL":"{RECORDING}"}}'
    )
    assert (delivery.kind, delivery.method, delivery.url) == ("push", "POST", push["url"])
    assert delivery.delivery_id == "c1-0-push"


def test_no_secret_is_frozen_into_a_delivery() -> None:
    headers = {"X-Key": "header-of-the-crm"}
    push = {"url": "https://crm.example", "token": "Bearer of-the-crm", "headers": headers}
    for delivery in announced({**push, "key_mapper": {"a": "{{crm.customer_id}}"}}):
        assert "of-the-crm" not in repr(delivery)


def test_what_is_not_known_is_empty_in_the_guides_mapper() -> None:
    push = PostCallPush.model_validate(example("post_call_push"))
    silent = result(post_call_analysis=None, recording_url=None, disconnected_by="RNR")
    body = json.loads(body_of(push, row(variables={}), silent, "UTC"))
    assert body == {
        "CUSTOMER_ID": "",
        "DISPOSITION": "Unknown",
        "REMARKS": "",
        "CALL_DURATION": "42.5",
        "RECORDING_URL": "",
    }


def test_mapper_may_be_nested() -> None:
    mapper = {
        "lead": {"id": "{{crm.customer_id}}", "tags": ["bot", "{{analysis.DISPOSITION}}", 7]},
        "note": "{{current_date}}: {{result.remarks}} [{{nobody}}]",
        "flags": {"done": True, "next": None},
    }
    body = body_of(PostCallPush(key_mapper=mapper), row(), result(), "UTC")
    assert json.loads(body) == {
        "lead": {"id": "CUST-42", "tags": ["bot", "PTP", 7]},
        "note": '05 June 2026: Will pay "today". []',
        "flags": {"done": True, "next": None},
    }


def test_without_a_mapper_the_whole_result_goes() -> None:
    assert body_of(PostCallPush(), row(), result(), "UTC") == result().model_dump_json()


def test_every_namespace_is_there() -> None:
    variables = variables_of(row(), result(), "Asia/Kolkata")
    expected = {
        "call.duration": "42.5",
        "call.loan_number": "LN1",
        "call.recording_url": RECORDING,
        "crm.customer_id": "CUST-42",
        "result.call_id": "c1",
        "result.session_id": "s1",
        "result.recording_url": RECORDING,
        "result.call_duration_seconds": "42.5",
        "result.disconnected_by": "customer",
        "result.disposition": "Connected",
        "result.remarks": 'Will pay "today".',
        "result.call_start_time": "2026-06-05T15:30:00+05:30",
        "result.call_answer_time": "2026-06-05T15:30:02+05:30",
        "result.call_end_time": "2026-06-05T15:30:44+05:30",
        "result.was_transferred": "yes",
        "result.transfer_destination": "+15550177",
        "result.transfer_failed_reason": "",
        "analysis.DISPOSITION": "PTP",
        "analysis.amounts": "[1, 2]",
        "qc.overall_score": "9",
    }
    assert {name: variables.get(name) for name in expected} == expected
    assert json.loads(variables["result.transcript"])[0]["text"] == "Hello Asha."


def test_every_variable_of_the_page_exists() -> None:
    named = set(re.findall(r"`((?:result|call)\.[a-z_]+)`", PAGE.read_text()))
    started = {"call.caller_id", "call.did", "call.stream_id", "call.call_direction"}
    assert named - started <= set(variables_of(row(), result(), "UTC"))
    assert len(named) > 10


@pytest.mark.parametrize(
    ("disconnected_by", "word"),
    [
        ("customer", "Connected"),
        ("bot", "Connected"),
        ("timeout", "Connected"),
        ("error", "Failed"),
        ("voicemail", "Unknown"),
        ("no_answer", "Unknown"),
    ],
)
def test_coarse_disposition_is_the_familys(disconnected_by: str, word: str) -> None:
    variables = variables_of(row(), result(disconnected_by=disconnected_by), "UTC")
    assert variables["result.disposition"] == word


def test_call_that_was_never_answered_has_no_answer_time() -> None:
    variables = variables_of(row(answered_at=None), result(was_transferred=False), "Nowhere/None")
    assert variables["result.call_answer_time"] == ""
    assert variables["result.was_transferred"] == "no"
    assert variables["result.call_start_time"] == "2026-06-05T10:00:00+00:00"


@pytest.mark.parametrize(
    ("push", "event", "revision", "pushed"),
    [
        ({}, {}, 0, False),
        ({"url": "https://crm.example"}, {}, 0, True),
        ({"url": "https://crm.example"}, {}, 1, False),
        ({"url": "https://crm.example", "push_updates": True}, {}, 1, True),
        ({"url": "https://crm.example"}, {"_skip_post_push": True}, 0, False),
        ({"url": "https://crm.example"}, {"_skip_post_push": "false"}, 0, True),
    ],
)
def test_call_is_pushed_once_unless_updates_are_wanted(
    push: dict[str, Any], event: dict[str, Any], revision: int, pushed: bool
) -> None:
    wanted = PostCallPush.model_validate(push)
    assert is_wanted(wanted, row(connected_event=event), revision) is pushed


def test_webhook_and_push_are_deliveries_of_their_own() -> None:
    push = {"url": "https://crm.example/push", "method": "PUT"}
    webhook, pushed = announced(push, webhook_url="https://crm.example/hook")
    assert (webhook.kind, webhook.method, webhook.delivery_id) == (
        "webhook",
        "POST",
        "c1-0-webhook",
    )
    assert (pushed.kind, pushed.method, pushed.delivery_id) == ("push", "PUT", "c1-0-push")


def test_bot_that_names_no_place_announces_nothing() -> None:
    assert announced(None) == []
