"""Knowledge bases: documents taken in, read, cut into passages, and searched by live calls."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from weakref import WeakValueDictionary

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.bot import BotConfig
from contracts.knowledge import KnowledgeFound, KnowledgePassage, KnowledgeQuestion
from sidecar import reader
from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.erasure import missing
from sidecar.reader import Passage
from sidecar.reading import KINDS, Unreadable
from sidecar.search import Found, search
from sidecar.store import calls, knowledge
from sidecar.store.database import Database
from sidecar.store.knowledge import BaseRow, ChunkRow, DocumentRow

log = structlog.get_logger(__name__)

MAX_DOCUMENT_BYTES = 20 * 1024 * 1024
MAX_DOCUMENTS = 1000
MAX_WAITING = 4
"""Documents in memory at once; the others are refused, to be sent again."""
MAX_WAITING_OF_ONE = 3
"""Of them, one tenant's: there is room for somebody else's."""
READERS = 2
"""Documents read at once, each of another tenant."""
FORGOTTEN = timedelta(minutes=10)
"""After how long a document that is still being read has lost its reader."""
_BATCH = 100
"""Passages stored in one transaction: SQLite has one writer, and live calls want it too."""

Read = Callable[[str, bytes], Awaitable[list[Passage]]]


def new_name(prefix: str) -> str:
    """Return a fresh id such as `kb_0a1b…`."""
    return f"{prefix}_{os.urandom(12).hex()}"


class Knowledge:
    """The tenants' knowledge bases. One per process."""

    def __init__(self, database: Database, clock: Clock, read: Read = reader.read) -> None:
        """
        Args:
            database: where everything is kept.
            clock: where the time comes from.
            read: makes passages of a file, or raises `Unreadable`.
        """
        self._database = database
        self._clock = clock
        self._read = read
        self._readers = asyncio.Semaphore(READERS)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._waiting: Counter[str] = Counter()

    async def make(self, tenant_id: str, name: str, description: str) -> BaseRow:
        """Store a new, empty knowledge base."""
        now = self._clock()
        row = BaseRow(new_name("kb"), tenant_id, name, description, True, now, now)
        async with self._database.transaction() as connection:
            await knowledge.add_base(connection, row)
        return row

    async def listed(self, tenant_id: str) -> list[BaseRow]:
        async with self._database.read() as connection:
            return await knowledge.listed_bases(connection, tenant_id)

    async def get(self, tenant_id: str, kb_id: str) -> BaseRow:
        """Return a knowledge base.

        Raises:
            Denied: there is no such one.
        """
        async with self._database.read() as connection:
            return await _base(connection, tenant_id, kb_id)

    async def change(
        self,
        tenant_id: str,
        kb_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        is_active: bool | None = None,
    ) -> BaseRow:
        """Change what is given of a knowledge base. One that is not active is searched no more.

        Raises:
            Denied: there is no such one.
        """
        async with self._database.transaction() as connection:
            row = await _base(connection, tenant_id, kb_id)
            row = replace(
                row,
                name=row.name if name is None else name,
                description=row.description if description is None else description,
                is_active=row.is_active if is_active is None else is_active,
                updated_at=self._clock(),
            )
            await knowledge.save_base(connection, row)
        return row

    async def documents(self, tenant_id: str, kb_id: str) -> list[DocumentRow]:
        """Return the documents of a knowledge base, the oldest first.

        Raises:
            Denied: there is no such one.
        """
        async with self._database.transaction() as connection:
            await _base(connection, tenant_id, kb_id)
            before = self._clock() - FORGOTTEN
            lost = "reading it was interrupted; upload it again"
            await knowledge.fail_unfinished(connection, kb_id, before, lost)
            return await knowledge.listed_documents(connection, tenant_id, kb_id)

    async def document(self, tenant_id: str, kb_id: str, document_id: str) -> DocumentRow:
        """Return a document.

        Raises:
            Denied: there is no such one.
        """
        async with self._database.read() as connection:
            row = await knowledge.document(connection, tenant_id, kb_id, document_id)
        if row is None:
            raise _no_document(document_id)
        return row

    async def take(self, tenant_id: str, kb_id: str, filename: str, data: bytes) -> DocumentRow:
        """Read a document and make it findable; return it `indexed`, or `failed` and why.

        Raises:
            Denied: there is no such knowledge base, it is full, or this is no document for it.
        """
        kind = filename.rpartition(".")[2].lower()
        if kind not in KINDS:
            raise _unfit(f"{filename[:100]!r} is not one of: {', '.join(sorted(KINDS))}")
        if not data or len(data) > MAX_DOCUMENT_BYTES:
            raise _unfit("a document has 1 byte to 20 MB")
        now = self._clock()
        row = DocumentRow(
            new_name("doc"), tenant_id, kb_id, filename, len(data), "uploaded", None, 0, now, now
        )
        async with self._database.transaction() as connection:
            await _base(connection, tenant_id, kb_id)
            if await knowledge.count_documents(connection, kb_id) >= MAX_DOCUMENTS:
                raise _unfit(f"a knowledge base has at most {MAX_DOCUMENTS} documents")
            await knowledge.add_document(connection, row)
        turn = self._turns.setdefault(tenant_id, asyncio.Lock())
        async with turn, self._readers:
            row = await self._changed(row, status="indexing")
            try:
                found = await self._read(kind, data)
            except Unreadable as error:
                log.info("document_failed", document_id=row.document_id, error=str(error))
                return await self._changed(row, status="failed", error=str(error))
            except BaseException:
                await self._changed(row, status="failed", error="reading it was interrupted")
                raise
            return await self._indexed(row, found)

    def admit(self, tenant_id: str) -> None:
        """Let one more upload begin; each that was let in is `leave`d.

        Raises:
            Denied: too many are under way.
        """
        waiting = self._waiting
        if waiting.total() >= MAX_WAITING or waiting[tenant_id] >= MAX_WAITING_OF_ONE:
            message = "too many documents are being taken in; try again shortly"
            raise Denied(Code.TOO_MANY, message, retry_after_s=5)
        waiting[tenant_id] += 1

    def leave(self, tenant_id: str) -> None:
        """An upload has come to its end."""
        self._waiting -= Counter([tenant_id])

    async def remove(self, tenant_id: str, kb_id: str, document_id: str) -> None:
        """Delete a document and everything that was made of it.

        Raises:
            Denied: there is no such one.
        """
        async with self._database.transaction() as connection:
            if await knowledge.document(connection, tenant_id, kb_id, document_id) is None:
                raise _no_document(document_id)
            await knowledge.remove_document(connection, document_id)
            await self._database.note_deletion(connection)

    async def search(
        self, tenant_id: str, kb_ids: Sequence[str], question: str, *, top_k: int, threshold: float
    ) -> list[Found]:
        """Return the passages that answer a question best; see `sidecar.search`."""
        async with self._database.read() as connection:
            return await search(
                connection, tenant_id, kb_ids, question, top_k=top_k, threshold=threshold
            )

    async def answer(
        self, tenant_id: str, call_id: str, asked: KnowledgeQuestion
    ) -> KnowledgeFound:
        """Answer the agent of a call, from where its bot may look.

        Raises:
            Denied: there is no such call, it is over, or another agent serves it.
        """
        async with self._database.read() as connection:
            row = await calls.get(connection, tenant_id, call_id)
            if row is None:
                raise await missing(connection, tenant_id, call_id)
            if row.is_ended:
                raise Denied(Code.CALL_ENDED, "the call is over")
            if row.incarnation != asked.incarnation:
                raise Denied(
                    Code.STALE_INCARNATION,
                    "another incarnation serves the call; leave it",
                    details={"incarnation": row.incarnation},
                )
            config = BotConfig.model_validate(row.config or {})
            found = await search(
                connection,
                tenant_id,
                config.knowledge_kb_ids if config.knowledge_enabled else [],
                asked.question,
                top_k=config.knowledge_top_k,
                threshold=config.knowledge_score_threshold,
            )
        return KnowledgeFound(passages=[passage_of(each) for each in found])

    async def _indexed(self, row: DocumentRow, found: Sequence[Passage]) -> DocumentRow:
        rows = [
            ChunkRow(
                chunk_id=f"{row.document_id}_chunk_{number}",
                kb_id=row.kb_id,
                document_id=row.document_id,
                filename=row.filename,
                text=each.text,
                terms=each.terms,
            )
            for number, each in enumerate(found)
        ]
        for start in range(0, len(rows), _BATCH):
            async with self._database.transaction() as connection:
                # Removed meanwhile, it gets no more of them.
                values = {"updated_at": self._clock()}
                if not await knowledge.change_document(connection, row.document_id, values):
                    raise _no_document(row.document_id)
                batch = rows[start : start + _BATCH]
                await knowledge.add_chunks(connection, row.tenant_id, batch)
        return await self._changed(row, status="indexed", chunk_count=len(rows))

    async def _changed(
        self, row: DocumentRow, *, status: str, error: str | None = None, chunk_count: int = 0
    ) -> DocumentRow:
        changed = replace(
            row, status=status, error=error, chunk_count=chunk_count, updated_at=self._clock()
        )
        values = {
            "status": status,
            "error": error,
            "chunk_count": chunk_count,
            "updated_at": changed.updated_at,
        }
        async with self._database.transaction() as connection:
            if not await knowledge.change_document(connection, row.document_id, values):
                raise _no_document(row.document_id)
        return changed


def passage_of(found: Found) -> KnowledgePassage:
    """Return a found passage as it is told."""
    chunk = found.chunk
    return KnowledgePassage(
        chunk_id=chunk.chunk_id, document=chunk.filename, score=found.score, text=chunk.text
    )


async def _base(connection: AsyncConnection, tenant_id: str, kb_id: str) -> BaseRow:
    row = await knowledge.base(connection, tenant_id, kb_id)
    if row is None:
        raise Denied(Code.NOT_FOUND, f"there is no knowledge base {kb_id[:100]!r}")
    return row


def _no_document(document_id: str) -> Denied:
    return Denied(Code.NOT_FOUND, f"there is no document {document_id[:100]!r}")


def _unfit(message: str) -> Denied:
    return Denied(Code.BODY_INVALID, message)
