"""The frame of every page: bar, navigation, content. Screens fill the content column and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nicegui import context, ui

from localcrm.domain.people.signing import warning
from localcrm.kernel.i18n import gettext as _
from localcrm.ui import account, operations
from localcrm.ui.kit import syncstate, theme
from localcrm.ui.registry import SECTIONS, screens_for

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


@contextmanager
def page_frame(session: Session, *, title: str, active: str) -> Iterator[ui.element]:
    """Everything around a screen; the block fills the content column. ``active`` is the id of the screen in the navigation."""
    client = context.client
    client.title = f"{title} · {session.store.node.name}"
    session.pages.add(client)
    client.on_delete(lambda: session.pages.discard(client))
    theme.apply(session, texts())
    with ui.element("div").classes("lc-shell"):
        _bar(session)
        with ui.element("div").classes("lc-main"):
            _navigation(session, active)
            ui.element("div").classes("lc-veil").on("click", js_handler="() => document.body.classList.remove('lc-nav-open')")
            with ui.element("main").classes("lc-page") as content:
                notices = ui.element("div").classes("lc-notices")
                toasts = ui.element("div").classes("lc-toasts")
                _rights_refused(session)
                if session.looking_as:
                    _looking(session)
                operations.set_places(notices, toasts)
                yield content


@contextmanager
def page_head(title: str) -> Iterator[ui.element]:
    """The line at the top of a screen: its name, then filters and buttons; ``ui.space()`` pushes what follows to the right."""
    with ui.element("div").classes("lc-head") as head:
        ui.label(title).classes("lc-title").props('role="heading" aria-level="1"')
        yield head


def _looking(session: Session) -> None:
    """Whose eyes these are, and the way back."""

    async def stop() -> None:
        await asyncio.to_thread(session.look_as, None)
        ui.navigate.to("/people")

    with ui.element("div").classes("lc-notice lc-info").mark("looking").props('role="status"'):
        ui.icon("visibility")
        ui.label(_("You see what {name} sees. Nothing can be changed.").format(name=session.actor.name)).classes("grow")
        ui.button(_("Stop looking"), on_click=stop).props("unelevated no-caps").classes("lc-btn").mark("stop-looking")


def _rights_refused(session: Session) -> None:
    """That rights changed past head office do not count, for as long as they lie here."""
    text = warning(session.store)
    if text:
        with ui.element("div").classes("lc-notice lc-warn").mark("rights-refused").props('role="status"'):
            ui.icon("gpp_bad")
            ui.label(text).classes("grow")


def texts() -> dict[str, str]:
    """Words that scripts in the browser show."""
    return {
        "search": _("Search customers, phones, orders, products… (pinyin initials work)"),
        "nothing": _("Nothing found"),
        "screens": _("Go to"),
        "create": _("New “{text}”"),
        "offline": _("The program does not answer. What you typed is still here."),
        "leave": _("There are changes that were not saved."),
        "loading": _("Loading…"),
    }


def _bar(session: Session) -> None:
    node = session.store.node
    with ui.element("header").classes("lc-bar"):
        ui.button(icon="menu").props(f'flat dense aria-label="{_("Menu")}"').classes("lc-burger").on(
            "click", js_handler="() => document.body.classList.toggle('lc-nav-open')"
        )
        with ui.element("a").props('href="/"').classes("lc-brand"):
            ui.element("i").classes("lc-logo")
            ui.label(syncstate.company_name(session.store))
        ui.label(f"{node.code} {node.name}").classes("lc-chip lc-acc lc-node").mark("node")
        with (
            ui.element("button")
            .classes("lc-search")
            .props('type="button"')
            .mark("search")
            .on("click", js_handler="() => localcrm.palette.open()")
        ):
            ui.icon("search")
            ui.label(_("Search customers, phones, orders, products… (pinyin initials work)")).classes("lc-search-text")
            ui.label("Ctrl K").classes("lc-kbd")
        syncstate.chip(session)
        account.menu(session)


def _navigation(session: Session, active: str) -> None:
    shown = [screen for screen in screens_for(session) if screen.section is not None]
    with ui.element("nav").classes("lc-nav").props(f'aria-label="{_("Navigation")}"'):
        for section, label in SECTIONS.items():
            members = [screen for screen in shown if screen.section == section]
            if label and members:
                ui.label(_(label)).classes("lc-nav-head")
            for screen in members:
                link = ui.element("a").props(f'href="{screen.path}"').classes("lc-nav-link" + (" lc-on" if screen.id == active else ""))
                with link.mark(f"nav-{screen.id}"):
                    ui.icon(screen.icon)
                    ui.label(screen.label)
