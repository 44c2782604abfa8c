"""Bots for real calls, each made to end in one particular way."""

from __future__ import annotations

from typing import Any

_HOURS = (
    "We are open from nine in the morning until five in the afternoon, from Monday to Friday,"
    " and on Saturdays from ten until two."
)

TALKER: dict[str, Any] = {
    "opening_message": "Hello, you have reached the information line. How can I help you?",
    "voicemail_message": "Please call us back. Thank you.",
    "pre_transfer_message": "One moment, I am putting you through.",
    "transfer_targets": [
        {"id": "desk", "label": "Front desk", "value": "+14155550123", "is_default": True}
    ],
    "llm": {
        "provider": "rules",
        "rules": {
            "intents": [
                {"name": "hours", "phrases": ["when are you open"], "say": _HOURS},
                {"name": "machine", "patterns": ["leave a message"], "go": "machine"},
            ],
            "flows": {
                "machine": [{"call": "detected_voicemail"}],
            },
        },
    },
}
"""Answers opening hours, says goodbye, hands over, notices a machine."""

SILENT_TREATMENT: dict[str, Any] = {
    **TALKER,
    "re_engagement": {"messages": ["Are you there?"], "after_seconds": 1.0},
    "no_response_seconds": 1.0,
    "dead_air_seconds": 1.0,
    "closing_message": "I will hang up now. Goodbye.",
}
"""Gives up on silence within a few seconds."""

HURRIED: dict[str, Any] = {**TALKER, "max_call_duration_seconds": 4}
"""Ends every call after four seconds."""

CLOSED: dict[str, Any] = {**TALKER, "active_hours": {"enabled": True, "days": []}}
"""Is never there."""

BROKEN: dict[str, Any] = {
    **TALKER,
    "stt": {"provider": "deepgram", "base_url": "http://127.0.0.1:9/v1/listen"},
    "transfer_targets": [],
}
"""Has a recogniser where nobody listens, and nobody to hand a caller over to."""
