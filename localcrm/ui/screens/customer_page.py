"""One customer on one page: account, next step, people, last prices, orders, files and timeline; prints as it stands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.crm.entities import Contact, Customer
from localcrm.domain.crm.files import Attached, customer_files
from localcrm.domain.purchase.payables import Owed, suppliers_of
from localcrm.domain.sales.entities import SalesOrder
from localcrm.domain.sales.glance import Glance, customer_glances
from localcrm.domain.sales.overdue import overdue
from localcrm.domain.sales.rules import Rhythm
from localcrm.domain.sales.standing import LastPrice, last_prices, purchase_rhythm
from localcrm.domain.sales.timeline import Event, customer_timeline, kinds
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.ids import parse_id
from localcrm.store.query import Record
from localcrm.ui.conflict_words import Told
from localcrm.ui.customer.activities import ACTIVITY
from localcrm.ui.customer.conflicts import deleted_notice, disputed_fields, in_short, of_deletion, open_conflicts
from localcrm.ui.customer.merge import living
from localcrm.ui.customer.tables import reading
from localcrm.ui.customer.timeline import timeline
from localcrm.ui.customer.under_way import AFTER_SALE, Found as UnderWay, files_list, under_way, under_way_table
from localcrm.ui.endpoints import record_path
from localcrm.ui.frame import page_head
from localcrm.ui.kit.binned import binned
from localcrm.ui.kit.detail import disputed_mark, facts, ref_names
from localcrm.ui.kit.form import edit_dialog, load_typed
from localcrm.ui.kit.links import link_pieces
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.qr import qr_address
from localcrm.ui.kit.values import show, show_kind, tone
from localcrm.ui.record_page import RecordPage, card
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CUSTOMER, CONTACT, ORDER = Customer.entity_type, Contact.entity_type, SalesOrder.entity_type
#: What stands in the head of the page or in a card of its own instead of among the facts.
_ELSEWHERE = frozenset({"name", "level", "stage", "number", "files"})
_ORDERS, _EVENTS = 8, 40
_SHOWN = kinds() | {
    "customer",
    "conflict",
    "contact",
    "opportunity",
    "stage",
    "supplier",
    "supplier_entry",
    *(part.kind.key for part in AFTER_SALE),
}


@dataclass(frozen=True, slots=True)
class _Found:
    customer: Record
    binned: str
    names: Mapping[str, Mapping[str, str]]
    glance: Glance
    overdue: Decimal | None
    rhythm: Rhythm | None
    prices: Sequence[LastPrice]
    contacts: Sequence[Mapping[str, Any]]
    orders: Sequence[Mapping[str, Any]]
    events: Sequence[Event]
    under_way: Sequence[UnderWay]
    after_sale: Sequence[UnderWay]
    files: Sequence[Attached]
    suppliers: Sequence[tuple[Record, Owed | None]]
    conflicts: Sequence[Told]

    @property
    def disputed(self) -> Collection[str]:
        """Fields that wait for a decision."""
        return disputed_fields(self.conflicts, str(self.customer["id"]))


async def customer_page(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the page."""
    try:
        identity = str(living(session, parse_id(parameters["id"])))
    except AppError:
        identity = ""
    await _Page(session, identity).build()


