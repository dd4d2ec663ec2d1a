"""One entry per screen; navigation, routes, palette and the test that opens every screen come from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcrm.domain.options.table import YES
from localcrm.kernel.i18n import N_, current_language, gettext
from localcrm.kernel.schema import entity

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Builds the page inside ``frame.page_frame``; gets path and query parameters.
Builder = Callable[["Session", Mapping[str, str]], Awaitable[None] | None]

#: Sections of the navigation in order, with their labels; "" stands above the first heading.
SECTIONS: dict[str, str] = {
    "": "",
    "customers": N_("Customers & contacts"),
    "selling": N_("Selling"),
    "service": N_("After-sales service"),
    "partners": N_("Partners & suppliers"),
    "trade": N_("Trade"),
    "company": N_("Company"),
    "settings": N_("Settings"),
    "merging": "",
}
#: The section that stays in sight at the foot of the navigation.
FOOT = "merging"

#: Preference of a user: the sections he has folded up.
FOLDED = "nav:folded"
#: Heading of the pages a user has pinned to the top.
PINNED = N_("Favourites")
#: Setting of this node: the address that was open last.
LAST_PAGE = "last_page"


@dataclass(frozen=True, slots=True)
class Badge:
    """How much waits for the user behind a link of the navigation; nothing is shown for 0.

    count: reads the data file, in a worker thread, with the rights of the session · entities: counted again when one of these changes ·
    words: what the number means, with ``{count}``.
    """

    count: Callable[[Session], int]
    entities: frozenset[str]
    words: str


@dataclass(frozen=True, slots=True)
class Screen:
    """A page: ``section`` None keeps it out of the navigation, ``permission`` None shows it to everybody who is signed in."""

    id: str
    path: str
    label_msgid: str
    icon: str
    permission: str | None
    builder: Builder
    section: str | None = ""
    place: int = 50  # within the section, lowest first
    lists: str = ""  # the kind of record it lists; what the company calls it, the screen is called too
    badge: Badge | None = None

    @property
    def label(self) -> str:
        """Name in the language of the moment."""
        own = entity(self.lists).shape.names if self.lists else {}
        return own.get(current_language()) or gettext(self.label_msgid)


_screens: dict[str, Screen] = {}


def register(*screens: Screen) -> None:
    """Add screens; the same id again replaces the first (modules may be loaded anew in tests)."""
    for screen in screens:
        _screens[screen.id] = screen


def screens() -> list[Screen]:
    """Every screen, in the order of the navigation."""
    order = list(SECTIONS)
    return sorted(
        _screens.values(), key=lambda screen: (order.index(screen.section) if screen.section in order else len(order), screen.place)
    )


def screens_for(session: Session) -> list[Screen]:
    """The screens a user may open."""
    return [screen for screen in screens() if screen.permission is None or session.may(screen.permission)]


def navigation(session: Session, setting: Callable[[str], str] | None = None) -> list[tuple[str, list[Screen]]]:
    """What the navigation shows, by heading (msgid): favourites first, then every section as the user has arranged it, or as ``setting`` says."""
    setting = setting or session.setting
    shown = {screen.id: screen for screen in screens_for(session) if screen.section is not None}
    pinned = [shown[key] for key in setting("menu_pinned").split() if key in shown]
    hidden = {*setting("menu_hidden").split(), *(screen.id for screen in pinned)}
    order = {key: place for place, key in enumerate(setting("menu_order").split())}
    parts = [(PINNED, pinned)]
    for section, label in SECTIONS.items():
        members = [screen for screen in shown.values() if screen.section == section and screen.id not in hidden]
        parts.append((label, sorted(members, key=lambda screen: order.get(screen.id, len(order)))))
    return [(label, members) for label, members in parts if members]


def home_page(session: Session) -> str:
    """Address of the page a user has chosen as his first, else of the first of all."""
    found = screens_for(session)
    chosen = next((screen for screen in found if screen.id == session.setting("landing")), None)
    return (chosen or found[0]).path if found else "/nothing"


def first_page(session: Session) -> str:
    """Address after signing in: the page that was open last where the user likes that, else his home page."""
    last = session.setting(LAST_PAGE) if session.setting("reopen") == YES else ""
    is_known = last and any(screen.path == last.partition("?")[0] for screen in screens_for(session))
    return last if is_known else home_page(session)
