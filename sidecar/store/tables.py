"""The schema, as SQLAlchemy Core tables; migrations must arrive at exactly this."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    false,
    text,
)

from sidecar.store.column import Name, Storable, UtcDateTime

DEFAULT_TENANT = "default"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def tenant_column() -> Column[str]:
    return Column("tenant_id", Name(64), nullable=False)


def at_column(name: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, UtcDateTime(), nullable=nullable)


tenants = Table(
    "tenants",
    metadata,
    Column("tenant_id", Name(64), primary_key=True),
    Column("name", Storable, nullable=False),
    at_column("created_at"),
    Column("retention_days", Integer, nullable=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Name(36), primary_key=True),
    tenant_column(),
    Column("name", Storable, nullable=False),
    Column("key_prefix", Name(16), nullable=False),
    Column("key_sha256", Name(64), nullable=False, unique=True),
    Column("bot_ids", JSON, nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("is_active", Boolean, nullable=False),
    at_column("created_at"),
    at_column("expires_at", nullable=True),
    at_column("last_used_at", nullable=True),
)

vendor_keys = Table(
    "vendor_keys",
    metadata,
    Column("tenant_id", Name(64), primary_key=True),
    Column("provider", Name(40), primary_key=True),
    Column("api_key", Storable, nullable=False),
    at_column("created_at"),
    at_column("updated_at"),
)

bots = Table(
    "bots",
    metadata,
    Column("tenant_id", Name(64), primary_key=True),
    Column("bot_id", Name(200), primary_key=True),
    Column("version", Integer, nullable=False),
    at_column("created_at"),
    at_column("updated_at"),
)

bot_versions = Table(
    "bot_versions",
    metadata,
    Column("tenant_id", Name(64), primary_key=True),
    Column("bot_id", Name(200), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("config", JSON, nullable=False),
    at_column("created_at"),
)

calls = Table(
    "calls",
    metadata,
    Column("call_id", Name(36), primary_key=True),
    tenant_column(),
    Column("idempotency_key", Name(200), nullable=False),
    Column("session_id", Name(200), nullable=False),
    Column("bot_id", Name(200), nullable=False),
    Column("channel", Name(16), nullable=False),
    Column("call_direction", Name(16), nullable=False),
    Column("caller_id", Storable, nullable=False),
    Column("did", Storable, nullable=False),
    Column("stream_id", Storable, nullable=False),
    Column("connected_event", JSON, nullable=False),
    Column("bridge_id", Storable, nullable=False),
    Column("room_name", Name(100), nullable=False),
    Column("config", JSON(none_as_null=True), nullable=True),
    Column("variables", JSON, nullable=False),
    Column("state", Name(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("incarnation", Integer, nullable=False),
    Column("worker_id", Storable, nullable=True),
    Column("agent_seq", Integer, nullable=False),
    Column("bridge_seq", Integer, nullable=False),
    Column("illegal_events", Integer, nullable=False),
    Column("max_call_duration_s", Integer, nullable=False),
    Column("opening_is_fixed", Boolean, nullable=False, server_default=false()),
    at_column("planned_at"),
    at_column("answered_at", nullable=True),
    at_column("conversation_at", nullable=True),
    Column("leg_ended", Boolean, nullable=False),
    Column("agent_ended", Boolean, nullable=False),
    at_column("end_at", nullable=True),
    Column("end_reason", Name(40), nullable=True),
    Column("end_detail", Storable, nullable=False),
    at_column("claim_due_at", nullable=True),
    at_column("settle_due_at", nullable=True),
    at_column("expires_at", nullable=True),
    at_column("room_due_at", nullable=True),
    Column("agents_lost", Integer, nullable=False, server_default=text("0")),
    at_column("handed_off_at", nullable=True),
    at_column("prefetch_due_at", nullable=True),
    at_column("result_due_at", nullable=True),
    Column("trunk_id", Name(64), nullable=False, server_default=""),
    Column("media", Name(8), nullable=False, server_default="data"),
    Column("leg_identity", Storable, nullable=False, server_default=""),
    Column("media_rate_hz", Integer, nullable=False, server_default=text("8000")),
    Column("text_only", Boolean, nullable=False, server_default=false()),
    Column("config_url", Storable, nullable=False, server_default=""),
    UniqueConstraint("tenant_id", "idempotency_key"),
    UniqueConstraint("tenant_id", "session_id"),
)
Index("ix_calls_tenant_id_planned_at", calls.c.tenant_id, calls.c.planned_at)
Index("ix_calls_room_name", calls.c.room_name)
# A hash: a stream's name may be longer than a tree's page takes.
Index("ix_calls_stream_id", calls.c.stream_id, postgresql_using="hash")
# Live rows are few among many: capacity and watch look only at these.
_LIVE = text("state <> 'ended' or room_due_at is not null or result_due_at is not null")
Index("ix_calls_live", calls.c.state, sqlite_where=_LIVE, postgresql_where=_LIVE)

event_counter = Table(
    "event_counter",
    metadata,
    Column("counter_id", Integer, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)
"""One row. Whoever updates it holds it until commit, so commits happen in sequence order."""

call_events = Table(
    "call_events",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    tenant_column(),
    Column("event_id", Name(80), nullable=False, unique=True),
    Column("call_id", Name(36), nullable=False),
    Column("bot_id", Name(200), nullable=False),
    Column("type", Name(60), nullable=False),
    at_column("at"),
    Column("data", JSON, nullable=False),
    Column("source", Name(16), nullable=True),
    Column("incarnation", Integer, nullable=True),
    Column("source_seq", Integer, nullable=True),
    UniqueConstraint("call_id", "source", "incarnation", "source_seq"),
)
Index("ix_call_events_call_id_sequence", call_events.c.call_id, call_events.c.sequence)
IS_TURN = text("type = 'voicefleet.call.latency'")
"""The index's own words: SQLite goes by a partial index only where a query repeats them."""
Index(
    "ix_call_events_turns",
    call_events.c.tenant_id,
    call_events.c.bot_id,
    call_events.c.sequence,
    sqlite_where=IS_TURN,
    postgresql_where=IS_TURN,
)

