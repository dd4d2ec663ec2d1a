"""The two requests behind attached files: one takes a file in, one hands it out to who sees the record that names it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from localcrm.domain.attachments import open_file
from localcrm.kernel.attachments import MAX_SIZE, Attachment, clean_name
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.store import blobs
from localcrm.ui.endpoints import session_of


async def upload(request: Request) -> Response:
    """POST /api/upload/attachment?name=…: the body is the file; answers {"line"}, which a field of a record can then name."""
    session, name = session_of(request), request.query_params.get("name", "")
    data = bytearray()
    try:
        async for block in request.stream():
            data += block
            if len(data) > MAX_SIZE:
                raise InvalidInput(
                    "file_too_large",
                    N_("“{name}” is larger than {limit} MB and was not attached."),
                    name=clean_name(name),
                    limit=MAX_SIZE >> 20,
                )
        file = await asyncio.to_thread(blobs.add, session.store, name, bytes(data))
    except AppError as error:
        return JSONResponse({"code": error.code, "message": error.message}, status_code=error.http_status)
    return JSONResponse({"line": file.line})


async def download(request: Request) -> Response:
    """GET /api/file/ENTITY/ID/FIELD/HASH: the file, to be saved; a browser never shows it as a page of ours."""
    session, wanted = session_of(request), request.path_params

    def begin() -> tuple[Attachment, Iterator[bytes], bytes]:
        file, content = open_file(
            session.store, session.actor, entity=wanted["entity"], id=wanted["identity"], field=wanted["field"], hash=wanted["hash"]
        )
        return file, content, next(content, b"")

    try:
        file, content, first = await asyncio.to_thread(begin)
    except AppError as error:
        return JSONResponse({"code": error.code, "message": error.message}, status_code=error.http_status)

    def parts() -> Iterator[bytes]:
        yield first
        yield from content

    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
        "Content-Length": str(file.size),
        "Cache-Control": "private, no-store",
        "Content-Security-Policy": "sandbox",
    }
    return StreamingResponse(parts(), media_type="application/octet-stream", headers=headers)


ROUTES = [
    Route("/api/upload/attachment", upload, methods=["POST"]),
    Route("/api/file/{entity}/{identity}/{field}/{hash}", download, methods=["GET"]),
]
