"""Builds the call result from stored facts: pure, exact keys, times in seconds since the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from contracts.bot import BotConfig
from contracts.ids import Channel
from contracts.outcome import Reason, outcome
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
    Noticed,
    ToolCalled,
    TranscriptLine,
    TransferFailed,
    TransferSent,
    TransferStarted,
    TurnMeasured,
    UsageCounted,
)
from contracts.result import CallResult, ResultLine
from contracts.sip_status import call_status, status_text
from contracts.transfer import PASSTHRU
from sidecar.latency import known, mean, percentile
from sidecar.store.calls import CallRow

_CACHE_TOKENS = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "fresh_prompt_tokens",
    "completion_tokens",
)
_LEG_EVENTS = {
    "leg_dialled": "dialled",
    "leg_ringing": "ringing",
    "leg_held": "call_hold",
    "leg_resumed": "call_resume",
}
_CONFIRMED = frozenset({"livekit_sip_refer", PASSTHRU})
"""Ways to hand a caller over that leave no doubt whether they were still there."""
_TOO_SOON = "the caller hung up before the transfer came about"


@dataclass(frozen=True, slots=True)
class RecordingLink:
    """Where the recording is, or will be once it has been uploaded."""

    url: str
    key: str
    token: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found out about a call after it.

    Attributes:
        analysis: what it came to, by a model, by rules or by how it ended.
        qc: how well the bot did.
        failures: by kind of question, when and why it was given up.
    """

    analysis: dict[str, Any] | None = None
    qc: dict[str, Any] | None = None
    failures: dict[str, tuple[datetime, str]] = field(default_factory=dict)


def build(
    row: CallRow,
    facts: Sequence[Fact],
    recording: RecordingLink | None,
    findings: Findings | None = None,
) -> CallResult:
    """Return the result of an ended call.

    Args:
        row: the call after its end.
        facts: everything reported about it, in order of time.
        recording: its recording, if it has one.
        findings: what is known beyond the facts, so far.
    """
    findings = findings or Findings()
    clock = _Clock(row.answered_at or row.planned_at)
    usage = _last_usage(facts)
    return CallResult(
        session_id=row.session_id,
        stream_id=row.stream_id,
        caller_id=row.caller_id,
        from_number=row.caller_id if row.call_direction == "incoming" else row.did,
        call_direction=row.call_direction,
        call_duration_seconds=round(row.call.duration_s, 3),
        disconnected_by=outcome(row.end_reason or Reason.ABANDONED).disconnected_by,
        transcript=[
            ResultLine(speaker=fact.speaker, text=fact.text, timestamp=clock.seconds(fact.at))
            for fact in facts
            if isinstance(fact, TranscriptLine)
        ],
        events=[
            *(entry for fact in facts for entry in _entries(fact, clock, row)),
            *(
                {"event": f"{kind}_failed", "timestamp": clock.seconds(at), "error": error}
                for kind, (at, error) in findings.failures.items()
            ),
        ],
        intents=[
            {
                "name": fact.name,
                "confidence": fact.confidence,
                "slots": fact.slots,
                "timestamp": clock.seconds(fact.at),
            }
            for fact in facts
            if isinstance(fact, IntentFound)
        ],
        recording_url=recording.url if recording else None,
        recording_key=recording.key if recording else None,
        recording_access_token=recording.token if recording else None,
        post_call_analysis=findings.analysis,
        qc_analysis=findings.qc,
        latency=_latency([fact for fact in facts if isinstance(fact, TurnMeasured)]),
        latency_samples=[
            {
                "turn": fact.turn,
                "timestamp": clock.seconds(fact.at),
                "response_ms": fact.response_ms,
                **{name: getattr(fact, name) for name in (*STAGES, *MOMENTS)},
                **fact.detail,
            }
            for fact in facts
            if isinstance(fact, TurnMeasured)
        ],
        usage_metrics=usage,
        llm_cache_summary=_cache_summary(usage),
        pipeline_config=_pipeline(row, facts),
        connected_event=row.connected_event,
        **_transfer(facts, clock),
    )


@dataclass(frozen=True, slots=True)
class _Clock:
    zero: datetime

    def seconds(self, at: datetime) -> float:
        return round(max(0.0, (at - self.zero).total_seconds()), 3)


