"""The stages of opportunities, projects and aftercare, as head office keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.domain.crm.entities import Phase
from localcrm.domain.crm.opportunities import STAGE
from localcrm.domain.crm.pipeline_rules import checklist
from localcrm.domain.crm.stage_sets import stages_of
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.store.query import Record
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.operations import run_service, run_verb
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.opportunities import PHASES
from localcrm.ui.screens.records import delete_with_undo

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


async def stages(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await _Stages(session).build()


class _Stages:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session, self.department = session, ""
        here = session.store.node.is_office
        self.may_add, self.may_change, self.may_delete = (
            here and session.may(f"stage.{action}") for action in ("create", "update", "delete")
        )

    async def build(self) -> None:
        """One card per phase: of the company, or of the department that is chosen."""
        title = _("Stages of opportunities")
        with page_frame(self.session, title=title, active="stages"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(title):
                if not self.session.store.node.is_office:
                    ui.label(_("Head office keeps these lists.")).classes("lc-muted")
                ui.space()
                outcome = await run_service(self.session, self._departments)
                names = {"": _("Stages of the company"), **(outcome.value if outcome.ok else {})}
                if len(names) > 1:
                    box = ui.select(names, value="", on_change=self._choose).props("outlined dense options-dense hide-bottom-space")
                    box.props(f'aria-label="{_("Department")}" data-act=department').mark("department")
            self.cards = ui.element("div").classes("lc-col").style("max-width:1100px;width:100%;flex:none").mark("stages")
        await self._draw()
        self.session.subscribe({"stage"}, lambda _changes: self._draw())

    def _departments(self) -> dict[str, str]:
        """Every department, for it may get stages of its own."""
        with self.session.store.read() as connection:
            rows = connection.all("SELECT id, name FROM department WHERE deleted = 0 ORDER BY position, name")
        return {pk.hex(): _("Stages of {department}").format(department=name) for pk, name in rows}

    async def _choose(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self.department = str(event.value or "")
        await self._draw()

    async def _draw(self) -> None:
        department = self.department or None

        def read() -> dict[Phase, list[Record]]:
            with self.session.store.read() as connection:
                return {phase: stages_of(connection, phase, department) for phase in Phase}

        outcome = await run_service(self.session, read)
        if not outcome.ok:
            return
        self.cards.clear()
        with self.cards:
            if self.may_add and not department and not all(outcome.value.values()):
                with ui.element("div").classes("lc-notice lc-info"):
                    ui.label(_("A phase without stages has no board.")).classes("grow")
                    add = partial(run_verb, self.session, "crm.add_standard_stages", {}, done=_("Saved"))
                    ui.button(_("Add the usual stages"), on_click=add).props("unelevated no-caps").classes("lc-btn").mark("add-stages")
            for phase, rows in outcome.value.items():
                self._phase(phase, rows)

    def _phase(self, phase: Phase, rows: Sequence[Record]) -> None:
        with ui.element("div").classes("lc-card lc-pad").style("flex:none").props(f"data-phase={phase.value}"):
            with ui.element("div").classes("lc-row"):
                ui.label(gettext(PHASES[phase])).classes("lc-sub grow")
                if self.may_add and self.department and not rows:
                    copy = partial(run_verb, self.session, "crm.copy_stages", {"department": self.department, "phase": phase.value})
                    own = ui.button(_("Own stages for this department"), on_click=copy).props("unelevated no-caps")
                    own.classes("lc-btn").mark(f"copy-{phase.value}").props(f"data-act=copy-{phase.value}")
                elif self.may_add:
                    last = max((row["position"] for row in rows), default=0)
                    preset = {"phase": phase.value, "position": last + 10}
                    add = partial(self._edit, None, preset | ({"department_id": self.department} if self.department else {}))
                    ui.button(_("＋ Stage"), on_click=add).props("unelevated no-caps").classes("lc-btn").mark(f"add-{phase.value}")
            if not rows:
                through = _("It goes through the stages of the department above, or of the company.")
                ui.label(through if self.department else _("No stages yet.")).classes("lc-muted")
                return
            fields = STAGE.fields
            with ui.element("div").style("overflow-x:auto"), ui.element("table").classes("lc-table"):
                heads(
                    fields["name"].label,
                    (fields["probability"].label, "lc-num"),
                    (fields["stuck_days"].label, "lc-num"),
                    (_("Checklist"), "lc-hide-phone"),
                    "",
                )
                for row in rows:
                    self._row(row)

    def _row(self, row: Record) -> None:
        with ui.element("tr").props("data-stage"):
            cell(row["name"])
            cell(f"{row['probability']}%", "lc-num")
            cell(str(row["stuck_days"]) if row["stuck_days"] else "—", "lc-num")
            cell(_("; ").join(checklist(row["checklist"])) or "—", "lc-hide-phone")
            with ui.element("td").classes("lc-num").style("white-space:nowrap"):
                tools: list[tuple[bool, str, str, Any]] = [
                    (self.may_change, "edit", _("Edit"), partial(self._edit, row["id"], {})),
                    (self.may_delete, "delete", _("Delete"), partial(self._delete, row["id"])),
                ]
                for shown, icon, label, run in tools:
                    if shown:
                        ui.button(icon=icon, on_click=run).props(f"flat dense round size=sm aria-label={quoted(label)} data-act={icon}")

    async def _edit(self, identity: str | None, preset: dict[str, Any]) -> None:
        with self.cards.client.content:  # the cards are drawn anew when it is saved
            await edit_dialog(self.session, STAGE, identity=identity, preset=preset)

    async def _delete(self, identity: str) -> None:
        with self.cards.client.content:
            await delete_with_undo(self.session, STAGE, identity)


register(Screen("stages", "/settings/stages", N_("Stages of opportunities"), "linear_scale", "stage.read", stages, "settings", 41))
