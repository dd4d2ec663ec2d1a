"""Order entry: one page for a draft that is written and for a posted order that is read. A quote has the same page (``quote_entry``).

The form itself runs in the browser (static/order_entry.js) and talks to ``order_form`` over HTTP; this module puts it on a page,
gives it its words and opens the dialogs it asks for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.kernel.i18n import N_, gettext as _
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import entity as entity_type
from localcrm.ui import order_form
from localcrm.ui.frame import page_frame
from localcrm.ui.kit.approval import ApprovalStrip, asked_text
from localcrm.ui.kit.dialogs import confirm
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.kit.theme import asset
from localcrm.ui.operations import apart, run_service, run_verb, toast
from localcrm.ui.order_form import CUSTOMER, LINE, PRODUCT, header_keys
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.orders import receive_dialog, reverse_dialog

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

ROUTES = order_form.ROUTES


async def order_entry(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the page: /orders/new (with ?customer=, ?opportunity=, ?piece= or ?copy=) or /orders/{id}."""
    await OrderPage(session).build(parameters)


class OrderPage:
    """One open page of an order, or of another paper with lines."""

    paper = order_form.ORDERS
    title = N_("Sales order")
    list_id, list_path = "orders", "/orders"
    #: Kinds of records whose changes it shows.
    shows = frozenset(
        {"sales_order", "sales_order_line", "receipt", "delivery", "expense", "stock_move", "approval_request", "approval_step"}
    )

    def __init__(self, session: Session) -> None:
        self.session = session
        self.order_id: str | None = None

    async def build(self, parameters: Mapping[str, str]) -> None:
        """The frame at once, the form as soon as its data is read."""
        session, paper, wish = self.session, self.paper, parameters["id"]

        def read() -> tuple[order_form.Sheet, dict[str, Any]]:
            offered: dict[str, Any] = {"pickers": order_form.pickers(session, paper), "taxRates": order_form.tax_rates(session)}
            offered |= order_form.inputs_of(session, paper)
            if wish == "new":
                names = {"customer": "customer_id", "copy": "copy_of", "opportunity": "opportunity_id"}
                given = {names.get(key, key): parameters.get(key) for key in (*names, "piece", "consumable")}
                return order_form.new_sheet(session, paper, **given), offered
            return order_form.load_sheet(session, wish, paper), offered

        with page_frame(session, title=_(self.title), active=self.list_id):
            # Before the first await: what comes later reaches the page as markup only, and scripts in markup do not run.
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("order_entry.css")}"><script src="{asset("order_entry.js")}"></script>')
            outcome = await run_service(session, read)
            if not outcome.ok:
                back = ui.button(_("To the list"), on_click=lambda: ui.navigate.to(self.list_path)).props("unelevated no-caps")
                back.classes("lc-btn")
                return
            sheet, offered = outcome.value
            self.order_id = sheet["id"]
            self.approval = ApprovalStrip(session, paper.kind.key, self._decided)
            host = ui.element("div").classes("oe").mark("order")
        ui.on("order", self._heard)
        arguments = ", ".join(json.dumps(part, ensure_ascii=False) for part in (sheet, self.words() | offered))
        ui.timer(0.01, lambda: ui.run_javascript(f"localcrm.mountOrder(getHtmlElement({host.id}), {arguments})"), once=True)
        session.subscribe(set(self.shows), self._changed)
        await self.approval.show(self.order_id)

    # what the form asks for ----------------------------------------------------------------------------------------------

    async def _heard(self, event: events.GenericEventArguments) -> None:
        kind, value = event.args["kind"], event.args["value"]
        self.order_id = event.args["id"] or self.order_id
        match kind:
            case "posted":
                toast(_("Posted: {number}").format(number=value))
                await self.approval.show(self.order_id)
            case "submitted":
                toast(asked_text(value))
                await self.approval.show(self.order_id)
            case "saved":
                await self.approval.show(self.order_id)
            case "create":
                await self._create(str(value["entity"]), str(value["text"]))
            case "delete":
                await self._delete()
            case "deed" if self.order_id:
                await self.do(str(value))
            case "reverse" if self.order_id:
                reversal = await reverse_dialog(self.session, self.order_id)
                if reversal:
                    ui.run_javascript("localcrm.order.reload()")
            case "receive" if self.order_id and await receive_dialog(self.session, self.order_id):
                ui.run_javascript("localcrm.order.reload()")

    async def do(self, deed: str) -> None:
        """What a button of the sheet asks for (``Sheet["deeds"]``): the goods of an order that have not gone yet as a new delivery."""
        if deed == "deliver":
            outcome = await run_verb(self.session, "sales.deliver_order", {"order_id": self.order_id}, done=_("Delivery written"))
            if outcome.ok:
                ui.navigate.to(f"/deliveries/{outcome.value['id']}")

    def words(self) -> dict[str, Any]:
        """Every text the form shows, and what its user may do."""
        return words(self.session)

    async def _create(self, key: str, text: str) -> None:
        """Quick-create for what was typed; the form goes on with the new record."""
        entity = entity_type(key)
        preset = {"code": text} if key == "product" and text.isascii() else {entity.title_field: text}
        made = await edit_dialog(self.session, entity, preset=preset if text else {}, quick=True)
        if made:
            title = made["code"] if key == "product" else made[entity.title_field]
            ui.run_javascript(f"localcrm.order.created({json.dumps(key)}, {json.dumps(made['id'])}, {json.dumps(title)})")
        else:
            ui.run_javascript("localcrm.order.notCreated()")

    async def _delete(self) -> None:
        if not self.order_id:
            return
        question, detail = _("Delete this draft?"), _("It goes to the recycle bin and can be restored.")
        if await confirm(question, detail=detail, yes=_("Delete"), danger=True):
            parameters = {"entity": self.paper.kind.key, "id": self.order_id}
            if (await run_verb(self.session, "records.delete_record", parameters)).ok:
                await apart(self.session.save_setting, order_form.rest_key(self.order_id), None)
                ui.run_javascript("localcrm.mayLeave = true")
                ui.navigate.to(self.list_path)

    def _decided(self, seen: bool) -> None:
        """Approved, rejected or withdrawn here: whoever sees the order no longer goes back to what waits for him."""
        if seen:
            ui.run_javascript("localcrm.order.reload()")
        else:
            ui.navigate.to("/approvals")

    async def _changed(self, changes: Changes) -> None:
        """Somebody saved something about this order: a form without unsaved work shows it."""
        if self.order_id and (changes.touches(self.paper.kind.key, self.order_id) or not set(changes.ids) <= {self.paper.kind.key}):
            ui.run_javascript("localcrm.order && localcrm.order.reload(true)")
            await self.approval.show(self.order_id)


