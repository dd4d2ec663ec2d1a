"""The first page of a new folder: who we are, and an administrator with a password. Opened by a one-time token only."""

from __future__ import annotations

import asyncio
import hmac
import shutil
import tempfile
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from localcrm.domain.people.services import check_password_strength
from localcrm.domain.people.sessions import sign_in
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import N_, gettext as _, use_language
from localcrm.store.files import writing
from localcrm.store.node import LONGEST_CODE
from localcrm.store.store import Store
from localcrm.ui.guard import MOVED_PATH
from localcrm.ui.kit import plain
from localcrm.ui.screens.forgotten import code_page
from localcrm.ui.screens.login import browser_name, form_values, remember_language, signed_in, wanted_language

if TYPE_CHECKING:
    from localcrm.ui.program import Program

LOOPBACK = {"127.0.0.1", "::1"}


def routes(program: Program) -> list[Route]:
    """GET and POST /setup, for a new company or, with ?branch=1, for a branch of one that exists; with ?moved=1, for the file of a moved one."""
    busy = asyncio.Lock()

    async def show(request: Request) -> Response:
        token = request.query_params.get("token", "")
        with use_language(wanted_language(request)):
            form = _branch_form if "branch" in request.query_params else _moved_form if "moved" in request.query_params else _form
            return turned_away(program, request, token, _("Set up")) or remember_language(request, form(token, {}))

    async def submit(request: Request) -> Response:
        values = await form_values(request)
        with use_language(wanted_language(request)):
            async with busy:
                if away := turned_away(program, request, values.get("token", ""), _("Set up")):
                    return away
                if "branch" in values:
                    return await _set_up_branch(program, values)
                try:
                    _check(values)
                    store, code = await asyncio.to_thread(_create, program, values)
                except AppError as error:
                    return _form(values.get("token", ""), values, error)
                program.entry_token = None
                program.adopt(store)
            _actor, token = await asyncio.to_thread(
                sign_in,
                store,
                login=values["login"],
                password=values["password"],
                client=browser_name(request.headers.get("user-agent", "")),
            )
            return signed_in(program, request, token, code_page(store, values["login"].strip(), code, title=_("Everything is set up")))

    async def arrive(request: Request) -> Response:
        token = request.query_params.get("token", "")
        with use_language(wanted_language(request)):
            async with busy:
                if away := turned_away(program, request, token, _("Set up"), path=MOVED_PATH):
                    return away  # before anything of what was sent is read
                return await _arrive(program, request, token)

    return [Route("/setup", show, methods=["GET"]), Route("/setup", submit, methods=["POST"]), Route(MOVED_PATH, arrive, methods=["POST"])]


def first_page_of(program: Program) -> str:
    """Where to go once the folder is open: to sign in, or to join where nobody can yet."""
    return f"{program.entry_path}?token={quote(program.entry_token)}" if program.entry_token else "/login"


async def _set_up_branch(program: Program, values: Mapping[str, str]) -> Response:
    """A folder for a branch; it goes on with joining."""
    assert program.create_branch is not None
    try:
        for key, label in (("name", _("Name of the branch")), ("code", _("Code"))):
            _require(values, key, label)
        _check_code(values["code"])
        store = await asyncio.to_thread(program.create_branch, values["name"].strip(), values["code"].strip().upper())
    except AppError as error:
        return _branch_form(values.get("token", ""), values, error)
    program.entry_token = None
    program.adopt(store)
    return RedirectResponse(first_page_of(program), status_code=303)


