"""What a bot's CRM is told after a call, in the CRM's own words: pure."""

from __future__ import annotations

from datetime import datetime

from pydantic_core import to_json

from contracts import template
from contracts.bot import PostCallPush
from contracts.result import CallResult
from contracts.zone import zone_of
from sidecar.store.calls import CallRow

_COARSE = {"customer": "Connected", "bot": "Connected", "timeout": "Connected", "error": "Failed"}
"""`result.disposition`, by who hung up; the finer ones are `analysis.DISPOSITION` and its like."""
_UNKNOWN = "Unknown"


def is_wanted(push: PostCallPush, row: CallRow, revision: int) -> bool:
    """Return whether a revision of a call's result is pushed."""
    if not push.url or template.is_set(row.connected_event, "_skip_post_push"):
        return False
    return revision == 0 or push.push_updates


def body_of(push: PostCallPush, row: CallRow, outcome: CallResult, timezone: str) -> str:
    """Return the body: the bot's `key_mapper` filled in, or the whole result without one."""
    if not push.key_mapper:
        return outcome.model_dump_json()
    filled = template.render_all(push.key_mapper, variables_of(row, outcome, timezone))
    return to_json(filled, inf_nan_mode="null").decode()


def variables_of(row: CallRow, outcome: CallResult, timezone: str) -> dict[str, str]:
    """Return every variable known after a call, by full name.

    Args:
        row: the call, ended; it has `call.*`, `crm.*` and `system.*`, as the bot had them.
        outcome: its result, of any revision.
        timezone: the bot's, for `result.call_start_time` and its like.
    """
    analysis, qc = outcome.post_call_analysis or {}, outcome.qc_analysis or {}

    def local(at: datetime | None) -> str:
        return "" if at is None else at.astimezone(zone_of(timezone)).isoformat(timespec="seconds")

    return {
        **row.variables,
        **template.namespaced(
            "call",
            {"duration": outcome.call_duration_seconds, "recording_url": outcome.recording_url},
        ),
        **template.namespaced(
            "result",
            {
                **outcome.model_dump(mode="json"),
                "call_id": row.call_id,
                "disposition": _COARSE.get(outcome.disconnected_by, _UNKNOWN),
                "remarks": analysis.get("CALLING_REMARKS"),
                "call_start_time": local(row.planned_at),
                "call_answer_time": local(row.answered_at),
                "call_end_time": local(row.end_at),
                "was_transferred": "yes" if outcome.was_transferred else "no",
            },
        ),
        **template.namespaced("analysis", analysis),
        **template.namespaced("qc", qc),
    }
