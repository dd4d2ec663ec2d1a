"""Lists of quotes, contracts and deliveries, with what is done with each beyond changing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.crm.entities import Activity
from localcrm.domain.sales.entities import Contract, DeliveryStatus, Quote, QuoteLine, QuoteStatus
from localcrm.domain.sales.versions import Versions, versions_of
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.query import Record
from localcrm.store.view import Masked
from localcrm.ui.customer.delivery_goods import goods
from localcrm.ui.customer.delivery_returns import came_back
from localcrm.ui.customer.delivery_signing import sign
from localcrm.ui.kit.approval import asked_text
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import edit_dialog, load_typed
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.values import show
from localcrm.ui.operations import run_service, run_verb, toast
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import Further, list_screen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from localcrm.ui.sessions import Session


async def new_version(session: Session, quote: str) -> str | None:
    """A newer version of a quote, opened to be changed."""
    outcome = await run_verb(session, "sales.new_quote_version", {"quote_id": quote}, done=_("New version written"))
    if not outcome.ok:
        return None
    made = str(outcome.value["id"])
    lines = await run_verb(session, "sales.quote_with_lines", {"quote_id": made})
    if lines.ok and lines.value["lines"]:
        ui.navigate.to(f"/quotes/{made}")
        return None
    await edit_dialog(session, Quote.entity_type, identity=made)
    return made


async def order(session: Session, quote: str) -> str | None:
    """A draft order with the lines of a quote, opened."""
    outcome = await run_verb(session, "sales.order_from_quote", {"quote_id": quote})
    if outcome.ok:
        ui.navigate.to(f"/orders/{outcome.value['id']}")
    return None


async def submit(session: Session, quote: str) -> str | None:
    """Ask those whose word a quote needs."""
    outcome = await run_verb(session, "approvals.submit", {"entity": "quote", "id": quote})
    if not outcome.ok:
        return None
    toast(asked_text(outcome.value["asked"]))
    return quote


async def compare(session: Session, quote: str) -> str | None:
    """All versions of a quote side by side: what differs, and where it changed."""

    def read() -> Versions:
        with session.store.read() as connection:
            return versions_of(connection, session.actor, quote)

    outcome = await run_service(session, read)
    if not outcome.ok:
        return None
    found: Versions = outcome.value
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-wide").mark("versions"):
        ui.label(_("Versions side by side")).classes("lc-dialog-title")
        if len(found.rows) == 1:
            ui.label(_("There is only this version.")).classes("lc-muted")
        else:
            with ui.element("div").style("overflow-x:auto"), ui.element("table").classes("lc-table"):
                heads("", *(_("Version {number}").format(number=row.get("version_no") or place) for place, row in enumerate(found.rows, 1)))
                for field in found.fields:
                    with ui.element("tr"):
                        cell(field.label, "lc-muted")
                        for place, row in enumerate(found.rows):
                            text = show(field, row.get(field.key), found.names.get(field.key)) or "—"
                            cell(text, "lc-strong lc-changed" if found.changed(field, place) else "")
                for line in found.lines:
                    with ui.element("tr"):
                        cell(line.product, "lc-muted")
                        for place, offered in enumerate(line.cells):
                            cell(_offer(offered), "lc-strong lc-changed" if line.changed(place) else "")
            ui.label(_("What a version changed stands out; what is the same in all is left out.")).classes("lc-muted")
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Close"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
    await answer_of(dialog)
    return quote


def _offer(line: Record | None) -> str:
    """A line of a version in one text: quantity, price, discount, and what it comes to."""
    if line is None:
        return "—"
    kind = QuoteLine.entity_type
    told = {key: show(kind.fields[key], line.get(key)) or "—" for key in ("quantity", "price", "discount", "gross")}
    quantity = f"{told['quantity']} {line.get('unit') or ''}".strip()
    discount = f" · {told['discount']}" if line.get("discount") != 1 else ""
    return f"{quantity} × {told['price']}{discount} = {told['gross']}"


async def renew(session: Session, contract: str) -> str | None:
    """A contract that carries another one on, opened to be changed."""
    outcome = await run_verb(session, "sales.renew_contract", {"contract_id": contract}, done=_("Renewal written"))
    if not outcome.ok:
        return None
    await edit_dialog(session, Contract.entity_type, identity=outcome.value["id"])
    return str(outcome.value["id"])


async def note(_session: Session, delivery: str) -> str | None:
    """The page of a delivery: its note to print and to send."""
    ui.navigate.to(f"/deliveries/{delivery}")
    return None


async def about_contract(session: Session, contract: str) -> str | None:
    """Record what happened about a contract."""
    outcome = await run_service(session, lambda: load_typed(session, Contract.entity_type, contract))
    if not outcome.ok:
        return None
    known = {key: outcome.value.get(key) for key in ("customer_id", "contact_id", "opportunity_id")}
    preset = {key: value for key, value in known.items() if value is not None and not isinstance(value, Masked)}
    await edit_dialog(session, Activity.entity_type, preset={**preset, "contract_id": contract})
    return contract


def _becomes(kind: str, status: str, done: str) -> Callable[[Session, str], Awaitable[str | None]]:
    async def run(session: Session, identity: str) -> str | None:
        parameters = {"entity": kind, "id": identity, "values": {"status": status}}
        outcome = await run_verb(session, "records.update_record", parameters, done=_(done))
        return identity if outcome.ok else None

    return run


QUOTE_ACTIONS = (
    Further("submit", N_("Submit for approval"), "quote.update", submit),
    Further("sent", N_("Sent to the customer"), "quote.update", _becomes("quote", QuoteStatus.SENT, N_("Noted: sent"))),
    Further("accepted", N_("The customer accepts"), "quote.update", _becomes("quote", QuoteStatus.ACCEPTED, N_("Noted: accepted"))),
    Further("turned-down", N_("The customer declines"), "quote.update", _becomes("quote", QuoteStatus.REJECTED, N_("Noted: declined"))),
    Further("version", N_("New version"), "quote.create", new_version),
    Further("compare", N_("Versions side by side…"), "quote.read", compare),
    Further("order", N_("Make a sales order"), "sales_order.create", order),
)
CONTRACT_ACTIONS = (
    Further("renew", N_("Renew"), "contract.create", renew),
    Further("activity", N_("New activity"), "activity.create", about_contract),
)
DELIVERY_ACTIONS = (
    Further("note", N_("Delivery note"), "delivery.read", note),
    Further("goods", N_("Goods and serial numbers…"), "delivery.read", goods),
    Further("sign", N_("Have it signed…"), "delivery.update", sign),
    Further(
        "shipped", N_("Handed to the carrier"), "delivery.update", _becomes("delivery", DeliveryStatus.SHIPPED, N_("Noted: on its way"))
    ),
    Further(
        "received", N_("The customer has it"), "delivery.update", _becomes("delivery", DeliveryStatus.RECEIVED, N_("Noted: signed for"))
    ),
    Further("back", N_("Goods came back…"), "delivery.create", came_back),
)

register(
    *(
        Screen(kind, f"/records/{kind}", label, icon, f"{kind}.read", list_screen(kind, kind, further), "selling", place, lists=kind)
        for place, kind, label, icon, further in (
            (20, "quote", N_("Quotes"), "request_page", QUOTE_ACTIONS),
            (30, "contract", N_("Contracts"), "history_edu", CONTRACT_ACTIONS),
            (40, "delivery", N_("Deliveries"), "local_shipping", DELIVERY_ACTIONS),
        )
    )
)
