"""`contracts.result`: the delivered payload's exact keys, in their order."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from contracts.result import CallResult, ResultLine

KEYS = [
    "session_id",
    "stream_id",
    "caller_id",
    "from_number",
    "call_direction",
    "call_duration_seconds",
    "disconnected_by",
    "transcript",
    "events",
    "intents",
    "recording_url",
    "recording_key",
    "recording_access_token",
    "post_call_analysis",
    "qc_analysis",
    "latency",
    "latency_samples",
    "usage_metrics",
    "llm_cache_summary",
    "pipeline_config",
    "connected_event",
    "was_transferred",
    "transfer_destination",
    "transfer_target",
    "transfer_reason",
    "transfer_method",
    "transfer_at",
    "transfer_failed_reason",
    "revision",
    "supersedes",
]

SATURATED = {
    "session_id": "s-1",
    "stream_id": "st-1",
    "caller_id": "+911234567890",
    "from_number": "+910987654321",
    "call_direction": "outgoing",
    "call_duration_seconds": 12.5,
    "disconnected_by": "bot",
    "transcript": [{"speaker": "bot", "text": "Good morning.", "timestamp": 0.2}],
    "events": [{"type": "tool_call", "name": "book"}],
    "intents": [{"name": "book", "confidence": 1.0}],
    "recording_url": "http://127.0.0.1/recordings/s-1.wav",
    "recording_key": "s-1.wav",
    "recording_access_token": "t",
    "post_call_analysis": {"summary": "booked"},
    "qc_analysis": {"score": 5},
    "latency": {"response_ms": {"p50": 400}},
    "latency_samples": [{"turn": 1, "response_ms": 400}],
    "usage_metrics": {"stt_seconds": 3.5},
    "llm_cache_summary": {"hits": 0},
    "pipeline_config": {"stt": "offline"},
    "connected_event": {"callId": "1"},
    "was_transferred": True,
    "transfer_destination": "+911111111111",
    "transfer_target": "billing",
    "transfer_reason": "asked",
    "transfer_method": "websocket_reverse_transfer",
    "transfer_at": 11.0,
    "transfer_failed_reason": "declined",
    "revision": 1,
    "supersedes": "6f1c7d52-92a4-4c5e-9a39-0d3c1f0a7b10-41",
}


def test_payload_has_exactly_these_keys_in_this_order() -> None:
    payload = CallResult(session_id="s-1", disconnected_by="bot").model_dump(mode="json")
    assert list(payload) == KEYS


def test_line_has_exactly_these_keys_in_this_order() -> None:
    line = ResultLine(speaker="bot", text="Hello.", timestamp=0.0)
    assert list(line.model_dump()) == ["speaker", "text", "timestamp"]


def test_saturated_payload_survives_unchanged() -> None:
    assert list(SATURATED) == KEYS
    assert json.loads(CallResult.model_validate(SATURATED).model_dump_json()) == SATURATED


def test_unfilled_payload_has_the_family_defaults() -> None:
    payload = CallResult(session_id="s-1", disconnected_by="RNR").model_dump(mode="json")
    filled = {"session_id": "s-1", "disconnected_by": "RNR", "call_direction": "incoming"}
    assert {key: payload[key] for key in filled} == filled
    for key in KEYS:
        if key not in filled:
            assert payload[key] in ("", 0, None, [], {})


def test_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="surprise"):
        CallResult.model_validate(SATURATED | {"surprise": 1})
