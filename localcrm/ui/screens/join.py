"""A branch joins its company in the browser: the invite of head office in, a request out, digits compared by telephone, the reply in.

The invite is a file, the text of a picture, or words. With the address of head office request and reply travel by themselves: the page asks
again every few seconds what became of the request. Nobody can sign in yet, users come with the reply. So the page opens like the first one: on the computer itself, from the
address with the token that the program printed when it started.
"""

from __future__ import annotations

import asyncio
import hmac
from html import escape
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import N_, gettext as _, use_language
from localcrm.kernel.spoken import write_words
from localcrm.sync import enrol, http, joining, node_sync
from localcrm.ui.kit import plain
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.syncstate import company_name
from localcrm.ui.kit.values import in_two_lines
from localcrm.ui.screens.first_run import LOOPBACK
from localcrm.ui.screens.login import remember_language, wanted_language

if TYPE_CHECKING:
    from localcrm.store.store import Store
    from localcrm.sync.identity import NodeKeys
    from localcrm.ui.program import Program

#: An invite is a few hundred bytes.
_MAX_INVITE = 1 << 20
#: How often a branch that waits asks again.
_SECONDS = 5


def routes(program: Program) -> list[Route]:
    """GET /join, the request as a file, and the two files that come from head office."""
    busy = asyncio.Lock()

    async def show(request: Request) -> Response:
        with use_language(wanted_language(request)):
            if away := _away(program, request):
                return away
            asking = request.query_params
            again, by_file = "again" in asking, "file" in asking
            async with busy:
                store, keys = _open(program)
                error: AppError | None = None
                if not again and not by_file:
                    try:
                        await asyncio.to_thread(joining.ask_again, store, keys)
                    except AppError as problem:
                        error = problem
                if store.node.enrolled:
                    program.entry_token = None
                    return await asyncio.to_thread(_welcome, store)
            return remember_language(request, await asyncio.to_thread(_page, program, request, again=again, by_file=by_file, error=error))

    async def fetch(request: Request) -> Response:
        with use_language(wanted_language(request)):
            if away := _away(program, request):
                return away
            store, keys = _open(program)
            try:
                data = await asyncio.to_thread(enrol.request_again, store, keys)
            except AppError as error:
                return await asyncio.to_thread(_page, program, request, error=error)
        if data is None:
            return RedirectResponse(_address(request), status_code=303)
        headers = {"Content-Disposition": f'attachment; filename="{store.node.code}.localcrm-request"', "Cache-Control": "no-store"}
        return Response(data, media_type="application/octet-stream", headers=headers)

    async def take(request: Request) -> Response:
        with use_language(wanted_language(request)):
            async with busy:
                if away := _away(program, request):  # before anything of what was sent is read
                    return away
                store, keys = _open(program)
                async with request.form(max_files=1, max_fields=5) as form:
                    file, url, text = form.get("file"), str(form.get("url") or ""), str(form.get("text") or "").strip()
                    is_reply = request.path_params["what"] == "reply"
                    try:
                        if text and not is_reply:
                            await asyncio.to_thread(joining.read_told, store, keys, text, url=url)
                        else:
                            data = await _read(file, whole=is_reply)
                            await asyncio.to_thread(node_sync.join, store, keys, data, url=http.check_url(url) or None)
                    except AppError as error:
                        typed = _Typed(url, text)
                        return await asyncio.to_thread(_page, program, request, again=not is_reply, by_file=True, error=error, typed=typed)
                if not store.node.enrolled:
                    return RedirectResponse(_address(request), status_code=303)
                program.entry_token = None
                return await asyncio.to_thread(_welcome, store)

    return [
        Route("/join", show, methods=["GET"]),
        Route("/join/request", fetch, methods=["GET"]),
        Route("/join/upload/{what}", take, methods=["POST"]),
    ]


def _away(program: Program, request: Request) -> Response | None:
    """Where a visitor goes instead; None for one on this computer, with the token that was printed, while the branch is not let in."""
    store = program.store
    if store is None:
        return RedirectResponse(program.entry_path, status_code=303)
    if not store.node.enrolled:
        store.forget_node()  # a command beside us may have finished it meanwhile
    token, here = request.query_params.get("token", ""), request.client is not None and request.client.host in LOOPBACK
    if store.node.enrolled or not here or program.entry_token is None:
        return RedirectResponse("/login", status_code=303)
    fits = hmac.compare_digest(token.encode(), program.entry_token.encode())
    return None if fits else RedirectResponse("/login", status_code=303)


def _open(program: Program) -> tuple[Store, NodeKeys]:
    assert program.store is not None
    assert program.keys is not None
    return program.store, program.keys()


async def _read(file: UploadFile | str | None, *, whole: bool) -> bytes:
    data = await file.read(-1 if whole else _MAX_INVITE) if isinstance(file, UploadFile) else b""
    if not data:
        raise InvalidInput("no_file_chosen", N_("Choose the file that head office has sent."), field="file")
    return data


