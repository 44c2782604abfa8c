"""The result: exact keys, exact words, every field filled."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.call import CallState
from contracts.outcome import Reason
from contracts.report import (
    MOMENTS,
    STAGES,
    AgentEnded,
    AgentJoined,
    ConversationStarted,
    DigitPressed,
    DigitsSent,
    Fact,
    IntentFound,
    LegAnswered,
    LegDialled,
    LegEnded,
    LegHeld,
    LegResumed,
    LegRinging,
    LegStarted,
    Noticed,
    ToolCalled,
    TranscriptLine,
    TransferFailed,
    TransferSent,
    TransferStarted,
    TurnMeasured,
    UsageCounted,
)
from sidecar.result import RecordingLink, build
from sidecar.store.calls import CallRow
from tests.fakes.control_plane import START


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def row(**changes: Any) -> CallRow:
    given: dict[str, Any] = {
        "call_id": "c1",
        "tenant_id": "default",
        "idempotency_key": "k1",
        "session_id": "s1",
        "bot_id": "desk",
        "channel": "websocket",
        "call_direction": "incoming",
        "room_name": "ws-c1",
        "planned_at": at(-2),
        "expires_at": None,
        "caller_id": "+15550100",
        "did": "+15550111",
        "stream_id": "stream-9",
        "connected_event": {"callerId": "+15550100"},
        "config": {"stt": {"provider": "deepgram", "api_key": "sk-secret"}},
        "state": CallState.ENDED,
        "answered_at": START,
        "end_at": at(61.5),
        "end_reason": Reason.CALLER_HUNG_UP,
        **changes,
    }
    return CallRow(**given)


FACTS: list[Fact] = [
    LegStarted(at=at(-1.5), stream_id="stream-9"),
    AgentJoined(at=at(-1), pipeline={"stt": "nova-3"}),
    LegAnswered(at=START),
    ConversationStarted(at=at(0.05)),
    TranscriptLine(at=at(1), speaker="bot", text="Hello."),
    TranscriptLine(at=at(3), speaker="customer", text="A table, please."),
    IntentFound(at=at(3.1), name="book", confidence=0.9, slots={"people": 2}),
    ToolCalled(
        at=at(4),
        name="find",
        arguments={"day": "Friday"},
        result=["19:00"],
        duration_ms=500,
        detail={"status": 200, "event": "spoofed"},
    ),
    TurnMeasured(at=at(5), turn=1, response_ms=400, stt_ms=100),
    TurnMeasured(at=at(9), turn=2, response_ms=600, stt_ms=200, detail={"cached": True}),
    TurnMeasured(at=at(10), turn=3),
    Noticed(at=at(12), name="service_error", detail={"service": "tts", "event": "spoofed"}),
    UsageCounted(at=at(13), usage={"prompt_tokens": 1}),
    UsageCounted(at=at(14), usage={"prompt_tokens": 9, "cache_read_input_tokens": 4}),
    TransferStarted(at=at(20), destination="100", target="sales", reason="wants to buy"),
    TransferSent(at=at(21)),
    AgentEnded(at=at(61), reason=Reason.TRANSFERRED),
    LegEnded(at=at(61.5), reason=Reason.TRANSFERRED, detail="closed"),
]


def test_saturated_result_is_exactly_this() -> None:
    link = RecordingLink("https://voice.example/r/tok", "s1.wav", "tok")
    assert build(row(), FACTS, link).model_dump(mode="json") == {
        "session_id": "s1",
        "stream_id": "stream-9",
        "caller_id": "+15550100",
        "from_number": "+15550100",
        "call_direction": "incoming",
        "call_duration_seconds": 61.5,
        "disconnected_by": "customer",
        "transcript": [
            {"speaker": "bot", "text": "Hello.", "timestamp": 1.0},
            {"speaker": "customer", "text": "A table, please.", "timestamp": 3.0},
        ],
        "events": [
            {"event": "agent_joined", "timestamp": 0.0},
            {"event": "answered", "timestamp": 0.0},
            {"event": "conversation_started", "timestamp": 0.05},
            {
                "event": "tool_call",
                "timestamp": 3.5,
                "name": "find",
                "arguments": {"day": "Friday"},
            },
            {
                "event": "custom_tool_result",
                "timestamp": 4.0,
                "name": "find",
                "result": ["19:00"],
                "error": None,
                "duration_ms": 500.0,
                "status": 200,
            },
            {"event": "service_error", "timestamp": 12.0, "service": "tts"},
            {
                "event": "transfer_started",
                "timestamp": 20.0,
                "destination": "100",
                "reason": "wants to buy",
            },
            {"event": "transfer_sent", "timestamp": 21.0},
            {"event": "agent_ended", "timestamp": 61.0, "reason": "transferred", "detail": ""},
            {"event": "leg_ended", "timestamp": 61.5, "reason": "transferred", "detail": "closed"},
        ],
        "intents": [{"name": "book", "confidence": 0.9, "slots": {"people": 2}, "timestamp": 3.1}],
        "recording_url": "https://voice.example/r/tok",
        "recording_key": "s1.wav",
        "recording_access_token": "tok",
        "post_call_analysis": None,
        "qc_analysis": None,
        "latency": {
            "turns": 3,
            "total_avg_response_ms": 500.0,
            "p50_response_ms": 400.0,
            "p95_response_ms": 600.0,
            "max_response_ms": 600.0,
            "avg_stt_ms": 150.0,
            "avg_endpointing_ms": None,
            "avg_tool_ms": None,
            "avg_llm_ttft_ms": None,
            "avg_clause_ms": None,
            "avg_tts_ttfb_ms": None,
            "avg_sending_ms": None,
            "avg_playback_ms": None,
            "avg_lead_in_ms": None,
        },
        "latency_samples": [
            _sample(1, 5.0, response_ms=400.0, stt_ms=100.0),
            _sample(2, 9.0, response_ms=600.0, stt_ms=200.0, cached=True),
            _sample(3, 10.0),
        ],
        "usage_metrics": {"prompt_tokens": 9, "cache_read_input_tokens": 4},
        "llm_cache_summary": {
            "cache_read_input_tokens": 4,
            "cache_creation_input_tokens": 0,
            "fresh_prompt_tokens": 0,
            "completion_tokens": 0,
            "enabled": True,
            "worked": True,
            "statuses": [],
        },
        "pipeline_config": {
            "stt": {"provider": "deepgram", "model": "", "language": "en"},
            "llm": {"provider": "rules", "model": "", "temperature": 0.7, "max_tokens": 256},
            "tts": {"provider": "offline", "model": "", "voice": "", "language": "en"},
            "vad": {"confidence": 0.5, "start_secs": 0.05, "stop_secs": 0.25},
            "turn": {
                "detector": "auto",
                "min_delay_s": 0.12,
                "max_delay_s": 1.2,
                "preemptive": False,
            },
            "agent": {"stt": "nova-3"},
        },
        "connected_event": {"callerId": "+15550100"},
        "was_transferred": True,
        "transfer_destination": "100",
        "transfer_target": "sales",
        "transfer_reason": "wants to buy",
        "transfer_method": "websocket_reverse_transfer",
        "transfer_at": 20.0,
        "transfer_failed_reason": None,
        "revision": 0,
        "supersedes": None,
    }


def _sample(turn: int, timestamp: float, **known: object) -> dict[str, object]:
    unknown = dict.fromkeys(("response_ms", *STAGES, *MOMENTS))
    return {"turn": turn, "timestamp": timestamp, **unknown, **known}


def test_call_never_answered_has_no_duration_and_no_link() -> None:
    result = build(row(answered_at=None, end_reason=Reason.OUTSIDE_HOURS), [], None)
    assert (result.call_duration_seconds, result.disconnected_by) == (0.0, "outside_hours")
    assert (result.recording_url, result.latency["total_avg_response_ms"]) == (None, None)


def test_outgoing_call_comes_from_our_number() -> None:
    assert build(row(call_direction="outgoing"), [], None).from_number == "+15550111"


def _gone(reason: Reason) -> LegEnded:
    return LegEnded(at=at(9), reason=reason)


STARTED = TransferStarted(at=at(1), destination="100")
SENT = TransferSent(at=at(2))
FAILED = TransferFailed(at=at(3), failed_reason="busy")


REFERRED = TransferStarted(at=at(1), destination="100", method="livekit_sip_refer")
PASSED = TransferStarted(at=at(1), destination="100", method="exotel_passthru")
TOO_SOON = "the caller hung up before the transfer came about"


@pytest.mark.parametrize(
    ("facts", "was_transferred", "failed_reason"),
    [
        ([], False, None),
        ([STARTED], False, None),
        ([STARTED, SENT], True, None),
        ([SENT, STARTED], True, None),
        ([STARTED, SENT, FAILED], False, "busy"),
        ([STARTED, FAILED, STARTED, SENT], True, None),
        ([FAILED], False, "busy"),
        ([REFERRED, SENT, _gone(Reason.TRANSFERRED)], True, None),
        ([REFERRED, SENT, _gone(Reason.CALLER_HUNG_UP)], False, TOO_SOON),
        ([STARTED, SENT, _gone(Reason.CALLER_HUNG_UP)], True, None),
        ([REFERRED, FAILED, _gone(Reason.CALLER_HUNG_UP)], False, "busy"),
        ([REFERRED, _gone(Reason.CALLER_HUNG_UP)], False, TOO_SOON),
        ([PASSED, _gone(Reason.CALLER_HUNG_UP)], False, TOO_SOON),
        ([PASSED, _gone(Reason.BRIDGE_LOST)], False, None),
        ([PASSED, SENT, _gone(Reason.TRANSFERRED)], True, None),
        ([PASSED, SENT, _gone(Reason.CALLER_HUNG_UP)], False, TOO_SOON),
        ([PASSED, SENT, _gone(Reason.TRANSFERRED), FAILED], False, "busy"),
    ],
)
def test_call_was_transferred_if_it_was_sent_and_did_not_fail_later(
    facts: list[Fact], was_transferred: bool, failed_reason: str | None
) -> None:
    result = build(row(), facts, None)
    assert (result.was_transferred, result.transfer_failed_reason) == (
        was_transferred,
        failed_reason,
    )


def test_what_happened_on_the_line_is_told() -> None:
    facts: list[Fact] = [
        LegDialled(at=at(-3)),
        LegRinging(at=at(-2)),
        LegAnswered(at=START),
        LegHeld(at=at(1)),
        LegResumed(at=at(2)),
        DigitPressed(at=at(3), digit="#"),
        DigitsSent(at=at(4), digits="12"),
        LegEnded(at=at(5), reason=Reason.BUSY, sip_status_code=486),
    ]
    assert build(row(), facts, None).model_dump(mode="json")["events"] == [
        {"event": "dialled", "timestamp": 0.0},
        {"event": "ringing", "timestamp": 0.0},
        {"event": "answered", "timestamp": 0.0},
        {"event": "call_hold", "timestamp": 1.0},
        {"event": "call_resume", "timestamp": 2.0},
        {"event": "dtmf", "timestamp": 3.0, "digit": "#"},
        {"event": "dtmf_sent", "timestamp": 4.0, "digits": "12"},
        {"event": "leg_ended", "timestamp": 5.0, "reason": "busy", "detail": ""},
    ]


def test_vendors_that_stood_in_are_listed() -> None:
    switched = {"kind": "llm", "from": "openai", "to": "google", "why": "silent", "after_ms": 2500}
    facts: list[Fact] = [
        Noticed(at=at(1), name="provider_switched", detail=switched),
        Noticed(at=at(2), name="resumed"),
    ]
    result = build(row(), facts, None)
    assert result.pipeline_config["switches"] == [switched]
    assert result.events[0] == {"event": "provider_switched", "timestamp": 1.0, **switched}


def test_call_that_we_placed_says_what_the_carrier_made_of_it() -> None:
    facts: list[Fact] = [LegEnded(at=at(5), reason=Reason.BUSY, sip_status_code=486)]
    placed = row(channel="dialout", call_direction="outgoing", answered_at=None)
    assert build(placed, facts, None).events == [
        {
            "event": "leg_ended",
            "timestamp": 7.0,
            "reason": "busy",
            "detail": "",
            "call_status": "busy",
            "sip_status_code": 486,
            "sip_status_text": "Busy Here",
        }
    ]
