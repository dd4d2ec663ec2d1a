"""Every address of the program: the screens of the registry, and the plain routes beside them."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nicegui import context, ui
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from localcrm.domain import subjects  # noqa: F401 -- makes every entity and verb known
from localcrm.domain.options.table import YES
from localcrm.kernel.errors import SignInNeeded
from localcrm.kernel.i18n import N_, current_language, gettext as _
from localcrm.ui import attachments, endpoints, hook, screens
from localcrm.ui.frame import page_frame
from localcrm.ui.kit.first_values import being_built, send_values_once
from localcrm.ui.kit.late_clicks import hear_late_clicks
from localcrm.ui.kit.signatures import ask_once
from localcrm.ui.kit.theme import STATIC
from localcrm.ui.registry import LAST_PAGE, Screen, first_page, screens as all_screens
from localcrm.ui.screens import first_run, forgotten, join, locked, login, unlock

if TYPE_CHECKING:
    from localcrm.ui.program import Program
    from localcrm.ui.sessions import Session

QUASAR_LANGUAGES = {"zh_CN": "zh-CN", "en": "en-US"}


class Page(ui.page):
    """A page in the language of its user instead of one language for all."""

    def resolve_language(self) -> Any:
        """Language pack of the widgets."""
        return QUASAR_LANGUAGES[current_language()]


def screen_modules() -> list[ModuleType]:
    """Every module of ``screens``; each adds its entries to the registry and may have ROUTES of its own."""
    return [importlib.import_module(f"{screens.__name__}.{module.name}") for module in pkgutil.iter_modules(screens.__path__)]


def load_screens() -> list[Screen]:
    """Every screen there is."""
    screen_modules()
    return all_screens()


#: Seconds that a page may take to be built. The framework's own three show an error page on an old computer that is busy.
PATIENCE = 60.0


def mount_screens() -> None:
    """A page per registered screen."""
    ask_once()
    send_values_once()
    hear_late_clicks()
    for screen in load_screens():
        Page(screen.path, response_timeout=PATIENCE)(_page(screen))
    Page("/nothing")(_page(Screen("nothing", "/nothing", N_("No right"), "block", "settings.manage", lambda _session, _parameters: None)))


def _page(screen: Screen) -> Callable[..., Any]:
    async def page(request: Request) -> Response | None:
        session: Session = request.scope["localcrm.session"]
        try:
            allowed = screen.permission is None or session.may(screen.permission)
        except SignInNeeded:
            return RedirectResponse("/login", status_code=303)
        if not allowed:
            with page_frame(session, title=_("No right"), active=""):
                ui.label(_("You have no right to open this page. Ask an administrator.")).classes("lc-empty")
            return None
        await _remember(session, screen, str(request.url.query))
        with being_built(context.client):
            built = screen.builder(session, {**request.query_params, **request.path_params})
            if built is not None:
                await built
        return None

    page.__name__ = f"page_{screen.id}"
    return page


async def _remember(session: Session, screen: Screen, query: str) -> None:
    """Note the page as the one that was open last, for whoever wants to go on there."""
    address = screen.path + (f"?{query}" if query else "")
    if session.setting("reopen") == YES and "{" not in screen.path and session.setting(LAST_PAGE) != address and len(address) < 300:
        await asyncio.to_thread(session.save_setting, LAST_PAGE, address)


class _Assets(StaticFiles):
    """Our own scripts and styles: an address that names the version of a file (theme.asset) need not be asked for again."""

    def file_response(self, full_path: Any, stat_result: Any, scope: Any, status_code: int = 200) -> Response:
        """The file, kept by the browser for as long as the page names the same version."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        if scope["query_string"]:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def plain_routes(program: Program) -> list[BaseRoute]:
    """What is not a screen: set-up, unlocking, signing in and out, data for lists, static files."""

    async def alive(_request: Request) -> Response:
        return JSONResponse({"program": "localcrm", "ready": program.store is not None})

    async def home(request: Request) -> Response:
        return RedirectResponse(first_page(request.scope["localcrm.session"]), status_code=303)

    return [
        Route("/alive", alive),
        Route("/", home),
        *first_run.routes(program),
        *unlock.routes(program),
        *join.routes(program),
        *login.routes(program),
        *forgotten.routes(program),
        *locked.routes(program),
        *endpoints.routes(),
        *hook.routes(program),
        *attachments.ROUTES,
        *[route for module in screen_modules() for route in getattr(module, "ROUTES", ())],
        Mount("/static", _Assets(directory=STATIC)),
    ]
