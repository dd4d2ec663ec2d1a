"""A forgotten password: at a branch a code for head office and its answer, at an office the recovery code. Nobody is signed in."""

from __future__ import annotations

import asyncio
from html import escape
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from localcrm.domain.people import recovery
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import gettext as _, use_language
from localcrm.sync import resets
from localcrm.ui.kit import plain
from localcrm.ui.kit.qr import qr_address
from localcrm.ui.screens.login import form_values, remember_language, wanted_language

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcrm.store.store import Store
    from localcrm.ui.program import Program
    from localcrm.ui.sessions import Session


def routes(program: Program) -> list[Route]:
    """GET and POST /forgot, and /recovery-code for an administrator who is signed in."""

    async def show(request: Request) -> Response:
        store = program.store
        if store is None or not store.node.enrolled:
            return RedirectResponse("/login", status_code=303)
        with use_language(wanted_language(request)):
            return remember_language(request, _recovery_form({}) if store.node.is_office else _login_form({}))

    async def submit(request: Request) -> Response:
        store = program.store
        if store is None or not store.node.enrolled:
            return RedirectResponse("/login", status_code=303)
        values = await form_values(request)
        with use_language(wanted_language(request)):
            if store.node.is_office:
                return await _recover(store, values)
            return await (_use(store, values) if "answer" in values else _ask(store, values))

    async def show_code(request: Request) -> Response:
        return _renew_form(request.scope["localcrm.session"])

    async def renew(request: Request) -> Response:
        session: Session = request.scope["localcrm.session"]
        values = await form_values(request)
        try:
            code = await asyncio.to_thread(recovery.renew_code, session.store, session.actor, password=values.get("password", ""))
        except AppError as error:
            return _renew_form(session, error)
        return code_page(session.store, session.actor.login, code, title=_("New recovery code"))

    return [
        Route("/forgot", show, methods=["GET"]),
        Route("/forgot", submit, methods=["POST"]),
        Route("/recovery-code", show_code, methods=["GET"]),
        Route("/recovery-code", renew, methods=["POST"]),
    ]


# at a branch --------------------------------------------------------------------------------------------------------


async def _ask(store: Store, values: Mapping[str, str]) -> Response:
    try:
        question = await asyncio.to_thread(resets.ask, store, login=values.get("login", ""))
    except AppError as error:
        return _login_form(values, error)
    return _answer_form({"login": values.get("login", "").strip(), "question": question})


async def _use(store: Store, values: Mapping[str, str]) -> Response:
    try:
        plain.check_same(values)
        await asyncio.to_thread(
            resets.reset_password, store, login=values.get("login", ""), answer=values["answer"], password=values.get("password", "")
        )
    except AppError as error:
        return _answer_form(values, error)
    return RedirectResponse("/login?reset=1", status_code=303)


def _login_form(values: Mapping[str, str], error: AppError | None = None) -> Response:
    body = (
        plain.problem(error.message if error else "")
        + _muted(_("Head office answers for a forgotten password, by telephone or message; no network is needed."))
        + '<form method="post" action="/forgot">'
        + plain.field(
            "login", _("Login"), value=values.get("login", ""), extra='autocomplete="username" required maxlength="200" autofocus'
        )
        + plain.button(_("Make the code"))
        + "</form>"
        + _back()
    )
    return plain.page(_("Forgot password"), body, status=_status(error), address="/forgot")


def _answer_form(values: Mapping[str, str], error: AppError | None = None) -> Response:
    question = values.get("question", "")
    shown = question if resets.is_question(question) else ""
    body = (
        plain.problem(error.message if error and getattr(error, "field", None) not in {"password", "again"} else "")
        + _muted(_("1. Tell head office this code, by telephone or as a message. There, an administrator opens “Answer a password reset”."))
        + (plain.code_block("question", shown) + _picture(shown, _("The code as a picture to photograph")) if shown else "")
        + _muted(_("2. Enter the answer of head office: it works once, here, for one day. It is long, so have it sent and paste it."))
        + '<form method="post" action="/forgot">'
        + _hidden(login=values.get("login", ""), question=shown)
        + plain.area("answer", _("Answer of head office"), value=values.get("answer", ""), extra="required")
        + f'<label class="lc-plain-file">{escape(_("Read it from a file…"))}<input type="file" accept=".txt" data-into="answer"></label>'
        + plain.new_password(wrong=error)
        + plain.button(_("Set the password"))
        + "</form>"
        + _back()
    )
    return plain.page(_("Forgot password"), body, status=_status(error))


