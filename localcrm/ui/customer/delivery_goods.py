"""A dialog: what is in a delivery, with the serial numbers that are scanned into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.sales.entities import DeliveryLine
from localcrm.domain.sales.installed import read_serials
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import gettext as _
from localcrm.ui.kit.dialogs import answer_of
from localcrm.ui.kit.lines import heads
from localcrm.ui.kit.picker import picker
from localcrm.ui.kit.values import show_kind
from localcrm.ui.operations import run_verb

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

LINE = DeliveryLine.entity_type


@dataclass(slots=True)
class Row:
    """One line of the dialog as it is typed; ``id`` "" for a new one."""

    id: str
    product_id: str
    name: str
    quantity: str
    serials: str


class GoodsDialog:
    """One open dialog."""

    def __init__(self, session: Session, delivery_id: str) -> None:
        self.session, self.delivery_id = session, delivery_id
        self.rows: list[Row] = []
        self.may_change = False

    async def ask(self) -> bool:
        """Show what is in it and let it be changed; whether it was."""
        outcome = await run_verb(self.session, "sales.goods", {"delivery_id": self.delivery_id})
        if not outcome.ok:
            return False
        self.may_change = outcome.value["own"] and self.session.may("delivery.update")
        self.rows = [
            Row(line["id"], line["product_id"], line.get("description") or "", _plain(line.get("quantity")), line.get("serials") or "")
            for line in outcome.value["lines"]
        ]
        with ui.dialog() as self.dialog, ui.card().classes("lc-dialog lc-wide").mark("goods"):
            ui.label(_("Goods and serial numbers")).classes("lc-dialog-title")
            ui.label(
                _(
                    "Scan or paste serial numbers, one a line. Once the delivery is on its way, each piece is one of the customer's products in use."
                )
            ).classes("lc-muted")
            self.problem = ui.label().classes("lc-notice").props('role="alert"')
            self.problem.set_visibility(False)
            self.table = ui.element("div").classes("lc-scroll")
            self._draw()
            if self.may_change:
                with ui.element("div").classes("lc-field"):
                    ui.label(_("Add a product")).classes("lc-label")
                    self.adder = picker(self.session, "product", None, self._add, create=False)
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Close"), on_click=lambda: self.dialog.submit(False)).props("flat no-caps").classes("lc-btn")
                if self.may_change:
                    ui.button(_("Save"), on_click=self._save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save")
        return bool(await answer_of(self.dialog))

    def _draw(self) -> None:
        self.table.clear()
        with self.table:
            if not self.rows:
                ui.label(_("Nothing has been entered yet.")).classes("lc-muted")
                return
            with ui.element("table").classes("lc-table lc-rows"):
                heads(LINE.fields["product_id"].label, (LINE.fields["quantity"].label, "lc-num"), LINE.fields["serials"].label, "")
                for row in self.rows:
                    self._row(row)

    def _row(self, row: Row) -> None:
        with ui.element("tr"):
            with ui.element("td"):
                ui.label(row.name)
            with ui.element("td").classes("lc-num").style("width:110px"):
                if self.may_change:
                    label = LINE.fields["quantity"].label
                    quantity = ui.input(value=row.quantity).props(
                        f'outlined dense hide-bottom-space inputmode=decimal aria-label="{label}"'
                    )
                    quantity.bind_value_to(row, "quantity").mark("quantity")
                else:
                    ui.label(row.quantity)
            with ui.element("td").style("flex:1 1 100%"):
                if self.may_change:
                    label = LINE.fields["serials"].label
                    serials = ui.textarea(value=row.serials).props(f'outlined dense autogrow hide-bottom-space rows=2 aria-label="{label}"')
                    serials.classes("w-full").bind_value_to(row, "serials").mark("serials")
                    count = ui.label(_counted(row.serials)).classes("lc-small-text lc-muted")
                    serials.on_value_change(lambda event, count=count: count.set_text(_counted(event.value)))
                else:
                    ui.label(row.serials or "—").style("white-space:pre-line")
            with ui.element("td").style("width:44px"):
                if self.may_change:
                    away = ui.button(icon="close", on_click=lambda row=row: self._remove(row)).props("flat dense size=sm")
                    away.props(f'aria-label="{_("Remove row")}"')

    def _add(self, product: str | None) -> None:
        if product is None:
            return
        name = self.adder.title
        self.rows.append(Row("", product, name, "1", ""))
        self.adder.set_value(None, None)
        self._draw()

    def _remove(self, row: Row) -> None:
        self.rows.remove(row)
        self._draw()

    async def _save(self) -> None:
        lines: list[dict[str, Any]] = [
            {"product_id": row.product_id, "quantity": row.quantity, "serials": row.serials} | ({"id": row.id} if row.id else {})
            for row in self.rows
        ]
        parameters = {"delivery_id": self.delivery_id, "lines": lines}
        outcome = await run_verb(self.session, "sales.save_goods", parameters, done=_("Saved"), on_error=self._tell)
        if outcome.ok:
            self.dialog.submit(True)

    def _tell(self, error: AppError) -> bool:
        self.problem.set_text(error.message)
        self.problem.set_visibility(True)
        return True


def _counted(serials: str) -> str:
    count = len(read_serials(serials))
    return _("{count} serial numbers").format(count=count) if count else ""


def _plain(quantity: Any) -> str:
    return show_kind("quantity", quantity) or ""


async def goods(session: Session, delivery: str) -> str | None:
    """Ask what is in a delivery; its id, if that was changed."""
    return delivery if await GoodsDialog(session, delivery).ask() else None
