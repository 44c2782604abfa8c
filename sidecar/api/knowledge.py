"""Knowledge bases and their documents, for administrators; searches, for agents."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contracts.knowledge import MAX_QUESTION_CHARS, KnowledgeQuestion
from sidecar.access import Access
from sidecar.api.body import body_of
from sidecar.denial import Code, Denied
from sidecar.fault import unfit
from sidecar.knowledge import MAX_DOCUMENT_BYTES, Knowledge, passage_of
from sidecar.store.knowledge import BaseRow, DocumentRow

_FORM_BYTES = 64 * 1024
"""What a form has beside the file."""
_MAX_NAME_CHARS = 200


class _NewBase(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=_MAX_NAME_CHARS)
    description: str = Field(default="", max_length=2000)


class _BaseChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=_MAX_NAME_CHARS)
    description: str | None = Field(default=None, max_length=2000)
    is_active: bool | None = None


class _Search(BaseModel):
    model_config = ConfigDict(extra="forbid")

    query: str = Field(min_length=1, max_length=MAX_QUESTION_CHARS)
    top_k: int = Field(default=4, ge=1, le=10)
    score_threshold: float = Field(default=0.0, ge=0, le=1)


def routes(access: Access, knowledge: Knowledge) -> list[BaseRoute]:
    """Return `/api/v1/knowledge-bases`, and what agents ask."""

    async def listed(request: Request) -> Response:
        rows = await knowledge.listed(await _tenant(request))
        return JSONResponse({"knowledge_bases": [_base(row) for row in rows]})

    async def create(request: Request) -> Response:
        tenant_id = await _tenant(request)
        wanted = await body_of(request, _NewBase)
        row = await knowledge.make(tenant_id, wanted.name, wanted.description)
        return JSONResponse(_base(row), 201)

    async def show(request: Request) -> Response:
        return JSONResponse(_base(await knowledge.get(await _tenant(request), _kb_id(request))))

    async def change(request: Request) -> Response:
        tenant_id = await _tenant(request)
        changes = await body_of(request, _BaseChange)
        row = await knowledge.change(tenant_id, _kb_id(request), **changes.model_dump())
        return JSONResponse(_base(row))

    async def retire(request: Request) -> Response:
        await knowledge.change(await _tenant(request), _kb_id(request), is_active=False)
        return Response(status_code=204)

    async def search(request: Request) -> Response:
        tenant_id, kb_id = await _tenant(request), _kb_id(request)
        await knowledge.get(tenant_id, kb_id)
        asked = await body_of(request, _Search)
        found = await knowledge.search(
            tenant_id, [kb_id], asked.query, top_k=asked.top_k, threshold=asked.score_threshold
        )
        return JSONResponse({"passages": [passage_of(each).model_dump() for each in found]})

    async def documents(request: Request) -> Response:
        rows = await knowledge.documents(await _tenant(request), _kb_id(request))
        return JSONResponse({"documents": [_document(row) for row in rows]})

    async def upload(request: Request) -> Response:
        tenant_id = await _tenant(request)
        # Whoever may not is told before 20 MB are read.
        await knowledge.get(tenant_id, _kb_id(request))
        knowledge.admit(tenant_id)
        try:
            filename, data = await _file(request)
            row = await knowledge.take(tenant_id, _kb_id(request), filename, data)
        finally:
            knowledge.leave(tenant_id)
        return JSONResponse(_document(row), 201)

    async def document(request: Request) -> Response:
        tenant_id, document_id = await _tenant(request), request.path_params["document_id"]
        row = await knowledge.document(tenant_id, _kb_id(request), document_id)
        return JSONResponse(_document(row))

    async def remove(request: Request) -> Response:
        tenant_id, document_id = await _tenant(request), request.path_params["document_id"]
        await knowledge.remove(tenant_id, _kb_id(request), document_id)
        return Response(status_code=204)

    async def answer(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        asked = await body_of(request, KnowledgeQuestion)
        found = await knowledge.answer(tenant_id, request.path_params["call_id"], asked)
        return Response(found.model_dump_json(), media_type="application/json")

    async def _tenant(request: Request) -> str:
        principal = await access.principal(request.headers)
        principal.require_admin()
        return principal.tenant_id

    return [
        Route("/api/v1/knowledge-bases", listed),
        Route("/api/v1/knowledge-bases", create, methods=["POST"]),
        Route("/api/v1/knowledge-bases/{kb_id}", show),
        Route("/api/v1/knowledge-bases/{kb_id}", change, methods=["PUT"]),
        Route("/api/v1/knowledge-bases/{kb_id}", change, methods=["PATCH"]),
        Route("/api/v1/knowledge-bases/{kb_id}", retire, methods=["DELETE"]),
        Route("/api/v1/knowledge-bases/{kb_id}/search", search, methods=["POST"]),
        Route("/api/v1/knowledge-bases/{kb_id}/documents", documents),
        Route("/api/v1/knowledge-bases/{kb_id}/documents", upload, methods=["POST"]),
        Route("/api/v1/knowledge-bases/{kb_id}/documents/{document_id}", document),
        Route(
            "/api/v1/knowledge-bases/{kb_id}/documents/{document_id}", remove, methods=["DELETE"]
        ),
        Route("/internal/v1/calls/{call_id}/knowledge", answer, methods=["POST"]),
    ]


async def _file(request: Request) -> tuple[str, bytes]:
    """Return the name and the content of an upload: a form's `file`, or the body itself."""
    is_form = request.headers.get("Content-Type", "").startswith("multipart/form-data")
    size = request.headers.get("Content-Length", "")
    most = MAX_DOCUMENT_BYTES + (_FORM_BYTES if is_form else 0)
    # Of a body in chunks a length that is told means nothing.
    is_told = size.isdecimal() and "Transfer-Encoding" not in request.headers
    if not is_told or int(size) > most:
        raise Denied(Code.BODY_INVALID, "a document has at most 20 MB, and its length is told")
    if not is_form:
        return _named(request.query_params.get("filename")), await request.body()
    async with request.form(max_files=1, max_fields=4) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise unfit("file", "the form has none")
        return _named(file.filename), await file.read()


def _named(filename: str | None) -> str:
    # A browser may send a path; only its end is a name.
    name = (filename or "").replace("\\", "/").rpartition("/")[2]
    if not name or len(name) > _MAX_NAME_CHARS or not name.isprintable():
        raise unfit("filename", "1-200 characters, such as faq.pdf")
    return name


def _kb_id(request: Request) -> str:
    return str(request.path_params["kb_id"])


def _base(row: BaseRow) -> dict[str, Any]:
    return {
        "kb_id": row.kb_id,
        "name": row.name,
        "description": row.description,
        "is_active": row.is_active,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }


def _document(row: DocumentRow) -> dict[str, Any]:
    return {
        "document_id": row.document_id,
        "kb_id": row.kb_id,
        "filename": row.filename,
        "size_bytes": row.size_bytes,
        "status": row.status,
        "error": row.error,
        "chunk_count": row.chunk_count,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }
