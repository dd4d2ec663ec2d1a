"""Signing in and out: ordinary forms, because only an ordinary answer can set a cookie."""

from __future__ import annotations

import asyncio
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from localcrm.domain.options.table import option
from localcrm.domain.people.sessions import close_session, log_event, session_key, sign_in
from localcrm.domain.people.signing import warning
from localcrm.kernel.errors import SignInNeeded
from localcrm.kernel.i18n import DEFAULT_LANGUAGE, gettext as _, use_language
from localcrm.store.store import Store
from localcrm.ui.kit import plain
from localcrm.ui.kit.syncstate import standing

if TYPE_CHECKING:
    from localcrm.ui.program import Program

LANGUAGE_COOKIE = "localcrm_language"


def routes(program: Program) -> list[Route]:
    """GET and POST /login, POST /logout."""

    async def show(request: Request) -> Response:
        if program.store is None:
            return RedirectResponse(program.entry_path, status_code=303)
        if request.scope.get("localcrm.session") is not None:
            return RedirectResponse(own_path(request.query_params.get("next")), status_code=303)
        with use_language(wanted_language(request)):
            if not program.store.node.enrolled:
                program.store.forget_node()  # a command beside us may have finished it meanwhile
                return remember_language(request, not_enrolled(program.store.node.code))
            said = _("The new password is set. Sign in with it.") if "reset" in request.query_params else ""
            response = await asyncio.to_thread(form, program.store, next_path=own_path(request.query_params.get("next")), said=said)
        return remember_language(request, response)

    async def submit(request: Request) -> Response:
        if program.store is None:
            return RedirectResponse(program.entry_path, status_code=303)
        values = await form_values(request)
        next_path = own_path(values.get("next"))
        client = request.headers.get("user-agent", "")
        with use_language(wanted_language(request)):
            try:
                _actor, token = await asyncio.to_thread(
                    sign_in,
                    program.store,
                    login=values.get("login", ""),
                    password=values.get("password", ""),
                    client=browser_name(client),
                    replaces=request.scope.get("localcrm.token") or None,
                )
            except SignInNeeded as error:
                return await asyncio.to_thread(form, program.store, next_path=next_path, login=values.get("login", ""), error=error.message)
        return signed_in(program, request, token, RedirectResponse(next_path, status_code=303))

    async def leave(request: Request) -> Response:
        session, token = request.scope.get("localcrm.session"), request.scope.get("localcrm.token")
        if program.store is not None and session is not None and token:
            key = session_key(token)
            await asyncio.to_thread(close_session, program.store, key)
            await asyncio.to_thread(log_event, program.store, "sign_out", user_id=session.user_id)
            program.end_sessions([key])
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(cookie_of(program), path="/", httponly=True, samesite="strict")
        return response

    return [Route("/login", show, methods=["GET"]), Route("/login", submit, methods=["POST"]), Route("/logout", leave, methods=["POST"])]


def form(store: Store, *, next_path: str, login: str = "", error: str = "", said: str = "") -> Response:
    """The sign-in page: whose data these are, how far they are merged and backed up, and the way in."""
    chips = "".join(f'<span class="lc-chip {tone}">{escape(text)}</span>' for text, tone in standing(store))
    body = (
        f'<p class="lc-muted">{escape(store.node.name)} · {escape(store.node.code)}</p>'
        + plain.problem(error or warning(store))
        + plain.good_news(said)
        + f'<form method="post" action="/login"><input type="hidden" name="next" value="{escape(next_path)}">'
        + plain.field(
            "login", _("Login"), value=login, extra='autocomplete="username" required maxlength="200"' + ("" if login else " autofocus")
        )
        + plain.field(
            "password", _("Password"), kind="password", extra='autocomplete="current-password" required' + (" autofocus" if login else "")
        )
        + plain.button(_("Sign in"))
        + "</form>"
        + f'<p class="lc-plain-other"><a href="/forgot">{escape(_("Forgot password?"))}</a></p>'
        + f'<p class="lc-plain-standing">{chips}</p>'
    )
    return plain.page(_("Sign in"), body, status=401 if error else 200, address=f"/login?next={quote(next_path)}")


def not_enrolled(code: str) -> Response:
    """A branch without users: they come from head office, so there is nothing to sign in to yet."""
    text = _(
        "Whoever sits at this computer lets it join: start the program again, it opens the page for that, or copy the whole address that it printed."
    )
    steps = (
        (_("Ask head office for an invite file for {code}. There, somebody runs:"), "localcrm sync invite {code} -o invite.lcx"),
        (_("Here, answer the invite and send the request file to head office:"), "localcrm sync join invite.lcx -o request.lcx"),
        (_("Head office lets the branch in and sends a reply file back:"), "localcrm sync approve request.lcx -o reply.lcx"),
        (_("Here, take the reply; then sign in with a user of your company:"), "localcrm sync join reply.lcx"),
    )
    items = "".join(
        f"<li>{escape(text.format(code=code))}<br><code>{escape(command.format(code=code))}</code></li>" for text, command in steps
    )
    body = f"<p>{escape(text)}</p><h2>{escape(_('Without a browser'))}</h2><ol class='lc-steps'>{items}</ol>"
    return plain.page(_("This branch does not belong to a company yet"), body, address="/login")


#: The data file says when a session ends; the browser only has to keep its cookie long enough.
_COOKIE_SECONDS = option("session_days").high * 86400


def signed_in(program: Program, request: Request, token: str, response: Response) -> Response:
    """The answer with the cookie of a new session."""
    response.set_cookie(
        cookie_of(program), token, max_age=_COOKIE_SECONDS, path="/", httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )
    return response


def cookie_of(program: Program) -> str:
    """Name of the session's cookie."""
    from localcrm.ui.server import cookie_name

    return cookie_name(program)


def own_path(wish: str | None) -> str:
    """An address on this server, whatever somebody put into the link."""
    if (
        wish
        and wish.startswith("/")
        and not wish.startswith(("//", "/\\", "/login", "/logout", "/setup", "/unlock", "/join", "/forgot", "/locked"))
        and wish.isprintable()
    ):
        return wish
    return "/"


async def form_values(request: Request) -> dict[str, str]:
    """Fields of a posted form; the last one wins."""
    body = (await request.body()).decode("utf-8", "replace")
    return {key: values[-1] for key, values in parse_qs(body, keep_blank_values=True, max_num_fields=50).items()}


def wanted_language(request: Request) -> str:
    """Language before anybody is signed in: just chosen, chosen before, or the default."""
    return request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE) or DEFAULT_LANGUAGE


def remember_language(request: Request, response: Response) -> Response:
    """Keep a language that was just chosen."""
    if chosen := request.query_params.get("lang"):
        response.set_cookie(LANGUAGE_COOKIE, chosen[:10], max_age=365 * 86400, samesite="strict", httponly=True)
    return response


def browser_name(agent: str) -> str:
    """A browser and its system in a few words, from what it says of itself."""
    browsers = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
    systems = (("Windows", "Windows"), ("Android", "Android"), ("iPhone", "iPhone"), ("Mac OS", "macOS"), ("Linux", "Linux"))
    names = [next((name for sign, name in table if sign in agent), "") for table in (browsers, systems)]
    return " · ".join(filter(None, names)) or agent[:60]
