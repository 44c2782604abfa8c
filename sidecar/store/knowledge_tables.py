"""The knowledge part of the schema: what bots look things up in.

Each database has a full-text index of its own over `knowledge_chunks.terms`, made by a migration.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table

from sidecar.store.column import Name, Storable
from sidecar.store.tables import at_column, metadata, tenant_column

knowledge_bases = Table(
    "knowledge_bases",
    metadata,
    Column("kb_id", Name(64), primary_key=True),
    tenant_column(),
    Column("name", Storable, nullable=False),
    Column("description", Storable, nullable=False),
    Column("is_active", Boolean, nullable=False),
    at_column("created_at"),
    at_column("updated_at"),
)

knowledge_documents = Table(
    "knowledge_documents",
    metadata,
    Column("document_id", Name(64), primary_key=True),
    tenant_column(),
    Column("kb_id", Name(64), nullable=False),
    Column("filename", Storable, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("status", Name(16), nullable=False),
    Column("error", Storable, nullable=True),
    Column("chunk_count", Integer, nullable=False),
    at_column("created_at"),
    at_column("updated_at"),
)
"""What was uploaded, without its bytes: `uploaded`, `indexing`, `indexed`, `failed`."""
Index("ix_knowledge_documents_kb_id", knowledge_documents.c.kb_id)

knowledge_chunks = Table(
    "knowledge_chunks",
    metadata,
    Column("chunk_number", Integer, primary_key=True, autoincrement=True),
    Column("chunk_id", Name(80), nullable=False, unique=True),
    tenant_column(),
    Column("kb_id", Name(64), nullable=False),
    Column("document_id", Name(64), nullable=False),
    Column("text", Storable, nullable=False),
    Column("terms", Storable, nullable=False),
)
"""Pieces of documents; `terms` are their words as `sidecar.terms` makes them comparable."""
Index("ix_knowledge_chunks_document_id", knowledge_chunks.c.document_id)
Index("ix_knowledge_chunks_kb_id", knowledge_chunks.c.kb_id)
