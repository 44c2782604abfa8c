"""Trunks, numbers, calls to be placed, calls that wait for a slot; a call's trunk and its legs."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", _word("trunk_id", 64))
    op.add_column("calls", _word("media", 8, "data"))
    op.add_column("calls", sa.Column("leg_identity", sa.Text(), nullable=False, server_default=""))
    op.add_column("workers", _word("door", 16, "stream"))
    _trunks()
    _dials()
    _queue()
    op.create_table(
        "leases",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        _at("until_at"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )


def _trunks() -> None:
    op.create_table(
        "trunks",
        sa.Column("trunk_id", sa.String(64), nullable=False),
        _tenant(),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        _at("created_at"),
        _at("updated_at"),
        sa.Column("inbound_id", sa.String(64), nullable=True),
        sa.Column("outbound_id", sa.String(64), nullable=True),
        sa.Column("rule_id", sa.String(64), nullable=True),
        _word("synced_sha256", 64),
        sa.Column("sync_error", sa.Text(), nullable=True),
        sa.Column("tokens", sa.Float(), nullable=False, server_default=sa.text("0")),
        _at("tokens_at", nullable=True),
        sa.PrimaryKeyConstraint("trunk_id", name=op.f("pk_trunks")),
    )
    op.create_table(
        "numbers",
        sa.Column("number", sa.String(64), nullable=False),
        _tenant(),
        sa.Column("bot_id", sa.String(200), nullable=True),
        sa.Column("trunk_id", sa.String(64), nullable=True),
        _at("created_at"),
        _at("updated_at"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_numbers")),
    )


def _dials() -> None:
    op.create_table(
        "dials",
        sa.Column("call_id", sa.String(36), nullable=False),
        _tenant(),
        sa.Column("trunk_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("to_number", sa.Text(), nullable=False),
        sa.Column("from_number", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        _at("created_at"),
        _at("claimed_at", nullable=True),
        _at("leased_until", nullable=True),
        _at("settled_at", nullable=True),
        sa.Column("ringing_timeout_s", sa.Float(), nullable=False),
        sa.Column("sip_status_code", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_dials")),
    )
    is_open = sa.text("state <> 'settled'")
    op.create_index(
        "ix_dials_open", "dials", ["state"], sqlite_where=is_open, postgresql_where=is_open
    )


def _queue() -> None:
    op.create_table(
        "queue_items",
        sa.Column("queue_id", sa.String(36), nullable=False),
        _tenant(),
        sa.Column("idempotency_key", sa.String(200), nullable=False),
        sa.Column("bot_id", sa.String(200), nullable=False),
        sa.Column("trunk_id", sa.String(64), nullable=False),
        sa.Column("to_number", sa.Text(), nullable=False),
        sa.Column("call_service", sa.String(32), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("retry_count", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("call_id", sa.String(36), nullable=True),
        _at("queued_at"),
        _at("due_at"),
        _at("expires_at"),
        _at("dispatched_at", nullable=True),
        sa.UniqueConstraint(
            "tenant_id",
            "idempotency_key",
            name=op.f("uq_queue_items_tenant_id_idempotency_key"),
        ),
        sa.PrimaryKeyConstraint("queue_id", name=op.f("pk_queue_items")),
    )
    is_open = sa.text("state in ('pending', 'dispatching')")
    op.create_index(
        "ix_queue_items_open",
        "queue_items",
        ["due_at"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant_id", sa.String(64), nullable=False)


def _word(name: str, length: int, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=default)


def _at(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
