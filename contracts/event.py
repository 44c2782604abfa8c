"""The event stream's envelope: CloudEvents 1.0 in JSON, with `sequence` as the resume position."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, Field


class EventType(StrEnum):
    """Everything the stream carries."""

    CALL_PLANNED = "voicefleet.call.planned"
    CALL_STATE = "voicefleet.call.state"
    AGENT_JOINED = "voicefleet.call.agent_joined"
    TRANSCRIPT = "voicefleet.call.transcript"
    INTENT = "voicefleet.call.intent"
    TOOL = "voicefleet.call.tool"
    LATENCY = "voicefleet.call.latency"
    NOTICE = "voicefleet.call.notice"
    TRANSFER = "voicefleet.call.transfer"
    DTMF = "voicefleet.call.dtmf"
    HOLD = "voicefleet.call.hold"
    RECORDING = "voicefleet.call.recording"
    CALL_ENDED = "voicefleet.call.ended"
    CALL_RESULT = "voicefleet.call.result"


class Event(BaseModel):
    """One event. `subject` is the call id; `source` names the sidecar's API."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str = "/voicefleet"
    type: EventType
    subject: str
    time: AwareDatetime
    datacontenttype: Literal["application/json"] = "application/json"
    sequence: int = Field(ge=1)
    """Rises by commit order; what SSE sends as `id:` and `Last-Event-ID` resumes from."""
    tenantid: str = "default"
    data: dict[str, Any] = Field(default_factory=dict)
