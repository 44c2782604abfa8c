"""Recordings: by key for services, by public token for whoever was given the link; with ranges."""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar.access import Access
from sidecar.denial import Code, Denied
from sidecar.recording import RecordingFolder
from sidecar.store import recordings
from sidecar.store.database import Database


def routes(access: Access, database: Database, folder: RecordingFolder) -> list[BaseRoute]:
    """Return both ways to a recording."""

    async def by_key(request: Request) -> Response:
        access.require_service(request.headers)
        return await _file(folder.file_of(request.path_params["key"]))

    async def by_token(request: Request) -> Response:
        async with database.read() as connection:
            row = await recordings.by_token(connection, request.path_params["token"])
        return await _file(None if row is None else folder.file_of(row.recording_key))

    return [
        Route("/recordings/{key:path}", by_key),
        Route("/api/v1/public/recordings/{token}", by_token),
    ]


async def _file(path: Path | None) -> Response:
    if path is None or not await asyncio.to_thread(path.is_file):
        raise Denied(Code.NOT_FOUND, "there is no such recording, or it has not arrived yet")
    return FileResponse(path, media_type="audio/wav", content_disposition_type="inline")