class _Page(RecordPage[_Found]):
    """The state of one open page."""

    active, mark = "customers", "customer-page"
    kind = "customer"
    title_msgid = N_("Customer")
    missing_msgid = N_("This customer does not exist, was deleted, or is not yours to see.")
    shows = _SHOWN

    def read(self) -> _Found:
        session, identity = self.session, self.identity
        customer = load_typed(session, CUSTOMER, identity)
        names = ref_names(session, CUSTOMER, customer)
        may = session.may
        with session.store.read() as connection:
            glance = customer_glances(connection, session.actor, [identity])[identity]
            return _Found(
                customer,
                binned(connection, session.actor, CUSTOMER, customer),
                names,
                glance,
                overdue(connection, session.actor, identity, glance.unpaid, customer.get("credit_days"), date.today()),
                purchase_rhythm(connection, session.actor, identity, date.today()),
                last_prices(connection, session.actor, identity),
                reading(CONTACT)(session, connection, identity) if may("contact.read") else [],
                reading(ORDER, most=_ORDERS)(session, connection, identity) if may("sales_order.read") else [],
                customer_timeline(connection, session.actor, identity, limit=_EVENTS),
                under_way(session, connection, identity),
                under_way(session, connection, identity, parts=AFTER_SALE),
                customer_files(connection, session.actor, identity),
                suppliers_of(connection, session.actor, identity),
                open_conflicts(session, connection, identity),
            )

    def draw_body(self, found: _Found) -> None:
        with ui.element("div").classes("lc-col"):
            self._account(found)
            for one in found.under_way:
                with card(gettext(one.part.label_msgid)):
                    under_way_table(one)
            self._people(found)
            self._prices(found.prices)
            self._details(found)
        with ui.element("div").classes("lc-col"):
            self._orders(found)
            for one in found.after_sale:
                with card(gettext(one.part.label_msgid)):
                    under_way_table(one)
            if found.files:
                with card(_("Files")):
                    files_list(found.files)
            with card(_("Timeline")):
                timeline(found.events)

    def draw_head(self, found: _Found) -> None:
        session, customer = self.session, found.customer
        with page_head(str(customer["name"])):
            for key in ("level", "stage"):
                field = CUSTOMER.fields[key]
                text = show(field, customer.get(key))
                if text:
                    with ui.label(text).classes("lc-chip").props(f"data-tone={tone(field, customer[key]) or 'acc'}"):
                        if key in found.disputed:
                            disputed_mark()
            if customer.get("number"):
                ui.label(str(customer["number"])).classes("lc-muted")
                code = qr_address(str(customer["number"]))
                ui.element("img").props(f'src={quoted(code)} alt=""').classes("lc-print-code")
            ui.space()
            with ui.element("div").classes("lc-row lc-no-print lc-page-tools"):
                ui.button(_("To the list"), on_click=lambda: ui.navigate.to(f"/customers?open={self.identity}")).props(
                    "unelevated no-caps"
                ).classes("lc-btn").mark("to-list")
                ui.button(_("Print"), on_click=lambda: ui.run_javascript("window.print()")).props("unelevated no-caps").classes(
                    "lc-btn"
                ).mark("print")
                if session.may("activity.create") and not found.binned:
                    self._button(_("New activity"), "a", self._new_activity)
                if session.may("sales_order.create") and not found.binned:
                    self._button(_("New sales order"), "o", lambda: ui.navigate.to(f"/orders/new?customer={self.identity}"))
                if session.may("customer.update") and not found.binned:
                    self._button(_("Edit"), "e", self._edit)
        self._notices(found)

    def _notices(self, found: _Found) -> None:
        """That it was deleted, and what is left to decide: one notice where both are one thing."""
        deleted_notice(self.session, found.customer, found.binned, found.conflicts)
        said = of_deletion(found.conflicts) if found.binned else []
        rest = [one for one in found.conflicts if one not in said]
        if rest:
            with ui.element("div").classes("lc-notice lc-warn lc-no-print").mark("open-conflicts").props('role="status"'):
                ui.icon("call_merge")
                ui.label(in_short(rest)).classes("grow")
                ui.button(_("Settle…"), on_click=lambda: ui.navigate.to(f"/conflicts?record={self.identity}")).props(
                    "unelevated no-caps data-act=to-conflicts"
                ).classes("lc-btn")

    def _button(self, label: str, key: str, act: Callable[[], Any]) -> None:
        with ui.button(on_click=act).props(f"unelevated no-caps data-key={key}").classes("lc-btn").mark(f"do-{key}"):
            ui.label(label)
            ui.label(own_key(key)).classes("lc-kbd q-ml-sm")

    async def _edit(self) -> None:
        await edit_dialog(self.session, CUSTOMER, identity=self.identity)

    async def _new_activity(self) -> None:
        await edit_dialog(self.session, ACTIVITY, preset={"customer_id": self.identity})

    # the cards ---------------------------------------------------------------------------------------------------------

    def _account(self, found: _Found) -> None:
        glance, limit = found.glance, found.customer.get("credit_limit")
        lines: list[tuple[str, str | None]] = [(_("Next contact"), show_kind("datetime", glance.next_contact))]
        if glance.unpaid is not None:
            lines.append((_("Unpaid"), show_kind("money", glance.unpaid)))
            if limit:
                lines.append((_("Credit left"), show_kind("money", limit - glance.unpaid)))
        if found.overdue is not None:
            words = _("Overdue (more than {days} days)").format(days=found.customer.get("credit_days"))
            lines.append((words, show_kind("money", found.overdue)))
        if found.rhythm:
            words = _("every {every} days; last {since} days ago").format(every=found.rhythm.every, since=found.rhythm.since)
            lines.append((_("Buys"), words))
        with card(_("How it stands")), ui.element("div").classes("lc-figures").mark("figures"):
            for label, text in lines:
                with ui.element("div"):
                    ui.label(label).classes("lc-label")
                    ui.label(text or "—").classes("lc-figure" if text else "lc-figure lc-muted")
            for supplier, owed in found.suppliers:
                with ui.element("div"):
                    ui.link(_("Also our supplier"), record_path("supplier", supplier["id"])).classes("lc-label").mark("also-supplier")
                    text = str(supplier["name"])
                    if owed:
                        words = _("we owe {amount}") if owed.balance >= 0 else _("they owe us {amount}")
                        text = words.format(amount=show_kind("money", abs(owed.balance)))
                    ui.label(text).classes("lc-figure")

    def _people(self, found: _Found) -> None:
        if not self.session.may("contact.read"):
            return
        with card(_("Contacts")):
            if not found.contacts:
                ui.label(_("No contact person yet.")).classes("lc-muted lc-pad")
                return
            with ui.element("table").classes("lc-table"):
                for row in found.contacts:
                    with ui.element("tr"):
                        for key in ("name", "title", "phone", "email", "wechat"):
                            with ui.element("td"):
                                if found_links := row["_links"].get(key):
                                    link_pieces(found_links)
                                else:
                                    ui.label(row.get(key) or "").classes("lc-strong" if key == "name" else "")

    def _prices(self, prices: Sequence[LastPrice]) -> None:
        if not prices:
            return
        with card(_("Last prices")), ui.element("table").classes("lc-table").mark("last-prices"):
            with ui.element("tr"):
                for head, number in ((_("Product"), False), (_("Unit price"), True), (_("Quantity"), True), (_("Date"), False)):
                    with ui.element("th").classes("lc-num" if number else ""):
                        ui.label(head)
            for one in prices:
                quantity = f"{show_kind('quantity', one.quantity)} {one.unit}".strip()
                cells = ((one.product, False), (show_kind("price", one.price), True), (quantity, True), (show_kind("date", one.day), False))
                with ui.element("tr"):
                    for text, number in cells:
                        with ui.element("td").classes("lc-num" if number else ""):
                            ui.label(text or "—")

    def _orders(self, found: _Found) -> None:
        if not self.session.may("sales_order.read"):
            return
        with card(_("Orders")):
            if not found.orders:
                ui.label(_("No orders yet.")).classes("lc-muted lc-pad")
                return
            with ui.element("table").classes("lc-table").mark("orders"):
                for row in found.orders:
                    line = ui.element("tr").on("click", lambda identity=row["id"]: ui.navigate.to(f"/orders/{identity}"))
                    with line.style("cursor:pointer"):
                        for key in ("number", "date", "gross", "state"):
                            with ui.element("td").classes("lc-num" if key == "gross" else ""):
                                text = row.get(key) or ("—" if key != "number" else _("Draft"))
                                cell = ui.label(text)
                                if key in row["_tone"]:
                                    cell.classes("lc-chip").props(f"data-tone={row['_tone'][key]}").style("width:fit-content")

    def _details(self, found: _Found) -> None:
        filled = [f for f in CUSTOMER.readable if f.key not in _ELSEWHERE and found.customer.get(f.key) not in (None, "", False)]
        with card(_("Details")):
            facts(CUSTOMER, found.customer, found.names, filled, disputed=found.disputed)


register(Screen("customer", "/customers/{id}", N_("Customer"), "person", "customer.read", customer_page, None))
