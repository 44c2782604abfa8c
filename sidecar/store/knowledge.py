"""Knowledge bases, their documents, and the full-text search over their passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store.knowledge_tables import knowledge_bases as bases
from sidecar.store.knowledge_tables import knowledge_chunks as chunks
from sidecar.store.knowledge_tables import knowledge_documents as documents
from sidecar.terms import is_prefix

_MATCHES = "array_to_tsvector(string_to_array(terms, ' ')) @@ cast(:query as tsquery)"
"""The index's own words: Postgres goes by it only where a query repeats them."""


@dataclass(frozen=True, slots=True)
class BaseRow:
    """A knowledge base; one that is not active is searched no more."""

    kb_id: str
    tenant_id: str
    name: str
    description: str
    is_active: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document of a knowledge base; `error` tells why it is `failed`."""

    document_id: str
    tenant_id: str
    kb_id: str
    filename: str
    size_bytes: int
    status: str
    error: str | None
    chunk_count: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A passage of a document, and its words, separated by spaces."""

    chunk_id: str
    kb_id: str
    document_id: str
    filename: str
    text: str
    terms: str


async def add_base(connection: AsyncConnection, row: BaseRow) -> None:
    await connection.execute(insert(bases).values(_values(row)))


async def save_base(connection: AsyncConnection, row: BaseRow) -> None:
    mine = (bases.c.tenant_id == row.tenant_id, bases.c.kb_id == row.kb_id)
    await connection.execute(update(bases).where(*mine).values(_values(row)))