async def _arrive(program: Program, request: Request, token: str) -> Response:
    """The folder of a branch that was moved here; people sign in as before."""
    assert program.arrive is not None
    try:
        # A disk may fill while the form is read (into the system's folder for such files) as well as while it is copied.
        with writing(program.folder), tempfile.TemporaryDirectory(dir=program.folder, prefix=".arriving-") as folder:
            path = Path(folder) / "file"
            async with request.form(max_files=1, max_fields=5) as form:
                file, passphrase = form.get("file"), str(form.get("passphrase") or "")
                if not isinstance(file, UploadFile) or not file.size:
                    raise InvalidInput("no_file_chosen", N_("Choose the file that was written on the old computer."), field="file")
                with path.open("wb") as target:
                    await asyncio.to_thread(shutil.copyfileobj, file.file, target)
            store = await asyncio.to_thread(program.arrive, path, passphrase)
    except AppError as error:
        if error.code != "passphrase_needed":
            return _moved_form(token, {}, error)
        program.entry_token = None
        said = _("Everything has arrived. This folder has a passphrase of its own: close the program, start it again, and enter it.")
        return plain.page(_("Continue with a moved branch"), plain.good_news(said))
    program.entry_token = None
    program.adopt(store)
    said = _("Branch {code} goes on here, with everything it had. Sign in as before.").format(code=store.node.code)
    link = f'<a class="lc-primary" href="/login">{escape(_("Sign in"))}</a>'
    return plain.page(_("Continue with a moved branch"), plain.good_news(said) + link)


def turned_away(program: Program, request: Request, token: str, title: str, *, path: str | None = None) -> Response | None:
    """Where a visitor of a first page goes instead; None for one from this computer, with the token that was printed, on the page of the moment.

    ``path``: of a page that belongs to it.
    """
    if program.store is not None:
        return RedirectResponse("/", status_code=303)
    here = request.client is not None and request.client.host in LOOPBACK and (request.url.path == program.entry_path or path is not None)
    if here and program.entry_token is not None and hmac.compare_digest(token.encode(), program.entry_token.encode()):
        return None
    text = _(
        "This page opens only from the address that the program printed when it started. Start the program again, or copy the whole address."
    )
    return plain.page(title, f"<p>{escape(text)}</p>", status=403)


def _check(values: Mapping[str, str]) -> None:
    for key, label in (("name", _("Company name")), ("code", _("Code")), ("login", _("Administrator's login"))):
        _require(values, key, label)
    _check_code(values["code"])
    check_password_strength(values.get("password", ""))
    plain.check_same(values)


def _require(values: Mapping[str, str], key: str, label: str) -> None:
    if not values.get(key, "").strip():
        raise InvalidInput("required", N_("{label} is required."), label=label, field=key)


def _check_code(code: str) -> None:
    code = code.strip()
    if not (code.isascii() and code.isalnum() and len(code) <= LONGEST_CODE):
        raise InvalidInput("bad_code", N_("A code has at most {most} letters and digits, such as HQ."), most=LONGEST_CODE, field="code")


def _create(program: Program, values: Mapping[str, str]) -> tuple[Store, str]:
    assert program.create_folder is not None
    return program.create_folder(
        name=values["name"].strip(),
        code=values["code"].strip().upper(),
        login=values["login"].strip(),
        user_name=values.get("user_name", "").strip() or values["login"].strip(),
        password=values["password"],
    )


