"""``POST /hook/call``: the telephone system tells of calls, with a key of its own made in the settings; off unless switched on.

    {"event": "ring" | "answer" | "end", "id": "…", "caller": "013905751234", "called": "801", "answered": true, "recording": "…"}

The key stands in the header ``Authorization: Bearer …`` or ``X-Key``. Wrong keys are counted and braked like every other guess.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcrm.domain import verbs
from localcrm.domain.calls.settings import call_settings
from localcrm.domain.policy import SYSTEM
from localcrm.kernel.errors import AppError, Forbidden, InvalidInput, NotFound
from localcrm.kernel.i18n import N_
from localcrm.sync.http import Guesses

if TYPE_CHECKING:
    from localcrm.store.store import Store
    from localcrm.ui.program import Program

PATH = "/hook/call"
#: Nobody needs more to tell of a call.
BODY_LIMIT = 8 * 1024
_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
_Short = Annotated[str, StringConstraints(max_length=200)]


class Told(BaseModel):
    """What a telephone system says; what else it sends is left out."""

    model_config = ConfigDict(extra="ignore", strict=True)

    event: Literal["ring", "answer", "end"] = "ring"
    id: _Short | None = None
    caller: _Short = ""
    called: _Short = ""
    direction: Literal["in", "out"] | None = None
    answered: bool | None = None
    recording: _Short | None = None


def routes(program: Program) -> list[Route]:
    """The route of this module."""
    guesses = Guesses()

    async def endpoint(request: Request) -> Response:
        address = request.client.host if request.client else ""
        try:
            body = await request.body()
            store = program.store
            if store is None or not store.node.enrolled:
                raise _off()
            return JSONResponse(await asyncio.to_thread(_take, store, guesses, address, _key_of(request), body))
        except AppError as error:
            return JSONResponse({"code": error.code, "message": error.message}, status_code=error.http_status)

    return [Route(PATH, endpoint, methods=["POST"])]


def _take(store: Store, guesses: Guesses, address: str, key: str, body: bytes) -> dict[str, Any]:
    guesses.require_calm(address)
    with store.read() as connection:
        settings = call_settings(connection)
    if not settings.hook:
        raise _off()
    if not (_KEY.fullmatch(key) and settings.is_key(key)):
        guesses.note(address)
        raise Forbidden("wrong_key", N_("This key is not the one that was made for the telephone system."))
    try:
        told = Told.model_validate(json.loads(body))
    except (ValueError, RecursionError, ValidationError):
        raise InvalidInput("bad_request", N_("The request cannot be understood.")) from None
    said = told.model_dump(exclude={"id"}) | {"key": told.id, "source": "hook"}
    found: dict[str, Any] = verbs.run(store, SYSTEM, "calls.heard", said)
    return found


def _key_of(request: Request) -> str:
    scheme, _space, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.casefold() == "bearer" else request.headers.get("x-key", "").strip()


def _off() -> NotFound:
    return NotFound("hook_off", N_("Nothing is taken here."))
