"""The first page of a protected folder: its passphrase, or the recovery code and a new passphrase. Opened by a one-time token only."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import N_, gettext as _, use_language
from localcrm.store.store import Store
from localcrm.ui.kit import plain
from localcrm.ui.screens.first_run import first_page_of, turned_away
from localcrm.ui.screens.login import form_values, remember_language, wanted_language

if TYPE_CHECKING:
    from localcrm.ui.program import Program


def routes(program: Program) -> list[Route]:
    """GET and POST /unlock."""
    busy = asyncio.Lock()  # one guess at a time, and each takes the time a key takes to stretch

    async def show(request: Request) -> Response:
        token = request.query_params.get("token", "")
        with use_language(wanted_language(request)):
            away = turned_away(program, request, token, _("Unlock"))
            return away or remember_language(request, _form(token, recovery="recovery" in request.query_params))

    async def submit(request: Request) -> Response:
        values = await form_values(request)
        with use_language(wanted_language(request)):
            async with busy:
                if away := turned_away(program, request, values.get("token", ""), _("Unlock")):
                    return away
                try:
                    store = await asyncio.to_thread(_open, program, values)
                except AppError as error:
                    return _form(values["token"], recovery="recovery_code" in values, code=values.get("recovery_code", ""), error=error)
                program.entry_token = program.unlock_folder = None
                program.adopt(store)
        return RedirectResponse(first_page_of(program), status_code=303)

    return [Route("/unlock", show, methods=["GET"]), Route("/unlock", submit, methods=["POST"])]


def _open(program: Program, values: Mapping[str, str]) -> Store:
    assert program.unlock_folder is not None
    passphrase = values.get("passphrase", "")
    recovery_code = values.get("recovery_code")
    if recovery_code is not None and passphrase != values.get("again"):
        raise InvalidInput("passwords_differ", N_("The two passphrases differ."), field="again")
    return program.unlock_folder(passphrase, recovery_code)


def _form(token: str, *, recovery: bool, code: str = "", error: AppError | None = None) -> Response:
    known, forgotten = f"/unlock?token={quote(token)}", f"/unlock?token={quote(token)}&recovery=1"
    if recovery:
        text = _("Type the code from the sheet that was printed when this folder was set up, and choose a new passphrase.")
        other, link = _("I have the passphrase"), known
        fields = (
            plain.field("recovery_code", _("Recovery code"), value=code, extra='required autofocus autocomplete="off" spellcheck="false"')
            + plain.field(
                "passphrase",
                _("New passphrase"),
                kind="password",
                hint=_("At least 8 characters."),
                extra=f'required minlength="8" autocomplete="new-password" {plain.strength_words()}',
            )
            + plain.field("again", _("New passphrase again"), kind="password", extra='required minlength="8" autocomplete="new-password"')
        )
    else:
        text = _("The data on this computer are protected by a passphrase. Without it nobody can read them.")
        other, link = _("Passphrase forgotten? Use the recovery code"), forgotten
        fields = plain.field("passphrase", _("Passphrase"), kind="password", extra='required autofocus autocomplete="current-password"')
    body = (
        plain.problem(error.message if error else "")
        + f"<p class='lc-muted'>{escape(text)}</p>"
        + f'<form method="post" action="/unlock"><input type="hidden" name="token" value="{escape(token)}">'
        + fields
        + plain.button(_("Unlock"))
        + "</form>"
        + f'<p class="lc-plain-other"><a href="{escape(link)}">{escape(other)}</a></p>'
    )
    return plain.page(_("Unlock"), body, status=422 if error else 200, address=forgotten if recovery else known)