def _form(token: str, values: Mapping[str, str], error: AppError | None = None) -> Response:
    wrong = getattr(error, "field", None) if error else None
    known = {"name", "code", "login", "user_name", "password", "again"}

    def said(key: str) -> str:
        return error.message if error and wrong == key else ""

    body = (
        plain.problem(error.message if error and wrong not in known else "")
        + f"<p class='lc-muted'>{escape(_('Everything stays on this computer. You can add branches later.'))}</p>"
        + f'<p class="lc-plain-choice"><a href="/setup?token={quote(token)}&amp;branch=1" id="branch">'
        + f"{escape(_('This computer is for a branch of a company that has localcrm already'))}</a></p>"
        + f'<form method="post" action="/setup"><input type="hidden" name="token" value="{escape(token)}">'
        + plain.field(
            "name", _("Company name"), value=values.get("name", ""), error=said("name"), extra='required maxlength="100" autofocus'
        )
        + plain.field(
            "code",
            _("Code"),
            value=values.get("code", "HQ"),
            error=said("code"),
            hint=_("Printed in document numbers; HQ for head office."),
            extra=f'required maxlength="{LONGEST_CODE}"',
        )
        + plain.field(
            "user_name", _("Administrator's name"), value=values.get("user_name", ""), extra='maxlength="100" autocomplete="name"'
        )
        + plain.field(
            "login",
            _("Administrator's login"),
            value=values.get("login", "admin"),
            error=said("login"),
            extra='required maxlength="100" autocomplete="username"',
        )
        + plain.field(
            "password",
            _("Password"),
            kind="password",
            error=said("password"),
            hint=_("At least 8 characters."),
            extra=f'required minlength="8" autocomplete="new-password" {plain.strength_words()}',
        )
        + plain.field(
            "again", _("Password again"), kind="password", error=said("again"), extra='required minlength="8" autocomplete="new-password"'
        )
        + plain.button(_("Set up and sign in"))
        + "</form>"
        + _moved_link(token)
    )
    return plain.page(_("Set up"), body, status=422 if error else 200, address=f"/setup?token={quote(token)}")


def _branch_form(token: str, values: Mapping[str, str], error: AppError | None = None) -> Response:
    wrong = getattr(error, "field", None) if error else None

    def said(key: str) -> str:
        return error.message if error and wrong == key else ""

    intro = _("Head office gives the branch a code and invites it. Users, customers and products come from there when it joins.")
    body = (
        plain.problem(error.message if error and wrong not in {"name", "code"} else "")
        + f"<p class='lc-muted'>{escape(intro)}</p>"
        + f'<form method="post" action="/setup"><input type="hidden" name="token" value="{escape(token)}">'
        + '<input type="hidden" name="branch" value="1">'
        + plain.field(
            "name", _("Name of the branch"), value=values.get("name", ""), error=said("name"), extra='required maxlength="100" autofocus'
        )
        + plain.field(
            "code",
            _("Code"),
            value=values.get("code", ""),
            error=said("code"),
            hint=_("As head office has it in its invite, for example BR01."),
            extra=f'required maxlength="{LONGEST_CODE}"',
        )
        + plain.button(_("Go on"))
        + "</form>"
        + f'<p class="lc-plain-other"><a href="/setup?token={quote(token)}">{escape(_("Set up a new company instead"))}</a></p>'
        + _moved_link(token)
    )
    return plain.page(_("Set up a branch"), body, status=422 if error else 200, address=f"/setup?token={quote(token)}&branch=1")


def _moved_link(token: str) -> str:
    text = _("A branch moves to this computer: read its file")
    return f'<p class="lc-plain-other"><a href="/setup?token={quote(token)}&amp;moved=1" id="moved">{escape(text)}</a></p>'


def _moved_form(token: str, _values: Mapping[str, str], error: AppError | None = None) -> Response:
    intro = _(
        "On the old computer the branch was written into one file, on its page “Backups & tasks”. Choose that file here and enter the passphrase that was chosen for it."
    )
    body = (
        plain.problem(error.message if error else "")
        + f"<p class='lc-muted'>{escape(intro)}</p>"
        + f'<form method="post" action="{MOVED_PATH}?token={quote(token)}" enctype="multipart/form-data">'
        + plain.file("file", _("File of the branch"))
        + plain.field("passphrase", _("Passphrase for the file"), kind="password", extra='required autocomplete="off"')
        + plain.button(_("Go on here"))
        + "</form>"
        + f'<p class="lc-plain-other"><a href="/setup?token={quote(token)}">{escape(_("Set up a new company instead"))}</a></p>'
    )
    title = _("Continue with a moved branch")
    return plain.page(title, body, status=422 if error else 200, address=f"/setup?token={quote(token)}&moved=1")
