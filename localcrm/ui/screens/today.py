"""The page of today: what waits for whoever has signed in, each number one click away from its list."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import context, ui

from localcrm.kernel.i18n import N_, gettext as _
from localcrm.kernel.ports import Changes
from localcrm.store.query import TOTAL_CAP
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.operations import quick_or_later, run_service
from localcrm.ui.registry import Screen, register
from localcrm.ui.today import Card, Found, cards_for, look

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Days pass and plans fall due without anybody changing anything.
REFRESH_SECONDS = 60.0
#: Whether the page is of one's own customers or of all; kept with the user.
WHOSE = "today:whose"


async def today(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001
    """Build the screen."""
    await _Today(session).build()


class _Today:
    def __init__(self, session: Session) -> None:
        self.session = session
        # Administrators look after everything and seldom own a customer.
        self.mine = session.setting(WHOSE, "all" if session.actor.is_admin else "mine") == "mine"
        self.places: dict[str, ui.element] = {}
        self.cards = {card.id: card for card in cards_for(session)}
        self.client, self.shown = context.client, False

    async def build(self) -> None:
        """Cards first; what is in them comes as it is read."""
        title = _("Today")
        with page_frame(self.session, title=title, active="today"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("queries.css")}">')
            with page_head(title):
                if self.session.may("customer.read"):
                    whose = {"mine": _("Mine"), "all": _("All I see")}
                    box = ui.toggle(whose, value="mine" if self.mine else "all", on_change=self._switch)
                    box.props("no-caps unelevated dense").classes("lc-choices").mark("whose")
            with ui.element("div").classes("lc-today"):
                for card in self.cards.values():
                    self.places[card.id] = ui.element("section").classes("lc-card lc-today-card").mark(f"card-{card.id}")
        self.client.on_connect(self._is_shown)
        await quick_or_later(self._look(*self.cards.values()))
        self.session.subscribe(frozenset().union(*(card.entities for card in self.cards.values())), self._changed)
        ui.timer(REFRESH_SECONDS, lambda: self._look(*self.cards.values()))

    def _is_shown(self) -> None:
        self.shown = True

    async def _switch(self, event: Any) -> None:
        self.mine = event.value == "mine"
        self.session.save_setting(WHOSE, str(event.value))
        await self._look(*self.cards.values())

    async def _changed(self, changes: Changes) -> None:
        await self._look(*(card for card in self.cards.values() if card.entities & set(changes.ids)))

    async def _look(self, *cards: Card) -> None:
        for card in cards:
            mine = self.mine
            place = self.places[card.id]
            if place.is_deleted or (self.shown and not self.client.has_socket_connection):  # nobody looks any more
                return
            with place:
                outcome = await run_service(self.session, partial(look, self.session, card, mine))
            if outcome.ok and mine == self.mine and not place.is_deleted:
                self._draw(card, outcome.value)

    def _draw(self, card: Card, found: Found) -> None:
        place = self.places[card.id]
        place.clear()
        with place:
            with ui.element("a").classes("lc-today-head").props(f"href={quoted(card.path(self.mine))}").mark(f"open-{card.id}"):
                ui.icon(card.icon)
                ui.label(card.label).classes("grow lc-sub lc-cut")
                count = f"{TOTAL_CAP:,}+" if found.count > TOTAL_CAP else f"{found.count:,}"
                ui.label(count).classes("lc-today-count").props(f"data-tone={(card.tone or 'plain') if found.count else 'none'}").mark(
                    "count"
                )
            if found.note:
                ui.label(found.note).classes("lc-muted")
            with ui.element("div"):
                for line in found.lines:
                    with ui.element("a").classes("lc-today-line").props(f"href={quoted(line.path)}"):
                        ui.label(line.title).classes("lc-cut")
                        ui.label(line.second)


register(Screen("today", "/today", N_("Today"), "event_note", None, today, "", 1))
