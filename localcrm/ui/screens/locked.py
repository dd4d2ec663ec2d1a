"""The lock before a screen nobody used: a page for who loads one anew, and what the card over an open page asks."""

from __future__ import annotations

import asyncio
from html import escape
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from localcrm.domain.people import idle
from localcrm.domain.people.sessions import find_session
from localcrm.kernel.errors import AppError, SignInNeeded
from localcrm.kernel.i18n import gettext as _
from localcrm.ui.kit import plain
from localcrm.ui.screens.login import form_values, own_path

if TYPE_CHECKING:
    from localcrm.ui.program import Program
    from localcrm.ui.sessions import Session


def routes(program: Program) -> list[Route]:
    """GET and POST /locked for a page, /api/session/… for scripts."""

    async def show(request: Request) -> Response:
        session: Session = request.scope["localcrm.session"]
        next_path = own_path(request.query_params.get("next"))
        return _form(session, next_path) if session.locked else RedirectResponse(next_path, status_code=303)

    async def submit(request: Request) -> Response:
        session: Session = request.scope["localcrm.session"]
        values = await form_values(request)
        next_path = own_path(values.get("next"))
        try:
            await _unlock(session, values.get("password", ""))
        except AppError as error:
            return _form(session, next_path, error)
        return RedirectResponse(next_path, status_code=303)

    async def state(request: Request) -> Response:
        return JSONResponse({"locked": request.scope["localcrm.session"].locked})

    async def used(request: Request) -> Response:
        session: Session = request.scope["localcrm.session"]
        await asyncio.to_thread(idle.note_use, session.store, session.key)
        return JSONResponse({})

    async def lock(request: Request) -> Response:
        session: Session = request.scope["localcrm.session"]
        await asyncio.to_thread(idle.lock, session.store, session.key)
        program.sessions.lock([session.key])
        return JSONResponse({})

    async def unlock(request: Request) -> Response:
        values = await form_values(request)
        try:
            await _unlock(request.scope["localcrm.session"], values.get("password", ""))
        except AppError as error:
            return JSONResponse({"code": error.code, "message": error.message}, status_code=422)
        return JSONResponse({})

    return [
        Route("/locked", show, methods=["GET"]),
        Route("/locked", submit, methods=["POST"]),
        Route("/api/session/state", state, methods=["GET"]),
        Route("/api/session/used", used, methods=["POST"]),
        Route("/api/session/lock", lock, methods=["POST"]),
        Route("/api/session/unlock", unlock, methods=["POST"]),
    ]


async def _unlock(session: Session, password: str) -> None:
    found = await asyncio.to_thread(find_session, session.store, session.token)
    if found is None:
        raise SignInNeeded
    await asyncio.to_thread(idle.unlock, session.store, found, password=password)
    session.locked = False
    session.show_lock()


def _form(session: Session, next_path: str, error: AppError | None = None) -> Response:
    body = (
        f'<p class="lc-muted">{escape(session.user_name)}</p>'
        + plain.problem(error.message if error else "")
        + f'<form method="post" action="/locked"><input type="hidden" name="next" value="{escape(next_path)}">'
        + plain.field("password", _("Password"), kind="password", extra='autocomplete="current-password" required autofocus')
        + plain.button(_("Go on"))
        + "</form>"
        + f'<form method="post" action="/logout" class="lc-plain-other"><button class="lc-link">{escape(_("Somebody else signs in"))}</button></form>'
    )
    return plain.page(_("Locked"), body, status=422 if error else 200)
