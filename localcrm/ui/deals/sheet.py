"""The sheet of one opportunity in a dialog: where it stands, what is next, what belongs to it, and every step it took."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import context, ui

from localcrm.domain.crm.deal_sheet import LINE, PLAN, TASK, Row, Sheet, Way, deal_sheet
from localcrm.domain.crm.entities import DealState, Phase
from localcrm.domain.crm.opportunities import CHANGE, OPPORTUNITY
from localcrm.kernel.clock import now_utc
from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import EntityType
from localcrm.store.view import Masked
from localcrm.ui.deals import deeds
from localcrm.ui.deals.papers import SHOWS as SHOWN_PAPERS, Papers, draw_papers, read_papers
from localcrm.ui.kit.detail import facts
from localcrm.ui.kit.dialogs import page_dialog
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.values import NUMBERS, show, show_kind, tone
from localcrm.ui.operations import run_service, run_verb
from localcrm.ui.screens.records import delete_with_undo

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Kinds of records whose changes draw an open sheet anew.
SHOWS = frozenset(
    {"opportunity", "opportunity_line", "opportunity_stage_change", "opportunity_tick", "project_task", "service_plan", "stage"}
)
_FACTS = ("amount", "expected_on", "next_step", "next_on", "contact_id", "owner_id", "branch_id", "service_branch_id", "competitors")
_LAST = ("reason", "decided_on", "remark", "files")
_STEP = ("at", "user_id", "to_stage_id", "state", "remark")

Deed = Callable[["Session", str], Awaitable[bool]]


def steps_of(record: Mapping[str, Any]) -> list[tuple[str, str, Deed, bool]]:
    """What can become of an opportunity now: key, label, deed, and whether it is the usual next step."""
    state, phase = record.get("state"), record.get("phase")
    if state == DealState.OPEN:
        return [("lose", _("Lost…"), partial(deeds.decide, won=False), False), ("win", _("Won…"), partial(deeds.decide, won=True), True)]
    if state in {DealState.LOST, DealState.CLOSED}:
        return [("reopen", _("Reopen"), deeds.reopen, False)]
    if phase == Phase.OPPORTUNITY:
        return [
            ("reopen", _("Reopen"), deeds.reopen, False),
            ("aftercare", _("Start the aftercare…"), deeds.start_aftercare, False),
            ("project", _("Start the project"), deeds.start_project, True),
        ]
    if phase == Phase.PROJECT:
        return [("aftercare", _("Start the aftercare…"), deeds.start_aftercare, True)]
    return [("close", _("Close the aftercare…"), deeds.close_aftercare, False)]


def _outside(function: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    """A handler whose dialogs do not belong to the sheet: it is drawn anew at every change, and they would go with it."""

    async def run() -> Any:
        with context.client.content:
            return await function()

    return run


class DealSheet:
    """The one sheet of a page; ``open`` shows an opportunity in it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.identity: str | None = None
        self.may_change = session.may("opportunity.update")
        with page_dialog().on("hide", self._closed) as self.dialog:
            self.card = ui.card().classes("lc-dialog lc-wide lc-deal-sheet").mark("deal-sheet")
        session.subscribe(SHOWS | SHOWN_PAPERS, self._changed)

    async def open(self, identity: str) -> None:
        """Show an opportunity."""
        self.identity = identity
        if await self._draw():
            self.dialog.open()

    def _closed(self) -> None:
        self.identity = None

    async def _changed(self, _changes: Changes) -> None:
        if self.identity and not await self._draw():
            self.dialog.close()

    async def _draw(self) -> bool:
        identity = str(self.identity)

        def read() -> tuple[Sheet, Papers]:
            with self.session.store.read() as connection:
                sheet = deal_sheet(connection, self.session.actor, identity, now_utc())
                return sheet, read_papers(self.session, connection, identity)

        outcome = await run_service(self.session, read)
        if not outcome.ok or identity != self.identity:
            return outcome.ok
        sheet, papers = outcome.value
        self.card.clear()
        with self.card:
            for part in (self._head, self._stages, self._checklist, self._facts, self._parts):
                part(sheet)
            draw_papers(self.session, sheet.record, papers)
            self._way(sheet)
            self._buttons(sheet)
        return True

    # parts ---------------------------------------------------------------------------------------------------------------

    def _head(self, sheet: Sheet) -> None:
        record = sheet.record
        with ui.element("div").classes("lc-row"):
            ui.label(str(record.get("title") or "…")).classes("lc-dialog-title grow lc-cut").mark("sheet-title")
            for key in ("phase", "state"):
                field = OPPORTUNITY.fields[key]
                if record.get(key):
                    chip = ui.label(show(field, record[key]) or "").classes("lc-chip").mark(f"sheet-{key}")
                    chip.props(f"data-tone={tone(field, record[key])}")
            ui.button(icon="close", on_click=self.dialog.close).props(f'flat dense round size=sm aria-label="{_("Close")}"')
        with ui.element("div").classes("lc-row lc-muted"):
            if record.get("number"):
                ui.label(str(record["number"])).style("white-space:nowrap")
            customer = record.get("customer_id")
            if isinstance(customer, str) and not isinstance(customer, Masked) and self.session.may("customer.read"):
                with ui.element("a").props(f'href="/customers?open={customer}"').classes("lc-cut").mark("sheet-customer"):
                    ui.label(sheet.names["customer_id"].get(customer, ""))
            else:
                ui.label(show(OPPORTUNITY.fields["customer_id"], customer, sheet.names.get("customer_id")) or "").classes("lc-cut")

    def _stages(self, sheet: Sheet) -> None:
        now = next((n for n, stage in enumerate(sheet.stages) if stage["id"] == sheet.record.get("stage_id")), -1)
        going = sheet.record.get("state") in {DealState.OPEN, DealState.WON}
        with ui.element("div").classes("lc-stage-strip").mark("stages"):
            for place, stage in enumerate(sheet.stages):
                style = "lc-on" if place == now else "lc-passed" if place < now else ""
                button = ui.element("button").classes(f"lc-chip {style}").props('type="button"').mark(f"stage-{place}")
                button.on("click", _outside(partial(deeds.move, self.session, sheet.record["id"], stage["id"])))
                if place == now:
                    button.props('aria-current="step"')
                if not (going and self.may_change):
                    button.props("disabled")
                with button:
                    ui.label(stage["name"])

    def _checklist(self, sheet: Sheet) -> None:
        if not sheet.items:
            return
        with ui.element("div").classes("lc-checks").mark("checks"):
            for item, done in sheet.items.items():
                box = ui.checkbox(item, value=done, on_change=lambda event, item=item: self._tick(item, bool(event.value)))
                box.props("dense").mark("check-item")
                if not self.may_change:
                    box.props("disable")

    async def _tick(self, item: str, done: bool) -> None:
        with context.client.content:
            await run_verb(self.session, "crm.tick_item", {"opportunity_id": self.identity, "item": item, "done": done})

    def _facts(self, sheet: Sheet) -> None:
        extra = []
        if sheet.record.get("state") == DealState.OPEN:
            extra.append((_("Probability"), f"{sheet.percent}%"))
            extra += [(_("Weighted amount"), show_kind("money", sheet.weighted) or "")] if sheet.weighted is not None else []
        if sheet.record.get("state") in {DealState.OPEN, DealState.WON}:
            days = _("{days} days").format(days=sheet.days)
            extra.append((_("In this stage for"), _("{days}, too long").format(days=days) if sheet.stuck else days))
        keys = [*_FACTS, *(key for key in _LAST if sheet.record.get(key))]
        own = [field for field in OPPORTUNITY.fields.values() if field.custom and field.is_used]
        facts(OPPORTUNITY, sheet.record, sheet.names, [*(OPPORTUNITY.fields[key] for key in keys), *own], extra)

    def _parts(self, sheet: Sheet) -> None:
        phase = sheet.record.get("phase")
        columns: tuple[str, ...] = ("description", "quantity", "price")
        foot = partial(self._line_sum, sheet)
        self._table(LINE, sheet.lines, columns, _("Products"), _("＋ Product"), always=phase == Phase.OPPORTUNITY, foot=foot)
        columns = ("title", "due_on", "done_on", "user_id", "cost", "hours")
        self._table(TASK, sheet.tasks, columns, _("Tasks and milestones"), _("＋ Task"), always=phase == Phase.PROJECT)
        columns = ("title", "every", "unit", "next_on", "user_id")
        self._table(PLAN, sheet.plans, columns, _("Maintenance plans"), _("＋ Plan"), always=phase == Phase.AFTERCARE)

    def _line_sum(self, sheet: Sheet) -> None:
        """What the products come to, and one click to expect that."""
        total = sheet.line_sum
        if not sheet.lines or total is None:
            return
        with ui.element("div").classes("lc-row").style("justify-content:flex-end"):
            ui.label(_("Products come to {sum}").format(sum=show_kind("money", total))).classes("lc-muted").mark("line-sum")
            if self.may_change and sheet.record.get("amount") != total:
                values = {"entity": "opportunity", "id": sheet.record["id"], "values": {"amount": str(total)}}
                take = _outside(partial(run_verb, self.session, "records.update_record", values, done=_("Changes saved")))
                ui.button(_("Expect this amount"), on_click=take).props("flat dense no-caps").mark("take-sum")

    def _table(
        self,
        kind: EntityType,
        rows: Sequence[Row] | None,
        keys: Sequence[str],
        title: str,
        add: str,
        *,
        always: bool,
        foot: Callable[[], None] | None = None,
    ) -> None:
        may_add = self.may_change and self.session.may(f"{kind.key}.create")
        if rows is None or not (rows or (always and may_add)):
            return
        keys = [key for key in keys if not rows or key in rows[0].record]
        with ui.element("div").classes("lc-sheet-part").mark(f"part-{kind.key}"):
            with ui.element("div").classes("lc-row"):
                ui.label(title).classes("grow lc-strong")
                if may_add:
                    new = _outside(partial(edit_dialog, self.session, kind, preset={"opportunity_id": self.identity}))
                    ui.button(add, on_click=new).props(f"flat dense no-caps size=sm data-act=new-{kind.key}")
            if rows:
                with ui.element("table").classes("lc-table lc-rows"):
                    heads(*((kind.fields[key].label, "lc-num" if kind.fields[key].kind in NUMBERS else "") for key in keys), "")
                    for row in rows:
                        self._line(kind, row, keys)
            if foot:
                foot()

    def _line(self, kind: EntityType, row: Row, keys: Sequence[str]) -> None:
        identity = row.record["id"]
        edit = _outside(partial(edit_dialog, self.session, kind, identity=identity))
        tools: list[tuple[bool, str, str, Callable[[], Awaitable[Any]]]] = [
            (
                kind is TASK and not row.record.get("done_on"),
                "check",
                _("Done"),
                _outside(partial(deeds.task_done, self.session, identity)),
            ),
            (True, "edit", _("Edit"), edit),
            (
                self.session.may(f"{kind.key}.delete"),
                "delete",
                _("Delete"),
                _outside(partial(delete_with_undo, self.session, kind, identity)),
            ),
        ]
        with ui.element("tr").classes("lc-hover").on("dblclick", edit):
            for key in keys:
                field = kind.fields[key]
                text, look = show(field, row.record.get(key), row.names.get(key)), "lc-num" if field.kind in NUMBERS else ""
                cell(text or "—", look if text else f"{look} lc-none-cell", label=field.label)
            with ui.element("td").classes("lc-num"), ui.element("div").classes("lc-row-tools"):
                for shown, icon, label, run in tools:
                    if shown and self.may_change and self.session.may(f"{kind.key}.update"):
                        button = ui.button(icon=icon, on_click=run).props(f"flat dense round size=sm aria-label={quoted(label)}")
                        button.mark(f"{icon}-{kind.key}")

    def _way(self, sheet: Sheet) -> None:
        if not sheet.way:
            return
        folded = ui.expansion(_("Stages so far")).props("dense header-class=lc-muted").classes("w-full").mark("way")
        with folded, ui.element("div").classes("lc-sheet-part"), ui.element("table").classes("lc-table"):
            heads(*(CHANGE.fields[key].label for key in _STEP), (_("Days"), "lc-num"))
            for way in sheet.way:
                self._step(way)

    def _step(self, way: Way) -> None:
        record, names = way.row.record, way.row.names
        with ui.element("tr"):
            for key in _STEP:
                cell(show(CHANGE.fields[key], record.get(key), names.get(key)) or "—")
            cell("" if way.days is None else str(way.days), "lc-num")

    def _buttons(self, sheet: Sheet) -> None:
        record = sheet.record
        with ui.element("div").classes("lc-dialog-buttons").style("flex-wrap:wrap"):
            if not self.may_change:
                ui.button(_("Close"), on_click=self.dialog.close).props("flat no-caps").classes("lc-btn")
                return
            edit = _outside(partial(edit_dialog, self.session, OPPORTUNITY, identity=record["id"]))
            ui.button(_("Edit"), on_click=edit).props("unelevated no-caps").classes("lc-btn").mark("sheet-edit")
            for key, label, deed, primary in steps_of(record):
                button = ui.button(label, on_click=_outside(partial(deed, self.session, record["id"])))
                button.props(f"unelevated no-caps data-act=do-{key}")
                button.classes("lc-pri" if primary else "lc-btn")