def words(session: Session, paper: order_form.Paper = order_form.ORDERS) -> dict[str, Any]:
    """Every text the form shows, and what its user may do."""
    labels = {key: paper.kind.fields[key].label for key in header_keys(session, paper)}
    columns = {key: LINE.fields[key].label for key in ("quantity", "price", "discount", "tax_rate", "remark", "unit")}
    return {
        "paper": paper.kind.key,
        "path": paper.path,
        "typed": paper.typed,
        "labels": labels,
        "columns": {
            **columns,
            "product": _("Product (code / pinyin / scan)"),
            "spec": PRODUCT.fields["spec"].label,
            "priceWithTax": _("Price with tax"),
            "amount": _("Amount"),
        },
        "totals": {"net": _("Net amount"), "tax": _("Tax"), "gross": _("Total"), "received": _("Received"), "open": _("Unpaid")},
        "mayPost": session.may("sales_order.post"),
        "mayReverse": session.may("sales_order.reverse"),
        "mayReceive": session.may("receipt.create"),
        "mayCreate": {key: session.may(f"{key}.create") for key in (CUSTOMER.key, PRODUCT.key, "warehouse", "user")} | {"user": False},
        "title": _("Sales order"),
        "newTitle": _("New sales order"),
        "save": _("Save draft"),
        "post": _("Post"),
        "submit": _("Submit for approval"),
        "delete": _("Delete draft"),
        "copy": _("Copy as new"),
        "reverse": _("Reverse…"),
        "receive": _("Receive payment…"),
        "unsaved": _("Not saved yet"),
        "saving": _("Saving…"),
        "saved": _("Saved"),
        "savedAt": _("Saved {time}"),
        "notSaved": _("Not saved"),
        "offline": _("The program does not answer. What you typed is still here."),
        "reverses": _("Reversal of"),
        "reversed_by": _("Reversed by"),
        "foreign": _("This order belongs to {branch}; only that branch can change it."),
        "deleted": _("This draft is in the recycle bin."),
        "addRow": _("＋ Add row"),
        "hint": _("⏎ next cell · ↑↓ rows · =100 as price: the amount · Ctrl V paste from a spreadsheet · Alt N new product"),
        "listHint": _("Alt ↓ list"),
        "between": order_form.between(),
        "pickHint": _("⏎ choose · Tab next cell · Ctrl V paste a table · Alt N new product"),
        "productHint": _("Code, pinyin or barcode"),
        "nothing": _("Nothing found"),
        "create": _("New “{text}”"),
        "available": _("{quantity} available"),
        "outOfStock": _("out of stock"),
        "lastPrice": _("last {price}"),
        "levelPrice": _("level price {price}"),
        "agreedShare": _("agreed {share}"),
        "deals": _("Last deals"),
        "noDeals": _("This customer has not bought it yet."),
        "dealsHint": _("What this customer last paid for the product under the cursor."),
        "receipts": _("Payments received"),
        "deliveries": _("Deliveries"),
        "margin": {"head": _("Cost and margin"), "goods": _("Cost of the goods"), "expenses": _("Expenses"), "left": _("Margin")},
        "below": _("Below the lowest price: {reason}"),
        "why": _("Reason for this price"),
        "rowMenu": _("Row menu"),
        "insertAbove": _("Insert row above"),
        "insertBelow": _("Insert row below"),
        "duplicate": _("Copy row"),
        "removeRow": _("Remove row"),
        "removed": _("Row removed: {name}"),
        "undo": _("Undo"),
        "close": _("Close"),
        "staleTitle": _("Somebody else saved this order first"),
        "staleDetail": _("Nothing of theirs was overwritten, and nothing of yours is lost. Choose what to keep."),
        "yours": _("Yours"),
        "theirs": _("Theirs"),
        "goOn": _("Go on editing"),
        "takeTheirs": _("Take theirs"),
        "keepMine": _("Keep mine and save"),
    }


register(Screen("order", "/orders/{id}", N_("Sales order"), "receipt_long", "sales_order.read", order_entry, None))
