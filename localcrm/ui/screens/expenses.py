"""Expenses: the list, the approval of one, and splitting one over several customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.approvals.inbox import Progress, progress
from localcrm.domain.crm.entities import Customer
from localcrm.domain.finance.entities import Expense
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.kit.approval import ApprovalStrip, asked_text
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import load_typed
from localcrm.ui.kit.picker import picker
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.values import show_kind
from localcrm.ui.operations import run_service, run_verb, toast
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import Further, list_screen

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

EXPENSE, CUSTOMER = Expense.entity_type, Customer.entity_type
#: Customers that one dialog splits over.
_MOST = 8


async def approval_dialog(session: Session, expense: str) -> str | None:
    """How the approval of an expense stands, and what can be done about it; returns the expense."""

    def read() -> Progress | None:
        with session.store.read() as connection:
            return progress(connection, session.store.node, session.actor, entity=EXPENSE.key, id=expense)

    outcome = await run_service(session, read)
    if not outcome.ok:
        return None
    if outcome.value is None:
        toast(_("It needs no approval; it counts."))
        return None
    with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("approval-dialog"):
        strip = ApprovalStrip(session, EXPENSE.key, lambda _seen: dialog.submit(True))

        async def submit() -> None:
            done = await run_verb(session, "approvals.submit", {"entity": EXPENSE.key, "id": expense})
            if done.ok:
                toast(asked_text(done.value["asked"]))
                dialog.submit(True)

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Close"), on_click=lambda: dialog.submit(False)).props("flat no-caps").classes("lc-btn")
            if outcome.value.may_submit:
                ui.button(_("Submit for approval"), on_click=submit).props("unelevated no-caps data-commit").classes("lc-pri").mark(
                    "submit"
                )
    await strip.show(expense)
    await answer_of(dialog)
    return expense


async def split_dialog(session: Session, expense: str) -> str | None:
    """Ask over which customers an expense is split, and what each bears; returns the expense."""
    outcome = await run_service(session, lambda: load_typed(session, EXPENSE, expense))
    if not outcome.ok:
        return None
    record = outcome.value
    chosen: list[str | None] = [record.get("customer_id"), None]
    amounts: list[ui.input] = []
    with page_dialog().props("persistent no-route-dismiss") as dialog, ui.card().classes("lc-dialog lc-narrow").mark("split") as card:
        ui.label(_("Split “{title}” over customers").format(title=record["purpose"])).classes("lc-dialog-title")
        total = show_kind("money", record.get("amount")) or ""
        ui.label(_("{amount} in all. Without amounts the parts are equal.").format(amount=total)).classes("lc-muted")
        rows = ui.element("div").classes("lc-col")
        problem = Problem()

        def row(place: int) -> None:
            async def picked(value: str | None) -> None:
                chosen[place] = value

            with rows, ui.element("div").classes("lc-row"):
                with ui.element("div").classes("grow"):
                    picker(session, CUSTOMER.key, chosen[place], picked, create=False)
                amount = ui.input().props(
                    f"outlined dense hide-bottom-space inputmode=decimal aria-label={quoted(EXPENSE.fields['amount'].label)}"
                )
                amounts.append(amount.style("width:110px"))

        def more() -> None:
            if len(chosen) < _MOST:
                chosen.append(None)
                row(len(chosen) - 1)

        async def save() -> None:
            problem.hide()
            parts = [(one, str(amounts[place].value or "")) for place, one in enumerate(chosen) if one]
            given: dict[str, Any] = {"expense_id": expense, "customer_ids": [one for one, _amount in parts]}
            if any(amount for _one, amount in parts):
                given["amounts"] = [amount or "0" for _one, amount in parts]
            with dialog:
                done = await run_verb(session, "finance.split_expense", given, done=_("Split"), on_error=problem.refuse)
            if done.ok:
                dialog.submit(expense)

        for place in range(len(chosen)):
            row(place)
        ui.button(_("＋ Another customer"), on_click=more).props("flat no-caps dense").style("align-self:flex-start")
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
            ui.button(_("Split"), on_click=save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save")
    card.on("keydown.esc.stop", dialog.close)
    dialog.open()
    done: str | None = await answer_of(dialog)
    return done


EXPENSE_ACTIONS = (
    Further("approval", N_("Approval…"), "expense.read", approval_dialog),
    Further("split", N_("Split over customers…"), "expense.update", split_dialog),
)
register(
    Screen(
        "expense", "/records/expense", N_("Expenses"), "request_quote", "expense.read", list_screen("expense", "expense", EXPENSE_ACTIONS),
        "selling", 50, lists="expense",
    )
)  # fmt: skip
