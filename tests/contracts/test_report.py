"""`contracts.report`: every fact survives the wire as itself, and batches are bounded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest
from pydantic import ValidationError

from contracts import report
from contracts.outcome import Reason
from contracts.report import Fact, Heartbeat, Report, Source

AT = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
FACTS: list[Fact] = [
    report.LegStarted(at=AT, stream_id="st-1"),
    report.LegDialled(at=AT),
    report.LegRinging(at=AT),
    report.LegHeld(at=AT),
    report.LegResumed(at=AT),
    report.DigitPressed(at=AT, digit="5", duration_ms=120),
    report.DigitsSent(at=AT, digits="12#"),
    report.LegAnswered(at=AT),
    report.LegEnded(at=AT, reason=Reason.BUSY, detail="stop", sip_status_code=486, stats={"n": 3}),
    report.AgentJoined(at=AT, pipeline={"stt": "offline"}),
    report.ConversationStarted(at=AT),
    report.TranscriptLine(at=AT, speaker="bot", text="Hello.", interrupted=True),
    report.IntentFound(at=AT, name="book", confidence=0.5, slots={"day": "monday"}),
    report.ToolCalled(
        at=AT, name="book", arguments={"a": 1}, result=[1], error="no", duration_ms=2
    ),
    report.TurnMeasured(
        at=AT,
        turn=1,
        response_ms=1,
        detail={"x": 1},
        **dict.fromkeys(report.STAGES, 2.0),
        **dict.fromkeys(report.MOMENTS, 3.0),
    ),
    report.Noticed(at=AT, name="re_engaged", detail={"n": 1}),
    report.TransferStarted(at=AT, destination="+911", target="billing", reason="asked"),
    report.TransferSent(at=AT),
    report.TransferFailed(at=AT, failed_reason="declined"),
    report.UsageCounted(at=AT, usage={"characters": 9}),
    report.RecordingStored(at=AT, key="s-1.wav", duration_s=1.5, size_bytes=48_044),
    report.HandedOff(at=AT, queue="billing"),
    report.AgentEnded(at=AT, reason=Reason.BOT_ENDED, detail="goodbye"),
]
KINDS = get_args(get_args(Fact)[0])


def test_every_kind_of_fact_is_listed_here() -> None:
    assert [type(fact) for fact in FACTS] == list(KINDS)


def test_types_are_distinct_and_named_after_the_class() -> None:
    names = [fact.type for fact in FACTS]
    assert len(set(names)) == len(names)
    assert [name.replace("_", "") for name in names] == [kind.__name__.lower() for kind in KINDS]


def test_stages_and_moments_are_all_there_are() -> None:
    named = {"type", "at", "turn", "detail", "response_ms", *report.STAGES, *report.MOMENTS}
    assert set(report.TurnMeasured.model_fields) == named


def test_batch_round_trips_with_every_fact() -> None:
    batch = Report(source=Source.AGENT, incarnation=2, seq=5, facts=FACTS)
    again = Report.model_validate_json(batch.model_dump_json())
    assert again == batch
    assert [type(fact) for fact in again.facts] == list(KINDS)


@pytest.mark.parametrize(
    "changes",
    [
        {"facts": []},
        {"facts": [FACTS[1]] * 501},
        {"seq": 0},
        {"incarnation": 0},
        {"source": "caller"},
        {"facts": [{"type": "unheard_of", "at": "2026-01-05T09:30:00Z"}]},
        {"facts": [{"type": "leg_answered", "at": "2026-01-05T09:30:00"}]},
        {"facts": [{"type": "leg_ended", "at": "2026-01-05T09:30:00Z", "reason": "boredom"}]},
    ],
)
def test_batch_is_refused(changes: dict[str, object]) -> None:
    fields = {"source": "agent", "incarnation": 1, "seq": 1, "facts": [FACTS[1]]}
    with pytest.raises(ValidationError):
        Report.model_validate(fields | changes)


def test_facts_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        FACTS[0].at = AT  # type: ignore[misc]


def test_heartbeat_round_trips() -> None:
    beat = Heartbeat(
        kind="agent",
        id="w-1",
        host="h",
        pid=1,
        ready=True,
        calls=["c-1"],
        max_calls=8,
        started_at=AT,
        metrics={"load": 0.5},
    )
    assert Heartbeat.model_validate_json(beat.model_dump_json()) == beat


def test_heartbeat_cannot_offer_fewer_than_no_calls() -> None:
    with pytest.raises(ValidationError):
        Heartbeat(kind="bridge", id="b", host="h", pid=1, ready=True, max_calls=-1, started_at=AT)


def test_heartbeat_and_its_receipt_may_say_nothing_of_those_that_wait() -> None:
    """A worker and a sidecar need not be of one age."""
    beat = {"kind": "agent", "id": "w", "host": "h", "pid": 1, "ready": True, "max_calls": 1}
    assert Heartbeat.model_validate({**beat, "started_at": AT}).standbys == []
    receipt = report.HeartbeatReceipt.model_validate({})
    assert (receipt.calls, receipt.seats) == ({}, [])