results = Table(
    "results",
    metadata,
    Column("call_id", Name(36), primary_key=True),
    Column("revision", Integer, primary_key=True),
    tenant_column(),
    Column("body", JSON, nullable=False),
    at_column("created_at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", Name(120), primary_key=True),
    tenant_column(),
    Column("call_id", Name(36), nullable=False),
    Column("bot_id", Name(200), nullable=False),
    Column("url", Storable, nullable=False),
    Column("body", Storable, nullable=False),
    Column("state", Name(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    at_column("created_at"),
    at_column("due_at"),
    at_column("settled_at", nullable=True),
    Column("last_error", Storable, nullable=True),
    Column("kind", Name(16), nullable=False, server_default="webhook"),
    Column("method", Name(8), nullable=False, server_default="POST"),
    Column("destination", Storable, nullable=False, server_default=""),
    at_column("leased_until", nullable=True),
    Column("attempts_before", Integer, nullable=False, server_default=text("0")),
)
PENDING = text("state = 'pending'")
Index(
    "ix_deliveries_due_at_pending",
    deliveries.c.due_at,
    sqlite_where=PENDING,
    postgresql_where=PENDING,
)
Index("ix_deliveries_call_id", deliveries.c.call_id)
Index("ix_deliveries_tenant_id_created_at", deliveries.c.tenant_id, deliveries.c.created_at)
_LEASED = text("leased_until is not null")
Index(
    "ix_deliveries_leased",
    deliveries.c.destination,
    sqlite_where=_LEASED,
    postgresql_where=_LEASED,
)
GIVEN_UP = text("state in ('parked', 'dead')")
Index(
    "ix_deliveries_given_up",
    deliveries.c.state,
    sqlite_where=GIVEN_UP,
    postgresql_where=GIVEN_UP,
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", Name(120), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    tenant_column(),
    at_column("at"),
    Column("status_code", Integer, nullable=True),
    Column("error", Storable, nullable=True),
    Column("duration_ms", Float, nullable=False),
    Column("response", Storable, nullable=False, server_default=""),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("tenant_id", Name(64), primary_key=True),
    Column("url_sha256", Name(64), primary_key=True),
    Column("url", Storable, nullable=False),
    Column("reason", Storable, nullable=False),
    at_column("disabled_at"),
)
"""Addresses that asked to be left alone (410). Their deliveries wait here, parked."""

tasks = Table(
    "tasks",
    metadata,
    Column("task_id", Name(80), primary_key=True),
    tenant_column(),
    Column("call_id", Name(36), nullable=False),
    Column("bot_id", Name(200), nullable=False),
    Column("kind", Name(16), nullable=False),
    Column("state", Name(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker_id", Storable, nullable=True),
    Column("result", JSON(none_as_null=True), nullable=True),
    Column("error", Storable, nullable=True),
    at_column("created_at"),
    at_column("due_at"),
    at_column("settled_at", nullable=True),
    UniqueConstraint("call_id", "kind"),
)
"""What is to be done after a call, by whichever agent worker claims it first."""
Index(
    "ix_tasks_due_at_pending",
    tasks.c.due_at,
    sqlite_where=text("state = 'pending'"),
    postgresql_where=text("state = 'pending'"),
)

cdrs = Table(
    "cdrs",
    metadata,
    Column("tenant_id", Name(64), primary_key=True),
    Column("stream_id", Name(200), primary_key=True),
    Column("call_id", Name(36), nullable=True),
    Column("body", JSON, nullable=False),
    at_column("received_at"),
)
"""What a dialler told of a call after it, in its own words."""

reported_results = Table(
    "reported_results",
    metadata,
    Column("tenant_id", Name(64), primary_key=True),
    Column("session_id", Name(200), primary_key=True),
    Column("body", JSON, nullable=False),
    Column("status", Name(16), nullable=False),
    Column("recording_token", Name(64), nullable=True),
    at_column("created_at"),
    at_column("completed_at"),
)
"""Results of calls that other runtimes held, posted to `/api/v1/call-results`."""

workers = Table(
    "workers",
    metadata,
    Column("worker_id", Name(200), primary_key=True),
    tenant_column(),
    Column("kind", Name(16), nullable=False),
    Column("host", Storable, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("ready", Boolean, nullable=False),
    Column("calls", JSON, nullable=False),
    Column("standbys", JSON, nullable=False, server_default=text("'[]'")),
    Column("max_calls", Integer, nullable=False),
    Column("door", Name(16), nullable=False, server_default="stream"),
    Column("metrics", JSON, nullable=False),
    Column("spooled", Integer, nullable=False, server_default=text("0")),
    at_column("started_at"),
    at_column("last_seen_at"),
)

standbys = Table(
    "standbys",
    metadata,
    Column("standby_id", Name(36), primary_key=True),
    tenant_column(),
    Column("room_name", Name(100), nullable=False),
    Column("state", Name(16), nullable=False),
    Column("worker_id", Storable, nullable=True),
    Column("bridge_id", Storable, nullable=True),
    Column("call_id", Name(36), nullable=True, unique=True),
    at_column("made_at"),
    at_column("ready_at", nullable=True),
    at_column("claimed_at", nullable=True),
    at_column("room_due_at", nullable=True),
)

recordings = Table(
    "recordings",
    metadata,
    Column("recording_key", Name(260), primary_key=True),
    tenant_column(),
    Column("call_id", Name(36), nullable=False, unique=True),
    Column("token", Name(64), nullable=False, unique=True),
    Column("duration_s", Float, nullable=True),
    Column("size_bytes", BigInteger, nullable=True),
    at_column("created_at"),
    at_column("stored_at", nullable=True),
    Column("sha256", Name(64), nullable=True),
    Column("place", Name(16), nullable=False, server_default="folder"),
)

erased_calls = Table(
    "erased_calls",
    metadata,
    Column("call_id", Name(36), primary_key=True),
    tenant_column(),
    at_column("erased_at"),
    Column("recording_key", Name(260), nullable=True),
    Column("place", Name(16), nullable=True),
    at_column("due_at", nullable=True),
)
"""All that is left of a call that was erased: that it was, and a recording that is yet to go."""
Index(
    "ix_erased_calls_due_at_recording",
    erased_calls.c.due_at,
    sqlite_where=text("recording_key is not null"),
    postgresql_where=text("recording_key is not null"),
)
