"""Ways to a bot's newest turns, and to deliveries that were given up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    turns = sa.text("type = 'voicefleet.call.latency'")
    op.create_index(
        "ix_call_events_turns",
        "call_events",
        ["tenant_id", "bot_id", "sequence"],
        sqlite_where=turns,
        postgresql_where=turns,
    )
    given_up = sa.text("state in ('parked', 'dead')")
    op.create_index(
        "ix_deliveries_given_up",
        "deliveries",
        ["state"],
        sqlite_where=given_up,
        postgresql_where=given_up,
    )