# the page ------------------------------------------------------------------------------------------------------------------


class _Typed(NamedTuple):
    """What was entered and refused, to be corrected."""

    url: str = ""
    text: str = ""


def _page(
    program: Program,
    request: Request,
    *,
    again: bool = False,
    by_file: bool = False,
    error: AppError | None = None,
    typed: _Typed | None = None,
) -> Response:
    store, keys = _open(program)
    try:
        asked = not again and enrol.request_again(store, keys) is not None
    except AppError as expired:  # the invite has run out: another one is needed
        asked, error = False, error or expired
    url = "" if by_file else joining.join_url(store)
    body = plain.problem(error.message if error and getattr(error, "field", None) != "url" else "")
    if asked and url:
        body += _waiting(keys, request, url, is_there=error is None)
    else:
        body += _asked(store, keys, request) if asked else _invited(store, request, error, typed or _Typed())
    page = plain.page(_("Join your company"), body, status=422 if error else 200, address=_address(request))
    if asked and url:
        page.headers["Refresh"] = f"{_SECONDS};url={_address(request)}"
    return page


def _invited(store: Store, request: Request, error: AppError | None, typed: _Typed) -> str:
    node = store.node
    intro = _(
        "This is branch {code} {name}. Head office invites it on its page “Merging” and tells you the words and its address, sends you the text of the picture, or the invite file."
    )
    wrong = error.message if error and getattr(error, "field", None) == "url" else ""
    return (
        f'<p class="lc-muted">{escape(intro.format(code=node.code, name=node.name))}</p>'
        f'<form method="post" action="{escape(_address(request, "/join/upload/invite"))}" enctype="multipart/form-data">'
        + plain.area("text", _("Words, or the text of the picture"), value=typed.text, rows=3)
        + plain.field(
            "url",
            _("Address of head office"),
            value=typed.url,
            error=wrong,
            hint=_("Only where head office can be reached over the network; else leave it empty and exchange by file."),
            extra='placeholder="https://" autocomplete="url"',
        )
        + plain.file("file", _("Or the invite file")).replace(" required", "")
        + plain.button(_("Read the invite"))
        + "</form>"
    )


def _compared(keys: NodeKeys, told: str) -> str:
    """What is read out by telephone: words, and the same as digits."""
    public = keys.public
    return (
        f'<p class="lc-muted">{escape(told)}</p><p class="lc-code-block lc-spoken" id="words">{escape(write_words(public.spoken_fingerprint))}</p>'
        f'<p class="lc-code-block lc-digits" id="fingerprint">{escape(in_two_lines(public.fingerprint))}</p>'
    )


def _waiting(keys: NodeKeys, request: Request, url: str, *, is_there: bool) -> str:
    told = _(
        "Somebody at head office compares these words or digits with you, by telephone, and lets the branch in. This page then goes on by itself."
    )
    news = _("The request is at head office ({address}) and waits.").format(address=url) if is_there else ""
    return (
        plain.good_news(news)
        + _compared(keys, told)
        + f'<p class="lc-plain-other"><a href="{escape(_address(request))}&amp;file=1" id="by-file">{escape(_("Go on by file instead"))}</a> · '
        f'<a href="{escape(_address(request))}&amp;again=1">{escape(_("I have another invite"))}</a></p>'
    )


def _asked(store: Store, keys: NodeKeys, request: Request) -> str:
    node = store.node
    told = _("Head office calls you and asks for these words or digits. Read them all out; only then does it let the branch in.")
    return (
        f'<p class="lc-muted">{escape(f"{node.code} {node.name}")}</p>'
        f"<h2>{escape(_('1. Send the request to head office'))}</h2>"
        f'<p class="lc-plain-tools"><a href={quoted(escape(_address(request, "/join/request")))} id="request" download>'
        f"{escape(_('Save the request file'))}</a></p>"
        f"<h2>{escape(_('2. Compare by telephone'))}</h2>"
        + _compared(keys, told)
        + f"<h2>{escape(_('3. Read the reply of head office'))}</h2>"
        f'<form method="post" action="{escape(_address(request, "/join/upload/reply"))}" enctype="multipart/form-data">'
        + plain.file("file", _("Reply file"))
        + plain.button(_("Read the reply"))
        + "</form>"
        + f'<p class="lc-plain-other"><a href="{escape(_address(request))}&amp;again=1">{escape(_("I have another invite"))}</a></p>'
    )


def _welcome(store: Store) -> Response:
    text = _("Branch {code} belongs to {company} now, and everything it should know has arrived. Sign in with your user of the company.")
    said = plain.good_news(text.format(code=store.node.code, company=company_name(store)))
    return plain.page(_("Joined"), said + f'<a class="lc-primary" href="/login">{escape(_("Sign in"))}</a>')


def _address(request: Request, path: str = "/join") -> str:
    return f"{path}?token={quote(request.query_params.get('token', ''))}"
