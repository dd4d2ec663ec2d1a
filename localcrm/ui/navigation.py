"""The navigation of a page: a link to every screen, with the number of what waits there, in sections that fold up.

It is one element with markup inside. Fifty links of four elements each took the framework longer than the page beside them, at the server
and in the browser. A number is put beside its link by a script; whatever a company may name is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from nicegui import context, ui

from localcrm.kernel.i18n import gettext as _
from localcrm.ui.operations import run_service
from localcrm.ui.registry import FOLDED, FOOT, PINNED, Screen, navigation, screens_for

if TYPE_CHECKING:
    from nicegui.client import Client

    from localcrm.kernel.ports import Changes
    from localcrm.ui.sessions import Session

#: Larger numbers say only that it is more.
MOST_COUNTED = 99
#: A click on the heading of a section folds it up or opens it, and tells which.
_FOLD = """(event) => {
  const head = event.target.closest("button.lc-nav-head");
  if (!head) return;
  head.ariaExpanded = String(!head.parentElement.classList.toggle("lc-folded"));
  emit(head.dataset.section);
}"""


class Navigation:
    """The links of one page; ``active`` is the id of its screen."""

    def __init__(self, session: Session, active: str) -> None:
        self.session, self.active = session, active
        self.counted = {screen.id: screen for screen in screens_for(session) if screen.badge is not None}
        self.counts: dict[str, int] = {}
        self.bar = ui.html("", sanitize=False, tag="nav").classes("lc-nav").props(f'aria-label="{_("Navigation")}"')
        self.bar.on("click", self._fold, js_handler=_FOLD)
        self.draw()
        _navigations[context.client] = self
        ui.timer(
            0, partial(self._count, *self.counted.values()), once=True
        )  # numbers follow once the page is there: no page waits for them
        ui.timer(0, lambda: ui.run_javascript("localcrm.showPlace()"), once=True)
        for screen in self.counted.values():
            assert screen.badge is not None
            session.subscribe(screen.badge.entities, partial(self._changed, screen))

    def draw(self) -> None:
        """As the user has arranged it."""
        folded = self.session.setting(FOLDED).split()
        self.bar.set_content("".join(self._part(label, members, folded) for label, members in navigation(self.session)))

    def show_count(self, screen_id: str, count: int) -> None:
        """Put the number of what waits beside a link, where it is shown."""
        if screen_id not in self.counted or self.counts.get(screen_id, 0) == count:
            return
        self.counts[screen_id] = count
        client = self.bar.client  # held by nothing here: a table by page must not keep the page
        if client.has_socket_connection:
            said = ", ".join(map(json.dumps, (screen_id, *self._badge(screen_id))))
            client.run_javascript(f"localcrm.badge({said})")
        else:
            self.draw()

    # markup --------------------------------------------------------------------------------------------------------------

    def _part(self, label: str, members: list[Screen], folded: list[str]) -> str:
        section, head = members[0].section or "", ""
        is_folded = section in folded and label != PINNED
        if label == PINNED:
            head = f'<div class="lc-nav-head">{escape(_(label))}</div>'
        elif label and section:
            head = (
                f'<button class="lc-nav-head" type="button" data-section="{section}" aria-expanded="{"false" if is_folded else "true"}">'
                f"<span>{escape(_(label))}</span>{_icon('expand_more')}</button>"
            )
        looks = (" lc-folded" if is_folded else "") + (" lc-nav-foot" if section == FOOT and label != PINNED else "")
        return f'<div class="lc-nav-part{looks}">{head}{"".join(map(self._link, members))}</div>'

    def _link(self, screen: Screen) -> str:
        badge = ""
        if screen.badge is not None:
            text, words = self._badge(screen.id)
            badge = f'<span class="lc-badge" data-badge="{screen.id}" title="{escape(words)}" aria-label="{escape(words)}">{text}</span>'
        mark = " lc-on" if screen.id == self.active else ""
        label = f'<span class="grow lc-cut">{escape(screen.label)}</span>'
        return f'<a class="lc-nav-link{mark}" href="{escape(screen.path)}">{_icon(screen.icon)}{label}{badge}</a>'

    def _badge(self, screen_id: str) -> tuple[str, str]:
        """The number beside a link and what it means; nothing for 0."""
        count, badge = self.counts.get(screen_id, 0), self.counted[screen_id].badge
        if not count or badge is None:
            return "", ""
        return str(count) if count <= MOST_COUNTED else f"{MOST_COUNTED}+", _(badge.words).format(count=count)

    # what happens --------------------------------------------------------------------------------------------------------

    async def _fold(self, event: Any) -> None:
        """It stays so for the user. The page that is open is shown all the same."""
        folded = set(self.session.setting(FOLDED).split()) ^ {str(event.args)}
        known = {screen.section for screen in screens_for(self.session)}
        await run_service(self.session, partial(self.session.save_setting, FOLDED, " ".join(sorted(folded & known)) or None))

    def _changed(self, screen: Screen, _changes: Changes) -> Awaitable[None]:
        return self._count(screen)

    async def _count(self, *screens: Screen) -> None:
        for screen in screens:
            badge = screen.badge
            if badge is None:
                continue
            read = partial(self.session.remembered, ("badge", screen.id), partial(badge.count, self.session))
            outcome = await run_service(self.session, read)
            if outcome.ok:
                self.show_count(screen.id, outcome.value)


def _icon(name: str) -> str:
    return f'<i class="q-icon notranslate material-icons" aria-hidden="true" role="presentation">{escape(name)}</i>'


#: The navigation of each open page.
_navigations: WeakKeyDictionary[Client, Navigation] = WeakKeyDictionary()


def redraw_navigation() -> None:
    """Draw the navigation of the page of the moment again: the user has arranged it otherwise."""
    _navigations[context.client].draw()
