"""A dialog: what came back of a delivery, and whether the same goes again in exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.sales.entities import DeliveryLine, DeliveryStatus
from localcrm.kernel.i18n import gettext as _
from localcrm.ui.customer.delivery_goods import goods
from localcrm.ui.kit.dialogs import answer_of, confirm, page_dialog
from localcrm.ui.kit.lines import heads
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.values import show_kind
from localcrm.ui.operations import run_verb

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

LINE = DeliveryLine.entity_type


async def came_back(session: Session, delivery: str) -> str | None:
    """Say what came back; the id of the return, or of the delivery where all of it did. What goes in exchange is scanned next."""
    outcome = await run_verb(session, "sales.returnable", {"delivery_id": delivery})
    if not outcome.ok:
        return None
    if not outcome.value:
        return await _all_of_it(session, delivery)
    made = await _Dialog(session, delivery, outcome.value).ask()
    if made and made["replacement"]:
        await goods(session, made["replacement"])
    return str(made["id"]) if made else None


async def _all_of_it(session: Session, delivery: str) -> str | None:
    """Of a delivery whose goods were not entered, or that has not gone, only the whole can come back."""
    detail = _("Its goods were not entered, or it has not been sent yet: it is noted as a whole.")
    if not await confirm(_("Did this delivery come back?"), detail=detail, yes=_("Came back")):
        return None
    values = {"status": DeliveryStatus.RETURNED.value}
    parameters = {"entity": "delivery", "id": delivery, "values": values}
    return delivery if (await run_verb(session, "records.update_record", parameters, done=_("Noted: came back"))).ok else None


class _Dialog:
    """One open dialog about the goods that may still come back."""

    def __init__(self, session: Session, delivery: str, rows: list[dict[str, Any]]) -> None:
        self.session, self.delivery = session, delivery
        self.rows = [{**row, "quantity": "", "chosen": []} for row in rows]

    async def ask(self) -> dict[str, Any] | None:
        """{"id", "replacement"} of what was written, None if nothing was."""
        with page_dialog() as self.dialog, ui.card().classes("lc-dialog lc-wide").mark("came-back"):
            ui.label(_("What came back?")).classes("lc-dialog-title")
            ui.label(_("Choose the pieces by serial number, or say how many. What the customer has in use follows.")).classes("lc-muted")
            self.problem = Problem()
            with ui.element("div").classes("lc-scroll"), ui.element("table").classes("lc-table lc-rows lc-goods"):
                names = (_("Can still come back"), _("Came back now"))
                heads(LINE.fields["product_id"].label, *((name, "lc-num") for name in names), LINE.fields["serials"].label)
                for row in self.rows:
                    self._row(row)
            with ui.element("div").classes("lc-field"):
                ui.label(_("Reason")).classes("lc-label")
                self.reason = ui.input().props(f'outlined dense hide-bottom-space maxlength=1000 aria-label="{_("Reason")}"').mark("reason")
            self.again = ui.checkbox(_("The same goods go again in exchange")).props("dense").mark("exchange")
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Cancel"), on_click=lambda: self.dialog.submit(None)).props("flat no-caps").classes("lc-btn")
                ui.button(_("Save"), on_click=self._save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save")
        answer = await answer_of(self.dialog)
        return dict(answer) if answer else None

    def _row(self, row: dict[str, Any]) -> None:
        with ui.element("tr"):
            with ui.element("td"):
                ui.label(row["name"])
            with ui.element("td").classes("lc-num").props(f'data-label="{_("Can still come back")}"'):
                ui.label(show_kind("quantity", row["left"]) or "")
            with ui.element("td").classes("lc-num").props(f'data-label="{_("Came back now")}"'):
                label = _("Came back now")
                typed = (
                    ui.input().props(f"outlined dense hide-bottom-space inputmode=decimal aria-label={quoted(label)}").style("width:90px")
                )
                typed.bind_value_to(row, "quantity").mark("quantity")
            with ui.element("td").style("flex:1 1 100%;min-width:200px").props(f"data-label={quoted(LINE.fields['serials'].label)}"):
                if not row["serials"]:
                    ui.label("—").classes("lc-muted")
                    return
                label = LINE.fields["serials"].label
                chosen = ui.select(row["serials"], multiple=True, value=[]).props(
                    f"outlined dense use-chips hide-bottom-space aria-label={quoted(label)}"
                )
                chosen.classes("w-full").bind_value_to(row, "chosen").mark("serials")
                chosen.on_value_change(lambda event: typed.set_value(str(len(event.value)) if event.value else ""))

    async def _save(self) -> None:
        lines = [
            {"product_id": row["product_id"], "quantity": row["quantity"] or "0", "serials": "\n".join(row["chosen"])} for row in self.rows
        ]
        parameters = {"delivery_id": self.delivery, "lines": lines, "reason": self.reason.value or None, "exchange": bool(self.again.value)}
        outcome = await run_verb(self.session, "sales.take_back", parameters, done=_("Noted: came back"), on_error=self.problem.refuse)
        if outcome.ok:
            self.dialog.submit(outcome.value)
