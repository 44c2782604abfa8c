"""Recordings: handed in by agents' hosts; by key for services, by public token for whoever has it.

They are read with ranges, from where each of them is.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import structlog
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from contracts.recording import RecordingOffer
from sidecar.access import Access
from sidecar.api.body import body_of, does_not_fit
from sidecar.archive import S3, Archive
from sidecar.denial import Code, Denied
from sidecar.recording import RecordingFolder
from sidecar.storage import Bucket, ObjectMissing, RangeUnsatisfiable, StorageError
from sidecar.store import recordings
from sidecar.store.database import Database
from sidecar.store.recordings import RecordingRow

log = structlog.get_logger(__name__)

_TYPE = "audio/wav"
_ONE_RANGE = re.compile(r"bytes=(?:[0-9]+-[0-9]*|-[0-9]+)")


def routes(
    access: Access,
    database: Database,
    folder: RecordingFolder,
    bucket: Bucket | None,
    archive: Archive,
) -> list[BaseRoute]:
    """Return the ways of recordings, in and out."""

    async def offer(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        offered = await body_of(request, RecordingOffer)
        target = await archive.offer(tenant_id, request.path_params["call_id"], offered)
        return Response(target.model_dump_json(), media_type="application/json")

    async def take(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        try:
            offered = RecordingOffer.model_validate(dict(request.query_params))
        except ValidationError as error:
            raise does_not_fit(error) from error
        await archive.take(tenant_id, request.path_params["call_id"], offered, request.stream())
        return Response(status_code=204)

    async def confirm(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        offered = await body_of(request, RecordingOffer)
        key = request.query_params.get("key", "")
        await archive.confirm(tenant_id, request.path_params["call_id"], offered, key)
        return Response(status_code=204)

    async def by_key(request: Request) -> Response:
        tenant_id = access.require_service(request.headers)
        async with database.read() as connection:
            row = await recordings.by_key(connection, tenant_id, request.path_params["key"])
        return await read(request, row)

    async def by_token(request: Request) -> Response:
        async with database.read() as connection:
            row = await recordings.by_token(connection, request.path_params["token"])
        return await read(request, row)

    async def read(request: Request, row: RecordingRow | None) -> Response:
        """Answer from the place where it is, else from the other one."""
        if row is None:
            raise _not_there()
        if row.place == S3 and bucket is not None:
            try:
                return await _object(bucket, row, request)
            except StorageError as error:
                if (path := await _file(folder, row.recording_key)) is None:
                    raise _denial_of(error) from error
                log.warning("recording_from_folder", error=type(error).__name__)
                return _file_response(path)
        if (path := await _file(folder, row.recording_key)) is not None:
            return _file_response(path)
        if row.stored_at is None or bucket is None:
            raise _not_there()
        try:
            return await _object(bucket, row, request)
        except StorageError as error:
            raise _denial_of(error) from error

    return [
        Route("/internal/v1/calls/{call_id}/recording", offer, methods=["POST"]),
        Route("/internal/v1/calls/{call_id}/recording", take, methods=["PUT"]),
        Route("/internal/v1/calls/{call_id}/recording/stored", confirm, methods=["POST"]),
        Route("/recordings/{key:path}", by_key),
        Route("/api/v1/public/recordings/{token}", by_token),
    ]


async def _file(folder: RecordingFolder, key: str) -> Path | None:
    path = folder.file_of(key)
    return path if path is not None and await asyncio.to_thread(path.is_file) else None


def _file_response(path: Path) -> Response:
    return FileResponse(path, media_type=_TYPE, content_disposition_type="inline")


async def _object(bucket: Bucket, row: RecordingRow, request: Request) -> Response:
    etag = f'"{row.sha256}"'
    headers = {"Accept-Ranges": "bytes", "ETag": etag}
    if request.method == "HEAD":
        held = await bucket.head(row.recording_key)
        headers["Content-Length"] = str(held.size_bytes)
        return Response(headers=headers, media_type=_TYPE)
    try:
        opened = await bucket.open(row.recording_key, _range_of(request, etag))
    except RangeUnsatisfiable:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{row.size_bytes}"})
    headers["Content-Length"] = str(opened.size_bytes)
    if opened.content_range is None:
        return StreamingResponse(opened.chunks, headers=headers, media_type=_TYPE)
    headers["Content-Range"] = opened.content_range
    return StreamingResponse(opened.chunks, 206, headers, _TYPE)


def _range_of(request: Request, etag: str) -> str | None:
    """Return the range to ask the storage for: one, and of the content that the reader knows."""
    asked = request.headers.get("Range", "")
    if request.headers.get("If-Range", etag) != etag or not _ONE_RANGE.fullmatch(asked):
        return None
    return asked


def _not_there() -> Denied:
    return Denied(Code.NOT_FOUND, "there is no such recording, or it has not arrived yet")


def _denial_of(error: StorageError) -> Denied:
    if isinstance(error, ObjectMissing):
        return _not_there()
    return Denied(Code.STORE_UNAVAILABLE, "the storage does not answer", retry_after_s=5)
