"""The small lists that head office keeps: units with their decimals, tax rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.catalog.entities import ListEntry, ListName
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.store.query import ListQuery, Record, every
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import Form
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import show
from localcrm.ui.operations import run_service, run_verb
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import delete_with_undo

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

ENTRY = ListEntry.entity_type
#: list → (heading, what it is for, its own field, the button)
LISTS = {
    ListName.UNIT: (
        N_("Units"), N_("Offered for products; quantities in orders and movements are as fine as their unit allows."), "decimals", N_("＋ Unit"),
    ),
    ListName.TAX_RATE: (N_("Tax rates"), N_("Offered in the lines of an order."), "rate", N_("＋ Tax rate")),
}  # fmt: skip


async def lists(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await _Lists(session).build()


class _Lists:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.may_change = session.store.node.is_office and session.may("list_entry.update")

    async def build(self) -> None:
        """One card per list."""
        title = _("Units and tax rates")
        with page_frame(self.session, title=title, active="lists"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(title):
                if not self.session.store.node.is_office:
                    ui.label(_("Head office keeps these lists.")).classes("lc-muted")
            self.cards = ui.element("div").classes("lc-values").style("align-items:start").mark("lists")
        await self._draw()
        self.session.subscribe({"list_entry"}, lambda _changes: self._draw())

    async def _draw(self) -> None:
        def read() -> list[Record]:
            view = policy.view(self.session.actor, ENTRY)
            with self.session.store.read() as connection:
                return [row for page in every(connection, ListQuery(ENTRY, sort="position", restrict=view)) for row in page.rows]

        outcome = await run_service(self.session, read)
        if not outcome.ok:
            return
        self.cards.clear()
        with self.cards:
            for name in LISTS:
                self._draw_list(name, [row for row in outcome.value if row["list"] == name])

    def _draw_list(self, name: ListName, rows: Sequence[Record]) -> None:
        heading, purpose, key, add = LISTS[name]
        field = ENTRY.fields[key]
        with ui.element("div").classes("lc-card lc-pad").props(f"data-list={name.value}"):
            with ui.element("div").classes("lc-row"):
                ui.label(_(heading)).classes("lc-sub grow")
                if self.may_change:
                    ui.button(_(add), on_click=partial(self._edit, name, None, len(rows))).props("unelevated no-caps data-act=add").classes(
                        "lc-btn"
                    )
            ui.label(_(purpose)).classes("lc-muted")
            if not rows:
                ui.label(_("Nothing is listed; anything may be typed.")).classes("lc-muted")
                return
            with ui.element("table").classes("lc-table"):
                heads(ENTRY.fields["name"].label, (field.label, "lc-num"), "")
                for row in rows:
                    with ui.element("tr").props("data-entry"):
                        cell(row["name"])
                        whole = key == "decimals" and row[key] == 0
                        cell(_("whole numbers") if whole else show(field, row[key]) or "—", "lc-num")
                        with ui.element("td").classes("lc-num"):
                            if self.may_change:
                                self._buttons(name, row)

    def _buttons(self, name: ListName, row: Record) -> None:
        for icon, label, run in (
            ("edit", _("Edit"), partial(self._edit, name, row, 0)),
            ("delete", _("Delete"), partial(delete_with_undo, self.session, ENTRY, row["id"])),
        ):
            ui.button(icon=icon, on_click=run).props(f"flat dense round size=sm aria-label={quoted(label)} data-act={icon}")

    async def _edit(self, name: ListName, row: Record | None, position: int) -> None:
        keys = ("name", LISTS[name][2], "position")
        with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("entry"):
            ui.label(gettext(name.label)).classes("lc-dialog-title")
            preset = {"list": name.value, "position": position}
            form = Form(self.session, ENTRY, fields=[ENTRY.fields[key] for key in keys], record=row, preset=preset, two=True)

            def refused(error: AppError) -> bool:
                return form.show_error(error)

            async def save() -> None:
                form.clear_errors()
                wish: dict[str, Any] = {
                    "entity": ENTRY.key,
                    "values": {key: "" if value is None else value for key, value in form.values().items()},
                }
                verb = "records.create_record"
                if row is not None:
                    verb, wish = "records.update_record", wish | {"id": row["id"], "version": row["version"]}
                if (await run_verb(self.session, verb, wish, on_error=refused, done=_("Saved"))).ok:
                    dialog.submit(True)

            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Cancel"), on_click=lambda: dialog.submit(False)).props("flat no-caps").classes("lc-btn")
                ui.button(_("Save"), on_click=save).props("unelevated no-caps data-commit data-act=save-entry").classes("lc-pri").mark(
                    "save"
                )
            form.focus_first_empty()
        await answer_of(dialog)


register(Screen("lists", "/settings/lists", N_("Units and tax rates"), "straighten", "list_entry.read", lists, "settings", 40))
