"""The frame of every page: bar, navigation, content. Screens fill the content column and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from nicegui import context, ui

from localcrm.domain.people.signing import warning
from localcrm.kernel.i18n import gettext as _
from localcrm.store.node import MOVED, moved_away
from localcrm.store.shapes import SHAPING
from localcrm.ui import account, operations
from localcrm.ui.calls import card as calls
from localcrm.ui.kit import reminders, shortcuts, syncstate, theme
from localcrm.ui.kit.props import quoted
from localcrm.ui.navigation import Navigation
from localcrm.ui.registry import home_page

if TYPE_CHECKING:
    from localcrm.kernel.ports import Changes
    from localcrm.ui.sessions import Session


@contextmanager
def page_frame(session: Session, *, title: str, active: str) -> Iterator[ui.element]:
    """Everything around a screen; the block fills the content column. ``active`` is the id of the screen in the navigation."""
    client = context.client
    client.title = f"{title} · {session.store.node.name}"
    session.pages.add(client)
    client.on_delete(lambda: session.pages.discard(client))
    theme.apply(session, texts(session))
    ui.on("menu", lambda event: session.program.note_menu(client, is_open=bool(event.args)))
    with ui.element("div").classes("lc-shell"):
        _bar(session)
        shortcuts.sheet_key()
        with ui.element("div").classes("lc-main"):
            navigation = Navigation(session, active)
            ui.element("div").classes("lc-veil").on("click", js_handler="() => document.body.classList.remove('lc-nav-open')")
            with ui.element("main").classes("lc-page") as content:
                notices = ui.element("div").classes("lc-notices")
                toasts = ui.element("div").classes("lc-toasts")
                _rights_refused(session)
                _wrong_clock(session)
                _moved(session)
                if session.looking_as:
                    _looking(session)
                operations.set_places(notices, toasts)
                if active != "fields":
                    session.subscribe(SHAPING, _FieldsNotice(notices).show)
                account.welcome(session, notices)
                with ui.element("div").classes("lc-corner"):
                    calls.corner(session)
                    reminders.corner(session, partial(navigation.show_count, "reminders"), cards=active != "reminders")
                yield content


@contextmanager
def page_head(title: str) -> Iterator[ui.element]:
    """The line at the top of a screen: its name, then filters and buttons; ``ui.space()`` pushes what follows to the right."""
    with ui.element("div").classes("lc-head") as head:
        ui.label(title).classes("lc-title").props('role="heading" aria-level="1"')
        yield head


class _FieldsNotice:
    """Tells that fields were defined while a page was open; what is being typed on it decides when to look again."""

    def __init__(self, notices: ui.element) -> None:
        self.notices = notices
        self.shown: ui.element | None = None

    def show(self, _changes: Changes) -> None:
        """Once, until it is closed or the page is loaded again."""
        if self.shown is not None:
            return
        with self.notices, ui.element("div").classes("lc-notice lc-info").mark("fields-changed").props('role="status"') as self.shown:
            ui.icon("tune")
            ui.label(_("Fields or their names were changed. They appear when the page is loaded again.")).classes("grow")
            ui.button(_("Load again"), on_click=ui.navigate.reload).props("unelevated no-caps").classes("lc-btn").mark("load-again")


def _looking(session: Session) -> None:
    """Whose eyes these are, and the way back."""

    async def stop() -> None:
        await operations.apart(session.look_as, None)
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


def _wrong_clock(session: Session) -> None:
    """That the date of this computer cannot be right, before documents get it."""
    text = syncstate.clock_warning(session.store)
    if text:
        with ui.element("div").classes("lc-notice lc-warn").mark("wrong-clock").props('role="status"'):
            ui.icon("schedule")
            ui.label(text).classes("grow")


def _moved(session: Session) -> None:
    """That the branch goes on on another computer, before somebody types what cannot be saved."""
    if session.store.meta(MOVED):
        with ui.element("div").classes("lc-notice lc-warn").mark("moved-away").props('role="alert"'):
            ui.icon("local_shipping")
            ui.label(moved_away().message).classes("grow")


def texts(session: Session) -> dict[str, str]:
    """Words that scripts in the browser show."""
    return {
        "user": session.user_name,
        "locked": _("Locked"),
        "password": _("Password"),
        "unlock": _("Go on"),
        "kept": _("Enter your password to go on. What you typed is still there."),
        "other": _("Somebody else signs in"),
        "search": _("Search customers, phones, orders, products… (pinyin initials work)"),
        "nothing": _("Nothing found"),
        "screens": _("Go to"),
        "searchCentre": _("Search centre"),
        "allResults": _("All results for “{text}”"),
        "settings": _("Settings"),
        "create": _("New “{text}”"),
        "offline": _("The program does not answer. What you typed is still here."),
        "close": _("Close"),
        "previous": _("Previous picture"),
        "next": _("Next picture"),
        "save_file": _("Save the file"),
        "leave": _("There are changes that were not saved."),
        "loading": _("Loading…"),
    }


def _bar(session: Session) -> None:
    node = session.store.node
    with ui.element("header").classes("lc-bar"):
        ui.button(icon="menu").props(f'flat dense aria-label="{_("Menu")}"').classes("lc-burger").on(
            "click", js_handler="() => document.body.classList.toggle('lc-nav-open')"
        )
        with ui.element("a").props(f"href={quoted(home_page(session))}").classes("lc-brand"):
            ui.element("i").classes("lc-logo")
            ui.label(syncstate.company_name(session.store))
        with ui.element("div").classes("lc-chip lc-acc lc-node").mark("node"):
            ui.label(node.code)
            ui.label(f" {node.name}").classes("lc-node-name")
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