async def base(connection: AsyncConnection, tenant_id: str, kb_id: str) -> BaseRow | None:
    query = select(bases).where(bases.c.tenant_id == tenant_id, bases.c.kb_id == kb_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else BaseRow(**row._mapping)


async def listed_bases(connection: AsyncConnection, tenant_id: str) -> list[BaseRow]:
    """Return a tenant's knowledge bases, the oldest first."""
    query = select(bases).where(bases.c.tenant_id == tenant_id)
    rows = await connection.execute(query.order_by(bases.c.created_at, bases.c.kb_id))
    return [BaseRow(**row._mapping) for row in rows]


async def known_among(
    connection: AsyncConnection, tenant_id: str, kb_ids: Sequence[str]
) -> list[str]:
    """Return which of some knowledge bases are the tenant's."""
    mine = (bases.c.tenant_id == tenant_id, bases.c.kb_id.in_(kb_ids))
    return list(await connection.scalars(select(bases.c.kb_id).where(*mine)))


async def active_among(
    connection: AsyncConnection, tenant_id: str, kb_ids: Sequence[str]
) -> list[str]:
    """Return which of some knowledge bases are the tenant's, and active."""
    mine = (bases.c.tenant_id == tenant_id, bases.c.is_active, bases.c.kb_id.in_(kb_ids))
    return list(await connection.scalars(select(bases.c.kb_id).where(*mine)))


async def add_document(connection: AsyncConnection, row: DocumentRow) -> None:
    await connection.execute(insert(documents).values(_values(row)))


async def change_document(
    connection: AsyncConnection, document_id: str, values: dict[str, Any]
) -> bool:
    """Change some columns of a document; return whether it is still there."""
    mine = documents.c.document_id == document_id
    return (await connection.execute(update(documents).where(mine).values(values))).rowcount > 0


async def document(
    connection: AsyncConnection, tenant_id: str, kb_id: str, document_id: str
) -> DocumentRow | None:
    found = await _documents(
        connection,
        documents.c.tenant_id == tenant_id,
        documents.c.kb_id == kb_id,
        documents.c.document_id == document_id,
    )
    return found[0] if found else None


async def listed_documents(
    connection: AsyncConnection, tenant_id: str, kb_id: str
) -> list[DocumentRow]:
    """Return the documents of a knowledge base, the oldest first."""
    return await _documents(
        connection, documents.c.tenant_id == tenant_id, documents.c.kb_id == kb_id
    )


async def fail_unfinished(
    connection: AsyncConnection, kb_id: str, before: datetime, error: str
) -> None:
    """Give up the documents of a knowledge base that have not been read in all the time since."""
    is_open = documents.c.status.in_(("uploaded", "indexing"))
    late = (documents.c.kb_id == kb_id, is_open, documents.c.updated_at < before)
    await connection.execute(update(documents).where(*late).values(status="failed", error=error))


async def count_documents(connection: AsyncConnection, kb_id: str) -> int:
    query = select(func.count()).where(documents.c.kb_id == kb_id)
    return int(await connection.scalar(query) or 0)


async def add_chunks(connection: AsyncConnection, tenant_id: str, rows: Sequence[ChunkRow]) -> None:
    """Store passages, and make them findable."""
    values = [
        {
            "chunk_id": row.chunk_id,
            "tenant_id": tenant_id,
            "kb_id": row.kb_id,
            "document_id": row.document_id,
            "text": row.text,
            "terms": row.terms,
        }
        for row in rows
    ]
    await connection.execute(insert(chunks), values)
    if _is_sqlite(connection):
        copied = text(
            "insert into knowledge_index (rowid, scope, terms)"
            " select chunk_number, replace(kb_id, '_', ''), terms from knowledge_chunks"
            " where chunk_id in :ids"
        ).bindparams(bindparam("ids", expanding=True))
        await connection.execute(copied, {"ids": [row.chunk_id for row in rows]})


async def remove_document(connection: AsyncConnection, document_id: str) -> None:
    """Delete a document with its passages, so that nothing of them is left in an index."""
    if _is_sqlite(connection):
        await connection.execute(
            text(
                "delete from knowledge_index where rowid in"
                " (select chunk_number from knowledge_chunks where document_id = :document_id)"
            ),
            {"document_id": document_id},
        )
        # Deleted words stay in the index's segments until these are merged.
        await connection.execute(
            text("insert into knowledge_index (knowledge_index) values ('optimize')")
        )
    await connection.execute(delete(chunks).where(chunks.c.document_id == document_id))
    await connection.execute(delete(documents).where(documents.c.document_id == document_id))


async def count_chunks(
    connection: AsyncConnection, kb_ids: Sequence[str], term: str | None = None
) -> int:
    """Return how many passages of some knowledge bases there are, or have a term."""
    if term is None:
        query = select(func.count()).select_from(chunks).where(chunks.c.kb_id.in_(kb_ids))
        return int(await connection.scalar(query) or 0)
    statement, values = _search(connection, "count(*)", kb_ids, [term])
    return int(await connection.scalar(statement, values) or 0)


async def best_chunks(
    connection: AsyncConnection, kb_ids: Sequence[str], terms: Sequence[str], limit: int
) -> list[ChunkRow]:
    """Return the passages that have some of the terms, by the database's own order of merit."""
    is_sqlite = _is_sqlite(connection)
    number = "knowledge_index.rowid" if is_sqlite else "chunk_number"
    merit = (
        "bm25(knowledge_index, 0.0, 1.0), rowid"
        if is_sqlite
        else "-ts_rank(array_to_tsvector(string_to_array(terms, ' ')), cast(:query as tsquery)),"
        " chunk_number"
    )
    statement, values = _search(connection, number, kb_ids, terms, f" order by {merit} limit :most")
    numbers = list(await connection.scalars(statement, {**values, "most": limit}))
    columns = (chunks.c.chunk_number, chunks.c.chunk_id, chunks.c.kb_id, chunks.c.document_id)
    query = select(*columns, documents.c.filename, chunks.c.text, chunks.c.terms)
    # Not of one that is still being read, or was given up half-way.
    is_whole = (documents.c.document_id == chunks.c.document_id) & (documents.c.status == "indexed")
    query = query.join(documents, is_whole)
    rows = await connection.execute(query.where(chunks.c.chunk_number.in_(numbers)))
    found = {number: ChunkRow(*rest) for number, *rest in rows}
    return [found[number] for number in numbers if number in found]


def _search(
    connection: AsyncConnection,
    wanted: str,
    kb_ids: Sequence[str],
    terms: Sequence[str],
    rest: str = "",
) -> tuple[Any, dict[str, Any]]:
    """Return a full-text search in the database's own words, and its values.

    Terms are ASCII letters and digits, as `sidecar.terms` makes them: none can end its quotes.
    """
    if _is_sqlite(connection):
        scope = " OR ".join(kb_id.replace("_", "") for kb_id in kb_ids)
        any_of = " OR ".join(f'"{term}"{" *" if is_prefix(term) else ""}' for term in terms)
        query = f"{{scope}} : ({scope}) AND {{terms}} : ({any_of})"
        where = "from knowledge_index where knowledge_index match :query"
        return text(f"select {wanted} {where}{rest}"), {"query": query}
    any_of = " | ".join(f"'{term}'{':*' if is_prefix(term) else ''}" for term in terms)
    where = f"from knowledge_chunks where kb_id in :kb_ids and {_MATCHES}"
    statement = text(f"select {wanted} {where}{rest}")
    statement = statement.bindparams(bindparam("kb_ids", expanding=True))
    return statement, {"query": any_of, "kb_ids": list(kb_ids)}


async def _documents(
    connection: AsyncConnection, *clauses: ColumnElement[bool]
) -> list[DocumentRow]:
    query = select(documents).where(*clauses)
    rows = await connection.execute(query.order_by(documents.c.created_at, documents.c.document_id))
    return [DocumentRow(**row._mapping) for row in rows]


def _is_sqlite(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "sqlite"


def _values(row: BaseRow | DocumentRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in type(row).__dataclass_fields__}
