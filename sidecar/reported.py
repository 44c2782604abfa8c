"""What several reports of another runtime's call come to: pure; null never overwrites."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from contracts.result import CallResultsPayload
from sidecar.store.reported import ReportedRow

_STATUSES = {
    "error": "failed",
    "no_answer": "failed",
    "rejected": "failed",
    "voicemail": "voicemail",
}


def status_of(disconnected_by: str | None) -> str:
    """Return the family's word for a call that ended so."""
    return _STATUSES.get(disconnected_by or "", "completed")


def merged(
    before: ReportedRow | None,
    payload: CallResultsPayload,
    now: datetime,
    new_token: Callable[[], str],
) -> ReportedRow:
    """Return a session's row after another report of it.

    Args:
        before: the row so far.
        payload: the report. One of an older revision, come late, only fills gaps.
        now: the time.
        new_token: makes what a link to the recording carries, where nobody has named one.
    """
    known = {} if before is None else before.body
    told = payload.model_dump(mode="json", exclude_none=True)
    is_late = payload.revision < int(known.get("revision", 0))
    body = {**told, **known} if is_late else {**known, **told}
    kept = "" if before is None else before.recording_token
    return ReportedRow(
        session_id=payload.session_id,
        body=body,
        status=status_of(body.get("disconnected_by")),
        recording_token=body.get("recording_access_token") or kept or new_token(),
        created_at=now if before is None else before.created_at,
        completed_at=now,
    )
