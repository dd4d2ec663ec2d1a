"""The log of telephone calls: what rang, what was missed and waits, and “I am on a call”."""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.domain.calls.entities import Call, CallState, Direction
from localcrm.domain.calls.services import missed
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.query import select
from localcrm.ui.calls.deeds import Card, by_hand, choose, new_customer, note, settle
from localcrm.ui.calls.sheet import call_dialog, read_card
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.grid import RecordGrid
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.menu import Action, action_button
from localcrm.ui.operations import run_service
from localcrm.ui.registry import Badge, Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CALL = Call.entity_type
#: Parts of the log, with the conditions that make them.
PARTS: Mapping[str, tuple[str, tuple[tuple[str, str, Any], ...]]] = {
    "all": (N_("All"), ()),
    "missed": (N_("Missed, waiting"), (("state", "=", CallState.MISSED.value), ("handled", "=", False))),
    "in": (N_("Incoming"), (("direction", "=", Direction.IN.value),)),
    "out": (N_("Outgoing"), (("direction", "=", Direction.OUT.value),)),
}


async def calls(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen."""
    await _Calls(session, parameters).build()


class _Calls:
    """One open page."""

    def __init__(self, session: Session, parameters: Mapping[str, str]) -> None:
        self.session = session
        self.part = parameters.get("show", "all") if parameters.get("show") in PARTS else "all"
        self.mine = bool(parameters.get("mine"))
        self.wish = parameters.get("open")
        self.number = ""
        self.chips: dict[str, ui.button] = {}

    async def build(self) -> None:
        """Parts above, the list below."""
        session = self.session
        with page_frame(session, title=_("Calls"), active="calls"):
            actions = self._actions()
            with page_head(_("Calls")):
                tools = ui.element("div").classes("lc-row")
                with ui.element("div").classes("lc-quick").mark("filters"):
                    for key, (label, _where) in PARTS.items():
                        chip = ui.button(_(label), on_click=lambda key=key: self._show(key)).props(
                            f"flat dense no-caps data-act=show-{key}"
                        )
                        self.chips[key] = chip.classes("lc-chip")
                    own = ui.button(_("Mine"), on_click=self._only_mine).props("flat dense no-caps data-act=show-mine").classes("lc-chip")
                    self.chips["mine"] = own
                ui.space()
                right = ui.element("div").classes("lc-row")
                if session.may("call.update") and session.looking_as is None:
                    with ui.button(on_click=self._by_hand).props("unelevated no-caps data-key=n data-act=by-hand").classes("lc-pri"):
                        ui.label(_("I am on a call"))
                        ui.label(own_key("n")).classes("lc-kbd")
            self.grid = RecordGrid(session, CALL, actions=actions, on_open=self._open, empty=self._empty, where=self._where())
            with tools:
                box = ui.input(placeholder=CALL.fields["number"].label, on_change=self._look_for).classes("lc-find")
                box.props("outlined dense clearable debounce=250 data-find inputmode=tel")
                with box.add_slot("prepend"):
                    ui.icon("search").props("size=18px")
                self.grid.total()
            with right:
                action_button(actions)
                self.grid.tools()
            self._mark()
            if self.wish:
                ui.timer(0, lambda: self._open(self.wish or ""), once=True)

    def _where(self) -> list[tuple[str, str, Any]]:
        own = [("user_id", "=", self.session.actor.user_id)] if self.mine else []
        number = [("number", "contains", self.number)] if self.number else []
        return [*PARTS[self.part][1], *own, *number]

    def _look_for(self, event: events.ValueChangeEventArguments[Any]) -> None:
        """Calls whose number has these digits in it."""
        self.number = "".join(filter(str.isdecimal, unicodedata.normalize("NFKC", str(event.value or ""))))[:20]
        self._requery()

    def _show(self, part: str) -> None:
        self.part = part
        self._requery()

    def _only_mine(self) -> None:
        self.mine = not self.mine
        self._requery()

    def _requery(self) -> None:
        self.grid.where = self._where()
        self.grid.requery()
        self._mark()

    def _mark(self) -> None:
        for key, chip in self.chips.items():
            on = self.mine if key == "mine" else key == self.part
            chip.classes(add="lc-acc" if on else "", remove="" if on else "lc-acc")

    def _empty(self) -> None:
        ui.label(_("No calls here."))
        if self.session.may("settings.manage"):
            ui.label(_("Where the program hears of calls is set under “Incoming calls” in the settings.")).classes("lc-muted")

    def _actions(self) -> list[Action]:
        found = [Action("open", _("Open"), self._chosen(self._open), "enter")]
        if not self.session.may("call.update") or self.session.looking_as is not None:
            return found
        return [
            *found,
            Action("settle", _("Called back: done (or waits again)"), self._on(settle), "d"),
            Action("note", _("Note…"), self._on(note), "f4"),
            Action("choose", _("Another customer…"), self._on(choose)),
            Action("customer", _("New customer"), self._on(new_customer), "f8"),
        ]

    def _chosen(self, handler: Callable[[str], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            if self.grid.chosen:
                await handler(self.grid.chosen)

        return run

    def _on(self, handler: Callable[[Session, Card], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def run(identity: str) -> None:
            outcome = await run_service(self.session, lambda: read_card(self.session, identity))
            if outcome.ok:
                await handler(self.session, outcome.value)

        return self._chosen(run)

    async def _open(self, identity: str) -> None:
        await call_dialog(self.session, identity)

    async def _by_hand(self) -> None:
        await by_hand(self.session)


def _count(session: Session) -> int:
    with session.store.read() as connection:
        return select(connection, missed(session.actor, mine=not session.actor.is_admin, limit=1)).total


register(
    Screen(
        "calls",
        "/calls",
        N_("Calls"),
        "call",
        "call.read",
        calls,
        "customers",
        40,
        lists="call",
        badge=Badge(_count, frozenset({"call"}), N_("{count} missed calls wait")),
    )
)
