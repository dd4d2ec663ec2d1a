"""The frame of every page: bar, navigation, content. Screens fill the content column and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from nicegui import context, ui

from localcrm.domain.people.signing import warning
from localcrm.kernel.i18n import gettext as _
from localcrm.store.node import MOVED, moved_away
from localcrm.store.shapes import SHAPING
from localcrm.ui import account, operations
from localcrm.ui.calls import card as calls
from localcrm.ui.kit import reminders, shortcuts, syncstate, theme
from localcrm.ui.registry import FOLDED, PINNED, Screen, home_page, navigation, screens_for

if TYPE_CHECKING:
    from nicegui.client import Client

    from localcrm.kernel.ports import Changes
    from localcrm.ui.sessions import Session

#: Higher counts are not told apart in the navigation.
MOST_COUNTED = 1000


@contextmanager
def page_frame(session: Session, *, title: str, active: str) -> Iterator[ui.element]:
    """Everything around a screen; the block fills the content column. ``active`` is the id of the screen in the navigation."""
    client = context.client
    client.title = f"{title} · {session.store.node.name}"
    session.pages.add(client)
    client.on_delete(lambda: session.pages.discard(client))
    theme.apply(session, texts(session))
    with ui.element("div").classes("lc-shell"):
        _bar(session)
        shortcuts.sheet_key()
        with ui.element("div").classes("lc-main"):
            _navigations[client] = _Navigation(session, active)
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
                    reminders.corner(session, partial(_show_count, client, "reminders"), cards=active != "reminders")
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
        "leave": _("There are changes that were not saved."),
        "loading": _("Loading…"),
    }


def _bar(session: Session) -> None:
    node = session.store.node
    with ui.element("header").classes("lc-bar"):
        ui.button(icon="menu").props(f'flat dense aria-label="{_("Menu")}"').classes("lc-burger").on(
            "click", js_handler="() => document.body.classList.toggle('lc-nav-open')"
        )
        with ui.element("a").props(f'href="{home_page(session)}"').classes("lc-brand"):
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


class _Navigation:
    """The links to every page, each with the number of what waits there for the user."""

    def __init__(self, session: Session, active: str) -> None:
        self.session, self.active = session, active
        self.bar = ui.element("nav").classes("lc-nav").props(f'aria-label="{_("Navigation")}"')
        self.badges: dict[str, ui.label] = {}
        self.draw()
        for screen in screens_for(session):
            if screen.badge is not None:
                session.subscribe(screen.badge.entities, partial(self._changed, screen))

    def draw(self) -> None:
        """As the user has arranged it. Numbers follow once the page is there: no page waits for them."""
        self.bar.clear()
        self.badges.clear()
        with self.bar:
            for label, members in navigation(self.session):
                part = ui.element("div").classes("lc-nav-part")
                section = members[0].section
                with part:
                    if label == PINNED:
                        ui.label(_(label)).classes("lc-nav-head")
                    elif label and section:
                        self._draw_head(part, section, _(label))
                    for screen in members:
                        self._draw_link(screen)

    def _draw_head(self, part: ui.element, section: str, label: str) -> None:
        """The heading of a section: a click folds it up, and it stays so for the user. The page that is open is shown all the same."""

        def show(folded: bool) -> None:
            part.classes(add="lc-folded" if folded else "", remove="" if folded else "lc-folded")
            head.props(f"aria-expanded={'false' if folded else 'true'}")

        async def switch() -> None:
            folded = set(self.session.setting(FOLDED).split()) ^ {section}
            show(section in folded)
            await operations.apart(self.session.save_setting, FOLDED, " ".join(sorted(folded)) or None)

        with ui.element("button").classes("lc-nav-head").props('type="button"').mark(f"section-{section}") as head:
            ui.label(label)
            ui.icon("expand_more")
        head.on("click", switch)
        show(section in self.session.setting(FOLDED).split())

    def _draw_link(self, screen: Screen) -> None:
        link = ui.element("a").props(f'href="{screen.path}"').classes("lc-nav-link" + (" lc-on" if screen.id == self.active else ""))
        with link.mark(f"nav-{screen.id}"):
            ui.icon(screen.icon)
            ui.label(screen.label).classes("grow lc-cut")
            if screen.badge is not None:
                self.badges[screen.id] = ui.label().classes("lc-badge").mark(f"badge-{screen.id}")
                ui.timer(0, partial(self._count, screen), once=True)

    def _changed(self, screen: Screen, _changes: Changes) -> Awaitable[None]:
        return self._count(screen)

    async def _count(self, screen: Screen) -> None:
        badge = screen.badge
        if badge is None or screen.id not in self.badges:  # the user has hidden the page
            return
        outcome = await operations.run_service(self.session, lambda: badge.count(self.session))
        if outcome.ok:
            self.show_count(screen, outcome.value)

    def show_count(self, screen: Screen, count: int) -> None:
        """Put the number that waits beside a link, where it is shown."""
        badge, label = screen.badge, self.badges.get(screen.id)
        if badge is None or label is None:
            return
        words = _(badge.words).format(count=count) if count else ""
        label.set_text("" if not count else str(count) if count <= MOST_COUNTED else f"{MOST_COUNTED}+")
        label.props["title"] = label.props["aria-label"] = words
        label.update()


#: Larger numbers of a badge say only that it is more.
MOST_COUNTED = 99
#: The navigation of each open page.
_navigations: WeakKeyDictionary[Client, _Navigation] = WeakKeyDictionary()


def _show_count(client: Client, screen_id: str, count: int) -> None:
    navigation = _navigations[client]
    for screen in screens_for(navigation.session):
        if screen.id == screen_id:
            navigation.show_count(screen, count)


def redraw_navigation() -> None:
    """Draw the navigation of the page of the moment again: the user has arranged it otherwise."""
    _navigations[context.client].draw()
