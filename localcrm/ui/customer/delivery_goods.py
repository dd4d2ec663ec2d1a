"""A dialog: what is in a delivery, with the serial numbers that are scanned into it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.sales.entities import DeliveryLine
from localcrm.domain.sales.serials import read_serials
from localcrm.kernel.errors import AppError, InvalidInput
from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.money import parse_decimal
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.lines import heads
from localcrm.ui.kit.picker import picker
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.values import show_kind
from localcrm.ui.operations import run_verb

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

LINE = DeliveryLine.entity_type
_TYPED = ("quantity", "batch", "serials", "over_reason")
#: Of a product that its order does not name.
_NOTHING = {"ordered": "0", "before": "0"}


@dataclass(slots=True)
class Row:
    """One line of the dialog as it is typed; ``id`` "" for a new one."""

    id: str
    product_id: str
    name: str
    quantity: str
    batch: str
    serials: str
    over_reason: str


class GoodsDialog:
    """One open dialog."""

    def __init__(self, session: Session, delivery_id: str) -> None:
        self.session, self.delivery_id = session, delivery_id
        self.rows: list[Row] = []
        self.may_change = False
        self.order: dict[str, dict[str, str]] = {}
        self.share = Decimal(1)
        self.told_over = False  # that more goes than was ordered, which who does not see the order learns when saving

    async def ask(self) -> bool:
        """Show what is in it and let it be changed; whether it was."""
        outcome = await run_verb(self.session, "sales.goods", {"delivery_id": self.delivery_id})
        if not outcome.ok:
            return False
        self.may_change = outcome.value["own"] and self.session.may("delivery.update")
        self.order, self.share = outcome.value["order"], 1 + Decimal(outcome.value["allowed"])
        self.rows = [
            Row(
                line["id"],
                line["product_id"],
                line.get("description") or "",
                _plain(line.get("quantity")),
                *(line.get(key) or "" for key in ("batch", "serials", "over_reason")),
            )
            for line in outcome.value["lines"]
        ]
        with page_dialog() as self.dialog, ui.card().classes("lc-dialog lc-wide").mark("goods"):
            ui.label(_("Goods and serial numbers")).classes("lc-dialog-title")
            ui.label(
                _(
                    "Scan or paste serial numbers, one a line. Once the delivery is on its way, each piece is one of the customer's products in use."
                )
            ).classes("lc-muted")
            self.problem = Problem()
            self.table = ui.element("div").classes("lc-scroll")
            self._draw()
            if self.may_change:
                self.besides = ui.element("div").classes("lc-row lc-wrap-row").mark("besides")
                self._offer()
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
            number = "lc-num"
            of_order = ((_("Ordered quantity"), number), (_("Sent before"), number)) if self.order else ()
            still_open = ((_("Not sent yet"), number),) if self.order else ()
            quantity = (_("Sent now") if self.order else LINE.fields["quantity"].label, number)
            names = (LINE.fields[key].label for key in ("batch", "serials"))
            with ui.element("table").classes("lc-table lc-rows lc-goods"):
                heads(LINE.fields["product_id"].label, *of_order, quantity, *still_open, *names, "")
                for row in self.rows:
                    self._row(row)

    def _row(self, row: Row) -> None:
        with ui.element("tr"):
            with ui.element("td"):
                ui.label(row.name)
            known = self.order.get(row.product_id, _NOTHING)
            if self.order:
                for label, key in ((_("Ordered quantity"), "ordered"), (_("Sent before"), "before")):
                    with _cell(label, "lc-num"):
                        ui.label(_plain(known[key]))
            with _cell(_("Sent now") if self.order else LINE.fields["quantity"].label, "lc-num"):
                quantity = self._input(row, "quantity", ui.input, "inputmode=decimal").style("width:90px")
            if self.order:
                with _cell(_("Not sent yet"), "lc-num"):
                    still_open = ui.label().mark("open")
            with _cell(LINE.fields["batch"].label):
                self._input(row, "batch", ui.input, "maxlength=200").style("width:110px")
            with _cell(LINE.fields["serials"].label).style("flex:1 1 100%;min-width:180px"):
                serials = self._input(row, "serials", ui.textarea, "autogrow rows=2").classes("w-full")
                count = ui.label(_counted(row.serials)).classes("lc-small-text lc-muted")
                why = self._input(row, "over_reason", ui.input, f"maxlength=200 placeholder={quoted(LINE.fields['over_reason'].label)}")
            with ui.element("td").style("width:44px"):
                if self.may_change:
                    away = ui.button(icon="close", on_click=lambda: self._remove(row)).props("flat dense size=sm")
                    away.props(f'aria-label="{_("Remove row")}"')
        if isinstance(serials, ui.textarea):
            serials.on_value_change(lambda event: count.set_text(_counted(event.value)))
        why.set_visibility(self.told_over or bool(row.over_reason))
        if not self.order:
            return

        def tell() -> None:
            ordered, left = Decimal(known["ordered"]), self._left(row.product_id)
            still_open.set_text("—" if left is None else _plain(left))
            over = left is not None and ordered - left > ordered * self.share
            still_open.classes(add="lc-bad-text" if over else "", remove="" if over else "lc-bad-text")
            why.set_visibility(over or bool(row.over_reason))

        tell()
        if isinstance(quantity, ui.input):
            quantity.on_value_change(tell)

    def _input(self, row: Row, key: str, kind: type[ui.input | ui.textarea], props: str) -> ui.input | ui.textarea | ui.label:
        """A field of a line to type into, or to read where it is not to be changed."""
        text = getattr(row, key)
        if not self.may_change:
            return ui.label(text or "—").style("white-space:pre-line")
        field = kind(value=text).props(f"outlined dense hide-bottom-space aria-label={quoted(LINE.fields[key].label)} {props}")
        return field.bind_value_to(row, key).mark(key)

    def _left(self, product: str) -> Decimal | None:
        """What is still open of a product of the order once all rows have gone; None while one of them holds no number."""
        known, left = self.order.get(product, _NOTHING), Decimal(0)
        with suppress(InvalidInput):
            left = sum((parse_decimal(row.quantity or "0") for row in self.rows if row.product_id == product), left)
            return Decimal(known["ordered"]) - Decimal(known["before"]) - left
        return None

    def _offer(self) -> None:
        """Products of the order that are not in this delivery and still open, to be taken along."""
        self.besides.clear()
        held = {row.product_id for row in self.rows}
        rest = {product: left for product in self.order if product not in held and (left := self._left(product)) and left > 0}
        with self.besides:
            for product, left in rest.items():
                text = f"＋ {self.order[product]['name']} × {_plain(left)}"
                ui.button(text, on_click=partial(self._take_along, product, _plain(left))).props("flat dense no-caps size=sm").classes(
                    "lc-chip"
                )

    def _take_along(self, product: str, quantity: str) -> None:
        self.rows.append(Row("", product, self.order[product]["name"], quantity, "", "", ""))
        self._changed()

    def _changed(self) -> None:
        self._draw()
        self._offer()

    def _add(self, product: str | None) -> None:
        if product is None:
            return
        name = self.adder.title
        self.rows.append(Row("", product, name, "1", "", "", ""))
        self.adder.set_value(None, None)
        self._changed()

    def _remove(self, row: Row) -> None:
        self.rows.remove(row)
        self._changed()

    async def _save(self) -> None:
        lines: list[dict[str, Any]] = [
            {"product_id": row.product_id, **{key: getattr(row, key) for key in _TYPED}} | ({"id": row.id} if row.id else {})
            for row in self.rows
        ]
        parameters = {"delivery_id": self.delivery_id, "lines": lines}
        outcome = await run_verb(self.session, "sales.save_goods", parameters, done=_("Saved"), on_error=self._tell)
        if outcome.ok:
            self.dialog.submit(True)

    def _tell(self, error: AppError) -> bool:
        self.problem.tell(error.message)
        if error.code == "over_delivery" and not self.told_over:
            self.told_over = True
            self._draw()
        return True


def _cell(label: str, classes: str = "") -> ui.element:
    """One cell; on a phone its name stands before it."""
    return ui.element("td").classes(classes).props(f"data-label={quoted(label)}")


def _counted(serials: str) -> str:
    count = len(read_serials(serials))
    return _("{count} serial numbers").format(count=count) if count else ""


def _plain(quantity: Any) -> str:
    return show_kind("quantity", quantity) or ""


async def goods(session: Session, delivery: str) -> str | None:
    """Ask what is in a delivery; its id, if that was changed."""
    return delivery if await GoodsDialog(session, delivery).ask() else None
