"""Action: enter what the customer owed when the books began."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.finance.entities import Receipt
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.customer.actions import CustomerAction, Part, may
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import Form
from localcrm.ui.kit.problem import Problem
from localcrm.ui.operations import run_verb

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench

_RECEIPT = Receipt.entity_type


async def _enter(bench: Workbench) -> None:
    session = bench.session
    with (
        page_dialog().props("persistent no-route-dismiss") as dialog,
        ui.card().classes("lc-dialog lc-narrow").mark("opening-balance") as card,
    ):
        ui.label(_("Opening balance")).classes("lc-dialog-title")
        ui.label(
            _(
                "What the customer still owes from before these books began; with a minus what he has to his credit. It is paid like an order and is not counted as a sale. Enter old bills one by one if you want to receive their money one by one."
            )
        ).classes("lc-muted")
        fields = [_RECEIPT.fields[key] for key in ("amount", "date", "remark")]
        form = Form(session, _RECEIPT, fields=fields, preset={"date": date.today()}, two=True)
        problem = Problem()

        problem.form = form

        async def save() -> None:
            form.clear_errors()
            problem.hide()
            typed = {key: value for key, value in form.values().items() if value is not None}
            parameters = {**typed, "amount": str(typed.get("amount") or ""), "customer_id": bench.customer}
            with dialog:
                outcome = await run_verb(session, "sales.enter_opening_balance", parameters, done=_("Saved"), on_error=problem.refuse)
            if outcome.ok:
                dialog.submit(True)

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
            with ui.button(on_click=save).props("unelevated no-caps data-commit").classes("lc-pri").mark("opening-balance-save"):
                ui.label(_("Save"))
                ui.label("Ctrl ⏎").classes("lc-kbd")
    card.on("keydown.esc.stop", dialog.close)
    form.inputs["amount"].autofocus()
    await answer_of(dialog)


OPENING = (
    CustomerAction(id="opening-balance", label_msgid=N_("Opening balance…"), run=_enter, shown=may("customer.opening"), part=Part.ADD),
)
