"""What the agent of a call is told: the bot's config for it, and how far the call has come."""

from __future__ import annotations

from contracts import ids
from contracts.bot import BotConfig
from contracts.fixed_line import fixed_lines
from contracts.plan import AgentPlan, HistoryLine
from contracts.report import Fact, TranscriptLine
from sidecar.configure import rendered
from sidecar.keyring import Keyring
from sidecar.store.calls import CallRow

_NOT_THE_AGENTS = {
    **dict.fromkeys(("crm_prefetch", "post_call_push", "exotel_api")),
    **dict.fromkeys(("stream_token", "webhook_secret"), ""),
}
"""What the sidecar does itself, with secrets of its own."""


def agent_plan(
    row: CallRow, facts: list[Fact], keyring: Keyring, *, is_seated: bool = False
) -> AgentPlan:
    """Return what the agent of a call is to know: templates resolved, no secrets but its own."""
    kept = {**(row.config or {}), **_NOT_THE_AGENTS}
    config = rendered(keyring.for_use(row.tenant_id, kept, row.config_url), row.variables)
    return AgentPlan(
        call_id=row.call_id,
        session_id=row.session_id,
        incarnation=row.incarnation,
        channel=ids.Channel(row.channel),
        call_direction="outgoing" if row.call_direction == "outgoing" else "incoming",
        caller_identity=row.caller_identity,
        room_name=row.room_name,
        media="tracks" if row.media == "tracks" else "data",
        media_rate_hz=row.media_rate_hz,
        text_only=row.text_only,
        config=config,
        variables=row.variables,
        history=[
            HistoryLine(speaker=fact.speaker, text=fact.text)
            for fact in facts
            if isinstance(fact, TranscriptLine)
        ],
        opening_is_fixed=row.opening_is_fixed,
        # What another store gave us may have been written for this caller.
        fixed_lines=[] if row.config_url else fixed_lines(BotConfig.model_validate(kept)),
        is_provisional=row.prefetch_due_at is not None,
        is_seated=is_seated,
        answered_at=row.answered_at,
    )
