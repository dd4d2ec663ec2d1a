"""The list of sales orders, and what is done to a posted one: reversing it, receiving money for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.finance.entities import PaymentMethod, Receipt
from localcrm.domain.partners.rebate_credit import credit_for
from localcrm.domain.sales.entities import OrderStatus
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.ui import order_form
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.approval import asked_text
from localcrm.ui.kit.dialogs import answer_of, confirm, page_dialog
from localcrm.ui.kit.form import Form
from localcrm.ui.kit.grid import RecordGrid
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.menu import Action, action_button
from localcrm.ui.kit.presets import Presets
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.sharing import share_dialog
from localcrm.ui.kit.theme import asset
from localcrm.ui.operations import apart, run_service, run_verb, toast
from localcrm.ui.order_form import ORDER
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import delete_with_undo, history_dialog, who_sees_dialog

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


def orders(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen; ``query`` and ``mine`` as in ``kit.presets``."""
    OrderList(session, parameters).build()


class OrderList:
    """The state of one open list."""

    def __init__(self, session: Session, parameters: Mapping[str, str]) -> None:
        self.session = session
        self.presets = Presets(session, ORDER, parameters)
        self.chosen_status: str | None = None
        self.chips: dict[str | None, ui.button] = {}

    def build(self) -> None:
        """List first; its filters above it."""
        session = self.session
        with page_frame(session, title=_("Sales orders"), active="orders"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            actions = self._actions()
            with page_head(_("Sales orders")):
                tools = ui.element("div").classes("lc-row")
                with ui.element("div").classes("lc-quick").mark("states"):
                    for status, label in ((None, _("All")), *((one.value, gettext(one.label)) for one in OrderStatus)):
                        self.chips[status] = chip = (
                            ui.button(label).props("flat dense no-caps").classes("lc-chip").mark(f"state-{status or 'all'}")
                        )
                        chip.on("click", lambda status=status: self._narrow(status))
                    self.presets.draw(self._ask, everything=False)
                ui.space()
                with ui.element("div").classes("lc-row"):
                    right = ui.element("div").classes("lc-row")
                    if session.may("sales_order.create"):
                        with ui.button(on_click=self.new).props("unelevated no-caps data-key=n").classes("lc-pri").mark("new"):
                            ui.label(_("＋ New order"))
                            ui.label(own_key("n")).classes("lc-kbd")
            self.grid = RecordGrid(session, ORDER, actions=actions, on_open=self.open, empty=self._empty, tree=self.presets.tree)
            with tools:
                self.grid.search_box(_("Order no., customer, pinyin"))
                self.grid.total()
            with right:
                action_button(actions)
                self.grid.tools()
        self._show_chips()

    def _empty(self) -> None:
        ui.label(_("No sales orders here."))
        if self.session.may("sales_order.create"):
            ui.button(_("＋ New order"), on_click=self.new).props("unelevated no-caps").classes("lc-btn")

    def _narrow(self, status: str | None) -> None:
        self.chosen_status = status
        if status is None:
            self.presets.take("")
            self.grid.tree = self.presets.tree
        self.grid.narrow("status", ("status", "=", status) if status else None)
        self._show_chips()

    def _ask(self) -> None:
        self.grid.tree = self.presets.tree
        self.grid.requery()
        self._show_chips()

    def _show_chips(self) -> None:
        for status, chip in self.chips.items():
            on = status == self.chosen_status and not (status is None and self.presets.key)
            chip.classes(add="lc-acc" if on else "", remove="" if on else "lc-acc")

    # actions -------------------------------------------------------------------------------------------------------

    def _actions(self) -> list[Action]:
        may = self.session.may
        wanted = [
            (True, Action("open", _("Open record"), self._chosen(self.open), "enter")),
            (may("sales_order.post"), Action("post", _("Post"), self._chosen(self.post), "p")),
            (may("sales_order.update"), Action("submit", _("Submit for approval"), self._chosen(self.submit), "s")),
            (may("receipt.create"), Action("receive", _("Receive payment…"), self._chosen(self.receive), "r")),
            (may("sales_order.create"), Action("copy", _("Copy as new"), self._chosen(self.copy), "c")),
            (may("sales_order.reverse"), Action("reverse", _("Reverse…"), self._chosen(self.reverse), divided=True)),
            (True, Action("history", _("History"), self._chosen(self.history), "h")),
            (may("sales_order.share"), Action("share", _("Share…"), self._chosen(self.share))),
            (self.session.actor.is_admin, Action("who-sees", _("Who sees this?"), self._chosen(self.who_sees))),
            (
                may("sales_order.delete"),
                Action("delete", _("Delete draft"), self._chosen(self.delete), "delete", danger=True, divided=True),
            ),
        ]
        return [action for shown, action in wanted if shown]

    def _chosen(self, handler: Any) -> Any:
        async def run() -> None:
            if self.grid.chosen:
                await handler(self.grid.chosen)

        return run

    async def share(self, identity: str) -> None:
        """Let somebody else see the order."""
        await share_dialog(self.session, ORDER, identity)

    async def who_sees(self, identity: str) -> None:
        """Who may see the order, and why not."""
        await who_sees_dialog(self.session, ORDER, identity)

    def new(self) -> None:
        """Enter an order."""
        ui.navigate.to("/orders/new")

    async def open(self, identity: str) -> None:
        """Go to the order."""
        ui.navigate.to(f"/orders/{identity}")

    async def copy(self, identity: str) -> None:
        """A new draft like this order."""
        ui.navigate.to(f"/orders/new?copy={identity}")

    async def post(self, identity: str) -> None:
        """Post a draft as it stands."""
        if await apart(self.session.setting, order_form.rest_key(identity)):
            ui.navigate.to(f"/orders/{identity}")  # rows wait to be mended there
            return
        outcome = await run_verb(self.session, "sales.post_order", {"order_id": identity})
        if outcome.ok:
            toast(_("Posted: {number}").format(number=outcome.value["number"]))
            for row in outcome.value.get("warnings", []):
                toast(
                    _("Only {on_hand} of {product} would be left: the stock is short.").format(
                        on_hand=row["on_hand"], product=row["product"]
                    )
                )

    async def submit(self, identity: str) -> None:
        """Ask those whose word the draft needs."""
        if await apart(self.session.setting, order_form.rest_key(identity)):
            ui.navigate.to(f"/orders/{identity}")  # rows wait to be mended there
            return
        outcome = await run_verb(self.session, "approvals.submit", {"entity": ORDER.key, "id": identity})
        if outcome.ok:
            toast(asked_text(outcome.value["asked"]))

    async def receive(self, identity: str) -> None:
        """Money came in."""
        await receive_dialog(self.session, identity)

    async def reverse(self, identity: str) -> None:
        """Take a posted order back."""
        await reverse_dialog(self.session, identity)

    async def history(self, identity: str) -> None:
        """Every change."""
        await history_dialog(self.session, ORDER, identity)

    async def delete(self, identity: str) -> None:
        """Put a draft into the recycle bin."""
        await delete_with_undo(self.session, ORDER, identity)


# dialogs shared with the order's own page ------------------------------------------------------------------------------


async def reverse_dialog(session: Session, order_id: str) -> dict[str, Any] | None:
    """Ask, then reverse; returns the reversal."""
    detail = _("A new posted order with the opposite quantities is made; the goods come back into stock. The order itself stays as it is.")
    if not await confirm(_("Reverse this order?"), detail=detail, yes=_("Reverse"), danger=True):
        return None
    outcome = await run_verb(session, "sales.reverse_order", {"order_id": order_id})
    if not outcome.ok:
        return None
    toast(_("Reversed by {number}").format(number=outcome.value["number"]))
    return dict(outcome.value)


async def receive_dialog(session: Session, order_id: str) -> dict[str, Any] | None:
    """Enter money received; the whole open amount is proposed. Returns the receipt."""

    def read() -> tuple[order_form.Sheet, Decimal | None]:
        sheet = order_form.load_sheet(session, order_id)
        customer = sheet["header"].get("customer_id")
        with session.store.read() as connection:
            return sheet, credit_for(connection, session.actor, customer) if customer else None

    outcome = await run_service(session, read)
    if not outcome.ok:
        return None
    (sheet, credit), receipt = outcome.value, Receipt.entity_type
    unpaid = Decimal(sheet["open_plain"])
    with page_dialog().props("persistent") as dialog, ui.card().classes("lc-dialog lc-narrow").mark("receive"):
        ui.label(_("Receive payment")).classes("lc-dialog-title")
        ui.label(f"{sheet['number']} · {sheet['titles'].get('customer_id', '')}").classes("lc-muted")
        ui.label(_("Unpaid {unpaid}").format(unpaid=sheet["open"])).classes("lc-sub")
        problem = Problem()
        fields = [receipt.fields[key] for key in ("amount", "date", "method", "account_id", "remark")]
        elsewhere = {PaymentMethod.SET_OFF.value} | ({PaymentMethod.REBATE.value} if credit is None else set())
        fields = [replace(field, withdrawn=field.withdrawn | elsewhere) if field.key == "method" else field for field in fields]
        preset = {"amount": unpaid, "date": date.today()}
        if credit is not None and min(credit, unpaid) > 0:

            def use_credit() -> None:
                form.inputs["method"].set_value(PaymentMethod.REBATE.value)
                form.inputs["amount"].set_value(min(credit, unpaid))

            with ui.element("div").classes("lc-row"):
                ui.label(_("Rebate credit left: {amount}").format(amount=f"{credit:,.2f}")).classes("grow")
                ui.button(_("Pay with it"), on_click=use_credit).props("flat dense no-caps size=sm").mark("use-credit")
        form = Form(session, receipt, fields=fields, preset=preset, two=True)

        problem.form = form

        async def save() -> None:
            form.clear_errors()
            problem.hide()
            values = {key: value for key, value in form.values().items() if value is not None}
            parameters = {**values, "amount": str(values.get("amount") or "0"), "order_id": order_id}
            result = await run_verb(session, "finance.receive_payment", parameters, on_error=problem.refuse)
            if result.ok:
                toast(
                    _("Received {amount}: {number}").format(amount=f"{Decimal(result.value['amount']):,.2f}", number=result.value["number"])
                )
                dialog.submit(result.value)

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=lambda: dialog.submit(None)).props("flat no-caps").classes("lc-btn")
            with ui.button(on_click=save).props("unelevated no-caps data-commit").classes("lc-pri").mark("receive-save"):
                ui.label(_("Receive"))
                ui.label("Ctrl ⏎").classes("lc-kbd")
    dialog.on("escape-key", lambda: dialog.submit(None))
    form.inputs["amount"].autofocus()
    answer = await answer_of(dialog)
    return dict(answer) if answer else None


register(Screen("orders", "/orders", N_("Sales orders"), "receipt_long", "sales_order.read", orders, "trade"))
