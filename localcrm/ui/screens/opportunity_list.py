"""The list of opportunities with columns of one's own choice, and the plain lists of what belongs to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.crm.entities import DealState
from localcrm.domain.crm.opportunities import OPPORTUNITY
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.ui.deals import deeds
from localcrm.ui.deals.actions import deal_actions
from localcrm.ui.deals.sheet import DealSheet
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.kit.grid import RecordGrid
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.menu import action_button
from localcrm.ui.kit.presets import Presets
from localcrm.ui.kit.theme import asset
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.opportunities import PATH, PHASES, view_links
from localcrm.ui.screens.records import Further, list_screen

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


def opportunity_list(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen; ``query`` and ``mine`` as in ``kit.presets``."""
    _List(session, parameters).build()


class _List:
    """One open page."""

    def __init__(self, session: Session, parameters: Mapping[str, str]) -> None:
        self.session = session
        self.presets = Presets(session, OPPORTUNITY, parameters)
        self.chips: dict[tuple[str, str | None], ui.button] = {}

    def build(self) -> None:
        """List first; its filters above it."""
        session = self.session
        with page_frame(session, title=_("Opportunities"), active="opportunities"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}"><link rel="stylesheet" href="{asset("board.css")}">')
            self.sheet = DealSheet(session)
            actions = deal_actions(session, self.sheet, lambda: self.grid.chosen)
            with page_head(_("Opportunities")):
                tools = ui.element("div").classes("lc-row")
                with ui.element("div").classes("lc-quick").mark("filters"):
                    self._chip("", None, _("All"))
                    for phase, label in PHASES.items():
                        self._chip("phase", phase.value, gettext(label))
                    for state in (DealState.WON, DealState.LOST):
                        self._chip("state", state.value, gettext(state.label))
                    self.presets.draw(self._ask, everything=False)
                ui.space()
                with ui.element("div").classes("lc-row"):
                    view_links("list")
                    right = ui.element("div").classes("lc-row")
                    if session.may("opportunity.create"):
                        with ui.button(on_click=self.new).props("unelevated no-caps data-key=n").classes("lc-pri").mark("new"):
                            ui.label(_("＋ New opportunity"))
                            ui.label(own_key("n")).classes("lc-kbd")
            self.grid = RecordGrid(
                session, OPPORTUNITY, actions=actions, on_open=self.sheet.open, empty=self._empty, tree=self.presets.tree
            )
            with tools:
                self.grid.search_box(_("Subject, number, pinyin"))
                self.grid.total()
            with right:
                action_button(actions)
                self.grid.tools()
        self._show("", None)

    def _empty(self) -> None:
        ui.label(_("No opportunities here."))
        if self.session.may("opportunity.create"):
            ui.button(_("＋ New opportunity"), on_click=self.new).props("unelevated no-caps").classes("lc-btn")

    def _chip(self, field: str, value: str | None, label: str) -> None:
        chip = ui.button(label, on_click=lambda: self._narrow(field, value)).props("flat dense no-caps").classes("lc-chip")
        self.chips[field, value] = chip.mark(f"show-{value or 'all'}")

    def _narrow(self, field: str, value: str | None) -> None:
        """One of them at a time, and none beside a query of the program."""
        self.presets.take("")
        self._ask(field, value)

    def _ask(self, field: str = "", value: str | None = None) -> None:
        self.grid.tree = self.presets.tree
        self.grid.where = [(field, "=", value)] if field else []
        self.grid.requery()
        self._show(field, value)

    def _show(self, field: str, value: str | None) -> None:
        for key, chip in self.chips.items():
            on = key == (field, value) and not self.presets.key
            chip.classes(add="lc-acc" if on else "", remove="" if on else "lc-acc")

    async def new(self) -> None:
        """Enter an opportunity."""
        saved = await edit_dialog(self.session, OPPORTUNITY)
        if saved:
            self.grid.refresh(saved["id"])


async def _done(session: Session, task: str) -> str | None:
    return task if await deeds.task_done(session, task) else None


def _plain_list(kind: str, label: str, icon: str, *further: Further) -> Screen:
    return Screen(kind, f"/records/{kind}", label, icon, f"{kind}.read", list_screen(kind, "opportunities", further), None, lists=kind)


register(
    Screen("opportunity_list", f"{PATH}/list", N_("List of opportunities"), "list", "opportunity.read", opportunity_list, None),
    _plain_list("opportunity_line", N_("Products wanted"), "inventory_2"),
    _plain_list("project_task", N_("Project tasks"), "task_alt", Further("done", N_("Done"), "project_task.update", _done)),
    _plain_list("service_plan", N_("Maintenance plans"), "event_repeat"),
)
