"""Tasks after a call, endpoints, records of others; timers of hand-off, pre-fetch and result."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _calls()
    _deliveries()
    _tasks()
    _records_of_others()
    _erasure()
    op.add_column("workers", _number("spooled"))
    op.add_column("tenants", sa.Column("retention_days", sa.Integer(), nullable=True))
    with op.batch_alter_table("recordings") as recordings:
        recordings.alter_column(
            "recording_key",
            existing_type=sa.String(length=220),
            type_=sa.String(length=260),
            existing_nullable=False,
        )
        recordings.add_column(sa.Column("sha256", sa.String(length=64), nullable=True))
        recordings.add_column(_word("place", 16, "folder"))


def _calls() -> None:
    op.add_column("calls", _number("agents_lost"))
    for name in ("handed_off_at", "prefetch_due_at", "result_due_at"):
        op.add_column("calls", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.drop_index("ix_calls_live", "calls")
    live = sa.text("state <> 'ended' or room_due_at is not null or result_due_at is not null")
    op.create_index("ix_calls_live", "calls", ["state"], sqlite_where=live, postgresql_where=live)
    op.create_index("ix_calls_stream_id", "calls", ["stream_id"], postgresql_using="hash")


def _deliveries() -> None:
    op.add_column("deliveries", _word("kind", 16, "webhook"))
    op.add_column("deliveries", _word("method", 8, "POST"))
    op.add_column(
        "deliveries", sa.Column("destination", sa.Text(), nullable=False, server_default="")
    )
    op.add_column(
        "deliveries", sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("deliveries", _number("attempts_before"))
    op.create_index("ix_deliveries_tenant_id_created_at", "deliveries", ["tenant_id", "created_at"])
    leased = sa.text("leased_until is not null")
    op.create_index(
        "ix_deliveries_leased",
        "deliveries",
        ["destination"],
        sqlite_where=leased,
        postgresql_where=leased,
    )
    op.add_column(
        "delivery_attempts", sa.Column("response", sa.Text(), nullable=False, server_default="")
    )
    op.create_table(
        "endpoints",
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("url_sha256", sa.String(length=64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "url_sha256", name=op.f("pk_endpoints")),
    )


def _tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("task_id", sa.String(length=80), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("call_id", sa.String(length=36), nullable=False),
        sa.Column("bot_id", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("call_id", "kind", name=op.f("uq_tasks_call_id_kind")),
    )
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_tasks_due_at_pending",
        "tasks",
        ["due_at"],
        sqlite_where=pending,
        postgresql_where=pending,
    )


def _records_of_others() -> None:
    op.create_table(
        "cdrs",
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("stream_id", sa.String(length=200), nullable=False),
        sa.Column("call_id", sa.String(length=36), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "stream_id", name=op.f("pk_cdrs")),
    )
    op.create_table(
        "reported_results",
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.String(length=200), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("recording_token", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", name=op.f("pk_reported_results")),
    )


def _erasure() -> None:
    op.create_table(
        "erased_calls",
        sa.Column("call_id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recording_key", sa.String(length=260), nullable=True),
        sa.Column("place", sa.String(length=16), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_erased_calls")),
    )
    waiting = sa.text("recording_key is not null")
    op.create_index(
        "ix_erased_calls_due_at_recording",
        "erased_calls",
        ["due_at"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0"))


def _word(name: str, length: int, default: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=False, server_default=default)
