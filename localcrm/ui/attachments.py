"""The two requests behind attached files: one takes a file in, one hands it out to who sees the record that names it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from localcrm.domain.attachments import find_file, open_file, shown_type
from localcrm.kernel.attachments import MAX_SIZE, Attachment, clean_name
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.store import blobs
from localcrm.ui.endpoints import session_of

_PAPER = "application/pdf"
#: Whatever a content turns out to be, it runs nothing and is a stranger to our pages. Not every browser shows a PDF in a sandbox; shown it is by a
#: program of its own, for which nothing may be loaded.
_SEALED, _SEALED_PAPER = "sandbox", "default-src 'none'"


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
    """GET /api/file/ENTITY/ID/FIELD/HASH: the file, to be saved. With ?show=1 what is a picture, a sound or a PDF by its content comes
    as that, to be shown in place or in a tab of its own, sealed off from our pages; of a sound a Range where one is asked for.
    """
    session, wanted = session_of(request), request.path_params
    place = {"entity": wanted["entity"], "id": wanted["identity"], "field": wanted["field"], "hash": wanted["hash"]}

    def begin() -> tuple[Attachment, str | None, slice, Iterator[bytes], bytes]:
        file = find_file(session.store, session.actor, **place)
        shown = shown_type(session.store, file) if request.query_params.get("show") else None
        span = _span(request.headers.get("range", "") if shown and shown.startswith("audio/") else "", file.size)
        note = shown is None or shown == _PAPER
        content = open_file(session.store, session.actor, file, entity=wanted["entity"], at=span.start, upto=span.stop, note=note)
        return file, shown, span, content, next(content, b"")

    try:
        file, shown, span, content, first = await asyncio.to_thread(begin)
    except AppError as error:
        return JSONResponse({"code": error.code, "message": error.message}, status_code=error.http_status)

    def parts() -> Iterator[bytes]:
        yield first
        yield from content

    headers = {
        "Content-Disposition": f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{quote(file.name)}",
        "Content-Length": str(span.stop - span.start),
        "Cache-Control": "private, no-store",
        "Content-Security-Policy": _SEALED_PAPER if shown == _PAPER else _SEALED,
    }
    if shown and shown.startswith("audio/"):
        headers["Accept-Ranges"] = "bytes"
    is_whole = (span.start, span.stop) == (0, file.size)
    if not is_whole:
        headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{file.size}"
    media_type = shown or "application/octet-stream"
    return StreamingResponse(parts(), status_code=200 if is_whole else 206, media_type=media_type, headers=headers)


def _span(text: str, size: int) -> slice:
    """The bytes that a Range header asks for; all of them where it asks for none, for several spans, or for what is not there."""
    found = re.fullmatch(r"bytes=(\d{0,12})-(\d{0,12})", text, re.ASCII)
    if found is None or not (found[1] or found[2]):
        return slice(0, size)
    begin = int(found[1]) if found[1] else max(0, size - int(found[2]))
    end = min(size, int(found[2]) + 1) if found[1] and found[2] else size
    return slice(begin, end) if begin < end else slice(0, size)


ROUTES = [
    Route("/api/upload/attachment", upload, methods=["POST"]),
    Route("/api/file/{entity}/{identity}/{field}/{hash}", download, methods=["GET"]),
]
