"""The routes by which the form asks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcrm.kernel.errors import AppError, InvalidInput, StaleRecord
from localcrm.kernel.i18n import N_
from localcrm.ui.endpoints import session_of
from localcrm.ui.order_form.grid import preview
from localcrm.ui.order_form.lookups import account, deals, products
from localcrm.ui.order_form.papers import paper_of
from localcrm.ui.order_form.paste import pasted
from localcrm.ui.order_form.saving import compare, save
from localcrm.ui.order_form.sheet import Sheet, load_sheet

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


def sheet(session: Session, body: Mapping[str, Any]) -> Sheet:
    """The order or quote as it stands."""
    return load_sheet(session, str(body.get("id")), paper_of(body))


def _route(function: Callable[[Session, Mapping[str, Any]], dict[str, Any]]) -> Route:
    """POST /api/order/<name>: a plain function (session, body) in a worker thread; an error names its field and what was saved."""

    async def endpoint(request: Request) -> Response:
        try:
            body = json.loads(await request.body())
        except ValueError:
            body = None
        try:
            if not isinstance(body, dict):
                raise InvalidInput("bad_request", N_("The request cannot be understood."))
            return JSONResponse(await asyncio.to_thread(function, session_of(request), body))
        except AppError as error:
            told = {"code": error.code, "message": error.message, "stale": isinstance(error, StaleRecord)}
            told |= {key: str(error.params[key]) for key in ("field", "saved", "row") if error.params.get(key)}
            return JSONResponse(told, status_code=error.http_status)

    return Route(f"/api/order/{function.__name__}", endpoint, methods=["POST"])


ROUTES = [_route(function) for function in (preview, save, compare, products, pasted, deals, account, sheet)]
