"""Agents that wait for a call; whether a call's opening line is everybody's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "standbys",
        sa.Column("standby_id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("room_name", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=True),
        sa.Column("bridge_id", sa.Text(), nullable=True),
        sa.Column("call_id", sa.String(length=36), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("room_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("standby_id", name=op.f("pk_standbys")),
        sa.UniqueConstraint("call_id", name=op.f("uq_standbys_call_id")),
    )
    op.add_column(
        "workers", sa.Column("standbys", sa.JSON(), nullable=False, server_default=sa.text("'[]'"))
    )
    op.add_column(
        "calls",
        sa.Column("opening_is_fixed", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
