"""The call result delivered to a bot's `webhook_url`: exact keys, one per call and revision."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ResultLine(BaseModel):
    """One line of the transcript, as heard. `timestamp` is seconds since the answer."""

    speaker: str
    text: str
    timestamp: float


class CallResult(BaseModel):
    """What a contact centre pays for.

    Keys and order follow the family's `CallResultsPayload`; `revision` is ours.
    """

    model_config = ConfigDict(extra="forbid")

    session_id: str
    stream_id: str = ""
    caller_id: str = ""
    from_number: str = ""
    call_direction: str = "incoming"
    call_duration_seconds: float = 0.0
    disconnected_by: str
    transcript: list[ResultLine] = Field(default_factory=list)
    events: list[dict[str, Any]] = Field(default_factory=list)
    intents: list[dict[str, Any]] = Field(default_factory=list)
    recording_url: str | None = None
    recording_key: str | None = None
    recording_access_token: str | None = None
    post_call_analysis: dict[str, Any] | None = None
    qc_analysis: dict[str, Any] | None = None
    latency: dict[str, Any] = Field(default_factory=dict)
    latency_samples: list[dict[str, Any]] = Field(default_factory=list)
    usage_metrics: dict[str, Any] = Field(default_factory=dict)
    llm_cache_summary: dict[str, Any] = Field(default_factory=dict)
    pipeline_config: dict[str, Any] = Field(default_factory=dict)
    connected_event: dict[str, Any] = Field(default_factory=dict)
    was_transferred: bool = False
    transfer_destination: str | None = None
    transfer_target: str | None = None
    transfer_reason: str | None = None
    transfer_method: str | None = None
    transfer_at: float | None = None
    transfer_failed_reason: str | None = None
    revision: int = 0
    supersedes: str | None = None
    """The event id of the revision before, where there is one."""


class CallResultsPayload(BaseModel):
    """A result as another runtime of the family posts it: all but `session_id` may be missing.

    Loose, since the family's own shapes of lines, events and metrics differ by version; keys that
    are not named here are kept. What a model said is raw.
    """

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    session_id: str = Field(min_length=1, max_length=200)
    stream_id: str | None = None
    caller_id: str | None = None
    from_number: str | None = None
    call_direction: str | None = None
    call_duration_seconds: float | None = None
    disconnected_by: str | None = None
    transcript: list[Any] | None = None
    events: list[Any] | None = None
    intents: list[Any] | None = None
    recording_url: str | None = None
    recording_key: str | None = None
    recording_access_token: str | None = Field(default=None, max_length=64)
    post_call_analysis: Any = None
    qc_analysis: Any = None
    latency: dict[str, Any] | None = None
    latency_samples: list[Any] | None = None
    usage_metrics: Any = None
    llm_cache_summary: dict[str, Any] | None = None
    pipeline_config: dict[str, Any] | None = None
    connected_event: dict[str, Any] | None = None
    was_transferred: bool | None = None
    transfer_destination: str | None = None
    transfer_target: str | None = None
    transfer_reason: str | None = None
    transfer_method: str | None = None
    transfer_at: float | None = None
    transfer_failed_reason: str | None = None
    revision: int = 0