def _entries(fact: Fact, clock: _Clock, row: CallRow) -> list[dict[str, Any]]:
    def entry(event: str, at: datetime = fact.at, **more: Any) -> dict[str, Any]:
        return {"event": event, "timestamp": clock.seconds(at), **more}

    match fact:
        case LegAnswered():
            return [entry("answered")]
        case LegDialled() | LegRinging() | LegHeld() | LegResumed():
            return [entry(_LEG_EVENTS[fact.type])]
        case DigitPressed():
            return [entry("dtmf", digit=fact.digit)]
        case DigitsSent():
            return [entry("dtmf_sent", digits=fact.digits)]
        case AgentJoined() | ConversationStarted() | TransferSent():
            return [entry(fact.type)]
        case ToolCalled():
            began_at = fact.at - timedelta(milliseconds=fact.duration_ms)
            return [
                entry("tool_call", began_at, name=fact.name, arguments=fact.arguments),
                {
                    **fact.detail,
                    **entry(
                        "custom_tool_result",
                        name=fact.name,
                        result=fact.result,
                        error=fact.error,
                        duration_ms=fact.duration_ms,
                    ),
                },
            ]
        case Noticed():
            return [{**fact.detail, **entry(fact.name)}]
        case TransferStarted():
            return [entry(fact.type, destination=fact.destination, reason=fact.reason)]
        case TransferFailed():
            return [entry(fact.type, reason=fact.failed_reason)]
        case LegEnded():
            status = _sip_status(fact, row)
            return [entry(fact.type, reason=fact.reason, detail=fact.detail, **status)]
        case AgentEnded():
            return [entry(fact.type, reason=fact.reason, detail=fact.detail)]
        case _:
            return []


def _sip_status(fact: LegEnded, row: CallRow) -> dict[str, Any]:
    """Return what the carrier made of a call that we placed."""
    if row.channel != Channel.DIALOUT:
        return {}
    code, answered = fact.sip_status_code, row.answered_at is not None
    return {
        "call_status": call_status(fact.reason, code, answered=answered),
        "sip_status_code": code,
        "sip_status_text": status_text(fact.reason, code),
    }


def _latency(turns: Sequence[TurnMeasured]) -> dict[str, Any]:
    answers = known(turns, "response_ms")
    return {
        "turns": len(turns),
        "total_avg_response_ms": mean(answers),
        "p50_response_ms": percentile(answers, 50),
        "p95_response_ms": percentile(answers, 95),
        "max_response_ms": answers[-1] if answers else None,
        **{f"avg_{stage}": mean(known(turns, stage)) for stage in STAGES},
    }


def _last_usage(facts: Sequence[Fact]) -> dict[str, Any]:
    totals = [fact.usage for fact in facts if isinstance(fact, UsageCounted)]
    return totals[-1] if totals else {}


def _cache_summary(usage: dict[str, Any]) -> dict[str, Any]:
    tokens = {name: int(usage.get(name) or 0) for name in _CACHE_TOKENS}
    read = tokens["cache_read_input_tokens"] > 0
    created = tokens["cache_creation_input_tokens"] > 0
    return {
        **tokens,
        "enabled": bool(usage.get("cache_enabled")) or read or created,
        "worked": read,
        "statuses": list(usage.get("cache_statuses") or []),
    }


def _pipeline(row: CallRow, facts: Sequence[Fact]) -> dict[str, Any]:
    config = BotConfig.model_validate(row.config or {})
    joined = [fact.pipeline for fact in facts if isinstance(fact, AgentJoined)]
    return {
        "stt": config.stt.model_dump(include={"provider", "model", "language"}),
        "llm": config.llm.model_dump(include={"provider", "model", "temperature", "max_tokens"}),
        "tts": config.tts.model_dump(include={"provider", "model", "voice", "language"}),
        "vad": config.vad.model_dump(include={"confidence", "start_secs", "stop_secs"}),
        "turn": config.turn.model_dump(
            include={"detector", "min_delay_s", "max_delay_s", "preemptive"}
        ),
        "agent": joined[-1] if joined else {},
        **({"switches": switches} if (switches := _switches(facts)) else {}),
    }


def _switches(facts: Sequence[Fact]) -> list[dict[str, Any]]:
    """Return which vendors stood in for which, in order."""
    return [
        fact.detail
        for fact in facts
        if isinstance(fact, Noticed) and fact.name == "provider_switched"
    ]


def _transfer(facts: Sequence[Fact], clock: _Clock) -> dict[str, Any]:
    started: TransferStarted | None = None
    sent, failed_reason = False, None
    for fact in facts:
        match fact:
            case TransferStarted():
                started, failed_reason = fact, None
            case TransferSent():
                # By another clock, what was taken back may have been sent later.
                sent = failed_reason is None
            case TransferFailed():
                sent, failed_reason = False, fact.failed_reason
            case LegEnded() if started is not None and started.method in _CONFIRMED:
                # A carrier that has taken the caller over says so; one who hangs up before is lost.
                is_lost = sent or (failed_reason is None and fact.reason is Reason.CALLER_HUNG_UP)
                if is_lost and fact.reason is not Reason.TRANSFERRED:
                    sent, failed_reason = False, _TOO_SOON
    if started is None:
        return {"was_transferred": sent, "transfer_failed_reason": failed_reason}
    return {
        "was_transferred": sent,
        "transfer_destination": started.destination,
        "transfer_target": started.target or None,
        "transfer_reason": started.reason or None,
        "transfer_method": started.method,
        "transfer_at": clock.seconds(started.at),
        "transfer_failed_reason": failed_reason,
    }