# at an office -------------------------------------------------------------------------------------------------------


async def _recover(store: Store, values: Mapping[str, str]) -> Response:
    try:
        plain.check_same(values)
        following = await asyncio.to_thread(
            recovery.recover, store, login=values.get("login", ""), code=values.get("code", ""), password=values.get("password", "")
        )
    except AppError as error:
        return _recovery_form(values, error)
    return code_page(store, values.get("login", "").strip(), following, title=_("The new password is set"), go_on="/login")


def _recovery_form(values: Mapping[str, str], error: AppError | None = None) -> Response:
    wrong = getattr(error, "field", None)
    body = (
        plain.problem(error.message if error and wrong not in {"password", "again", "code"} else "")
        + _muted(_("An administrator sets a new password for you: People, right-click, “Set a password…”."))
        + _muted(_("Are you the administrator yourself? Type the recovery code that was printed when the company was set up."))
        + '<form method="post" action="/forgot">'
        + plain.field(
            "login", _("Administrator's login"), value=values.get("login", ""), extra='autocomplete="username" required maxlength="200"'
        )
        + plain.field(
            "code",
            _("Recovery code"),
            value=values.get("code", ""),
            error=error.message if error and wrong == "code" else "",
            extra='required autocomplete="off" spellcheck="false"',
        )
        + plain.new_password(wrong=error)
        + plain.button(_("Set the password"))
        + "</form>"
        + _back()
    )
    return plain.page(_("Forgot password"), body, status=_status(error), address="/forgot")


def _renew_form(session: Session, error: AppError | None = None) -> Response:
    body = (
        plain.problem(error.message if error else "")
        + _muted(_("With this code you set a new password when you have forgotten yours. The code printed before is worth nothing then."))
        + '<form method="post" action="/recovery-code">'
        + plain.field(
            "password",
            _("Your password"),
            kind="password",
            extra='autocomplete="current-password" required autofocus',
            hint=session.user_name,
        )
        + plain.button(_("Make a new code"))
        + "</form>"
        + f'<p class="lc-plain-other"><a href="/">{escape(_("Back"))}</a></p>'
    )
    return plain.page(_("New recovery code"), body, status=_status(error))


def code_page(store: Store, login: str, code: str, *, title: str, go_on: str = "/") -> Response:
    """The sheet with a recovery code, shown this once, and the way on."""
    node = store.node
    body = (
        f'<p class="lc-muted lc-plain-intro">{escape(_("Print this sheet and lock it away. It is shown this once; the program keeps no copy."))}</p>'
        f'<div class="lc-sheet"><h2>{escape(_("Recovery code of the administrator"))}</h2>'
        f'<p class="lc-muted">{escape(node.name)} · {escape(node.code)} · {escape(_("Login"))}: {escape(login)}</p>'
        f'<pre class="lc-code-block" id="code">{escape(_in_two_rows(code))}</pre>'
        + _muted(_("With it the administrator sets a new password, once: sign-in page, “Forgot password?”."))
        + "</div>"
        + f'<p class="lc-plain-tools"><button type="button" data-print>{escape(_("Print"))}</button>'
        + f'<button type="button" data-copy="code" data-done="{escape(_("Copied"))}">{escape(_("Copy"))}</button></p>'
        + f'<a class="lc-primary" href="{escape(go_on)}">{escape(_("It is printed, go on"))}</a>'
    )
    return plain.page(title, body)


# parts --------------------------------------------------------------------------------------------------------------


def _in_two_rows(code: str) -> str:
    groups = code.split(" ")
    return " ".join(groups[:4]) + "\n" + " ".join(groups[4:])


def _muted(text: str) -> str:
    return f'<p class="lc-muted">{escape(text)}</p>'


def _hidden(**values: str) -> str:
    return "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in values.items())


def _picture(text: str, label: str) -> str:
    return f'<img class="lc-qr" alt="{escape(label)}" src="{escape(qr_address(text))}">'


def _back() -> str:
    return f'<p class="lc-plain-other"><a href="/login">{escape(_("Back to signing in"))}</a></p>'


def _status(error: AppError | None) -> int:
    return 422 if error else 200
