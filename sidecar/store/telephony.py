"""The telephony part of the schema: trunks, numbers, calls to be placed, calls that wait."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Index, Integer, Table, UniqueConstraint, text

from sidecar.store.column import Name, Storable
from sidecar.store.tables import at_column, metadata, tenant_column

trunks = Table(
    "trunks",
    metadata,
    Column("trunk_id", Name(64), primary_key=True),
    tenant_column(),
    Column("kind", Name(16), nullable=False),
    Column("config", JSON, nullable=False),
    at_column("created_at"),
    at_column("updated_at"),
    Column("inbound_id", Name(64), nullable=True),
    Column("outbound_id", Name(64), nullable=True),
    Column("rule_id", Name(64), nullable=True),
    Column("synced_sha256", Name(64), nullable=False, server_default=""),
    Column("sync_error", Storable, nullable=True),
    Column("tokens", Float, nullable=False, server_default=text("0")),
    at_column("tokens_at", nullable=True),
)
"""Ways to carriers. `config` is a `contracts.trunk.Trunk`; the `…_id`s are LiveKit SIP's names for
a managed one, whose state there is that of `synced_sha256`; `tokens` pace its dials."""

numbers = Table(
    "numbers",
    metadata,
    Column("number", Name(64), primary_key=True),
    tenant_column(),
    Column("bot_id", Name(200), nullable=True),
    Column("trunk_id", Name(64), nullable=True),
    at_column("created_at"),
    at_column("updated_at"),
)
"""Which bot answers a dialled number, in its normal form; no two tenants have the same."""

dials = Table(
    "dials",
    metadata,
    Column("call_id", Name(36), primary_key=True),
    tenant_column(),
    Column("trunk_id", Name(64), nullable=False),
    Column("kind", Name(16), nullable=False),
    Column("to_number", Storable, nullable=False),
    Column("from_number", Storable, nullable=False),
    Column("state", Name(16), nullable=False),
    Column("claimed_by", Storable, nullable=True),
    at_column("created_at"),
    at_column("claimed_at", nullable=True),
    at_column("leased_until", nullable=True),
    at_column("settled_at", nullable=True),
    Column("ringing_timeout_s", Float, nullable=False),
    Column("sip_status_code", Integer, nullable=True),
)
"""Calls to be placed: `waiting` for an agent, `ready`, `claimed` once and for all, `settled`."""
Index(
    "ix_dials_open",
    dials.c.state,
    sqlite_where=text("state <> 'settled'"),
    postgresql_where=text("state <> 'settled'"),
)

queue_items = Table(
    "queue_items",
    metadata,
    Column("queue_id", Name(36), primary_key=True),
    tenant_column(),
    Column("idempotency_key", Name(200), nullable=False),
    Column("bot_id", Name(200), nullable=False),
    Column("trunk_id", Name(64), nullable=False),
    Column("to_number", Storable, nullable=False),
    Column("call_service", Name(32), nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("state", Name(16), nullable=False),
    Column("retry_count", Integer, nullable=False),
    Column("last_error", Storable, nullable=True),
    Column("call_id", Name(36), nullable=True),
    at_column("queued_at"),
    at_column("due_at"),
    at_column("expires_at"),
    at_column("dispatched_at", nullable=True),
    UniqueConstraint("tenant_id", "idempotency_key"),
)
"""Outgoing calls that may wait for a slot: `pending`, `dispatching`, `dispatched`, `failed`."""
Index(
    "ix_queue_items_open",
    queue_items.c.due_at,
    sqlite_where=text("state in ('pending', 'dispatching')"),
    postgresql_where=text("state in ('pending', 'dispatching')"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Name(64), primary_key=True),
    Column("holder", Storable, nullable=False),
    at_column("until_at"),
)
"""Work that one sidecar at a time may do: whose it is, and until when."""
