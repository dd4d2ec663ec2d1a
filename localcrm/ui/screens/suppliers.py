"""Suppliers: the list above, account, prices and certificates of the chosen one below, and who is cheapest for a product."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.catalog.entities import Product
from localcrm.domain.purchase.entities import Supplier, SupplierCertificate, SupplierPrice
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import EntityType
from localcrm.store.query import Record
from localcrm.ui.customer.tables import reading, record_table
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import edit_dialog, load_typed
from localcrm.ui.kit.grid import RecordGrid
from localcrm.ui.kit.lines import heads
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.menu import Action, action_button
from localcrm.ui.kit.picker import picker
from localcrm.ui.kit.presets import Presets
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import show, show_kind
from localcrm.ui.operations import run_service, run_verb
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import copy_title, delete_with_undo, history_dialog
from localcrm.ui.suppliers import account
from localcrm.ui.suppliers.account import AccountPart

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

SUPPLIER, PRICE, CERTIFICATE = Supplier.entity_type, SupplierPrice.entity_type, SupplierCertificate.entity_type


@dataclass(frozen=True, slots=True)
class _Part:
    """What hangs on a supplier: records of a kind, the heading above them, the field they are ordered by, columns, the button that adds one, what stands there without any."""

    kind: EntityType
    heading: str
    order: str
    columns: tuple[str, ...]
    new: str
    empty: str


_PARTS = (
    _Part(
        PRICE,
        N_("Prices"),
        "product_id",
        ("product_id", "supplier_code", "from_quantity", "price", "lead_days", "until", "remark"),
        N_("＋ New price"),
        N_("No prices of this supplier yet."),
    ),
    _Part(
        CERTIFICATE,
        N_("Certificates"),
        "expires_on",
        ("name", "number", "expires_on"),
        N_("＋ New certificate"),
        N_("No certificates of this supplier yet."),
    ),
)


async def suppliers(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen."""
    await SupplierList(session, parameters).build()


class SupplierList:
    """The state of one open page."""

    def __init__(self, session: Session, parameters: Mapping[str, str]) -> None:
        self.session, self.wish = session, parameters.get("open")
        self.presets = Presets(session, SUPPLIER, parameters)
        self.account = AccountPart(session, self._draw)
        self.supplier: str | None = None
        self.turn = 0

    async def build(self) -> None:
        """List first; what hangs on the chosen supplier fills itself."""
        session = self.session
        actions = self._actions()
        with page_frame(session, title=SUPPLIER.label, active="suppliers"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(_("Suppliers")):
                tools = ui.element("div").classes("lc-row")
                if self.presets.trees:
                    with ui.element("div").classes("lc-quick").mark("filters"):
                        self.presets.draw(self._narrow)
                ui.space()
                right = ui.element("div").classes("lc-row")
                if session.may("supplier.create"):
                    with ui.button(on_click=self.new).props("unelevated no-caps data-key=n").classes("lc-pri").mark("new"):
                        ui.label(_("＋ New supplier"))
                        ui.label(own_key("n")).classes("lc-kbd")
            with ui.element("div").classes("lc-workbench"), ui.element("div").classes("lc-right-side").style("gap:10px"):
                with ui.element("div").classes("lc-upper lc-col"):
                    self.grid = RecordGrid(
                        session,
                        SUPPLIER,
                        actions=actions,
                        on_choose=self.choose,
                        on_open=self.open,
                        empty=self._empty,
                        pick_first=not self.wish,
                        wish=self.wish,
                        tree=self.presets.tree,
                    )
                with ui.element("div").classes("lc-lower lc-card").mark("detail") as self.lower:
                    ui.label(_("Choose a supplier above to see its account, prices and certificates.")).classes("lc-empty lc-muted")
            with tools:
                self.grid.search_box(_("Name, phone, number, pinyin"))
                self.grid.total()
            with right:
                action_button(actions)
                self.grid.tools()
            self.account.place()
        session.subscribe({SUPPLIER.key, PRICE.key, CERTIFICATE.key, *account.SHOWS}, self._changed)
        if self.wish:
            await self.choose(self.wish)
            ui.run_javascript("document.body.classList.add('lc-detail-open')")  # who follows a link sees it, on a phone too

    def _narrow(self) -> None:
        self.grid.tree = self.presets.tree
        self.grid.requery()

    def _empty(self) -> None:
        ui.label(_("There are no suppliers here yet."))
        if self.session.may("supplier.create"):
            ui.button(_("＋ New supplier"), on_click=self.new).props("unelevated no-caps").classes("lc-btn")

    def _actions(self) -> list[Action]:
        may = self.session.may
        wanted = [
            (True, Action("open", _("Open record"), self._chosen(self.open), "enter")),
            (may("supplier.update"), Action("edit", _("Edit"), self._chosen(self.open), "e", listed=False)),
            (may("supplier_price.read"), Action("compare", _("Compare prices of a product…"), self.compare, "p")),
            (True, Action("history", _("History"), self._chosen(partial(history_dialog, self.session, SUPPLIER)), "h", divided=True)),
            (True, Action("copy", _("Copy name"), self._chosen(partial(copy_title, self.session, SUPPLIER)), "c")),
            (may("supplier.delete"), Action("delete", _("Delete"), self._chosen(self.delete), "delete", danger=True)),
        ]
        return [action for shown, action in wanted if shown]

    def _chosen(self, handler: Callable[[str], Awaitable[Any]]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            if self.supplier:
                await handler(self.supplier)

        return run

    async def new(self) -> None:
        """Enter a supplier."""
        saved = await edit_dialog(self.session, SUPPLIER)
        if saved:
            self.grid.refresh(saved["id"])

    async def open(self, identity: str) -> None:
        """Change a supplier."""
        await edit_dialog(self.session, SUPPLIER, identity=identity)

    async def delete(self, identity: str) -> None:
        """Put it into the recycle bin."""
        await delete_with_undo(self.session, SUPPLIER, identity)

    async def compare(self) -> None:
        """Who asks what for a product."""
        await compare_dialog(self.session)

    # what hangs on it ----------------------------------------------------------------------------------------------------

    async def choose(self, identity: str | None) -> None:
        """Show prices and certificates of a supplier; None when the list is empty."""
        self.supplier = identity
        await self._draw()

    async def _changed(self, _changes: Changes) -> None:
        await self._draw()

    async def _draw(self) -> None:
        """Read the account and both parts, then draw; a newer choice wins."""
        self.turn += 1
        turn, identity = self.turn, self.supplier
        if identity is None:
            return
        parts = [part for part in _PARTS if self.session.may(f"{part.kind.key}.read")]

        def read() -> tuple[Record, account.Shown | None, list[list[dict[str, Any]]]]:
            supplier = load_typed(self.session, SUPPLIER, identity)
            with self.session.store.read() as connection:
                rows = [reading(part.kind, "supplier_id", sort=part.order)(self.session, connection, identity) for part in parts]
                return supplier, account.read(self.session, connection, supplier, self.account.span), rows

        outcome = await run_service(self.session, read)
        if turn != self.turn or not outcome.ok:
            return
        self.lower.clear()
        with self.lower, ui.element("div").classes("lc-fill").style("overflow:auto"):
            supplier, shown, found = outcome.value
            with ui.element("div").classes("lc-row lc-phone-only").style("padding:6px 8px 0"):
                back = ui.button(icon="arrow_back").props(f'flat dense round aria-label="{_("Back")}"').mark("back")
                back.on("click", js_handler="() => document.body.classList.remove('lc-detail-open')")
                ui.label(str(supplier["name"])).classes("lc-sub")
            if shown is not None:
                self.account.draw(supplier, shown)
            for part, rows in zip(parts, found, strict=True):
                ui.label(gettext(part.heading)).classes("lc-sub lc-card-title")
                record_table(
                    self,
                    part.kind,
                    part.columns,
                    rows,
                    new=self._adding(part.kind),
                    new_label=gettext(part.new),
                    empty=gettext(part.empty),
                    open_row=self._opening(part.kind),
                )

    def _adding(self, kind: EntityType) -> Callable[[], Awaitable[None]]:
        async def add() -> None:
            await edit_dialog(self.session, kind, preset={"supplier_id": self.supplier})

        return add

    def _opening(self, kind: EntityType) -> Callable[[str], Awaitable[None]]:
        async def open_part(identity: str) -> None:
            await edit_dialog(self.session, kind, identity=identity)

        return open_part


async def compare_dialog(session: Session) -> None:
    """What each supplier asks for a quantity of a product, the lowest first."""
    product: str | None = None

    async def picked(value: str | None) -> None:
        nonlocal product
        product = value
        await look()

    async def look() -> None:
        problem.hide()
        found.clear()
        if product is None:
            return
        parameters = {"product_id": product, "quantity": quantity.value or "1"}
        outcome = await run_verb(session, "purchase.compare_prices", parameters, on_error=problem.refuse)
        if outcome.ok:
            with found:
                _draw_comparison(outcome.value["rows"])

    with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("compare"):
        ui.label(_("Compare suppliers' prices")).classes("lc-dialog-title")
        with ui.element("div").classes("lc-form lc-two"):
            with ui.element("div").classes("lc-field"):
                ui.label(Product.entity_type.label).classes("lc-label")
                chooser = picker(session, "product", None, picked, create=False)
            with ui.element("div").classes("lc-field"):
                ui.label(_("Quantity")).classes("lc-label")
                quantity = ui.input(value="1", on_change=look).props("outlined dense hide-bottom-space").mark("quantity")
        problem = Problem()
        found = ui.element("div").classes("lc-scroll").mark("found")
        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Close"), on_click=dialog.close).props("unelevated no-caps").classes("lc-pri")
    ui.timer(0.2, chooser.focus, once=True)
    await answer_of(dialog)


def _draw_comparison(rows: list[dict[str, Any]]) -> None:
    if not rows:
        ui.label(_("No supplier has a price for this quantity today.")).classes("lc-empty lc-muted")
        return
    with ui.element("table").classes("lc-table"):
        heads(
            SUPPLIER.label,
            (PRICE.fields["price"].label, "lc-num"),
            (_("Amount"), "lc-num"),
            (PRICE.fields["from_quantity"].label, "lc-num"),
            (PRICE.fields["lead_days"].label, "lc-num"),
            SUPPLIER.fields["rating"].label,
        )
        for place, row in enumerate(rows):
            with ui.element("tr"):
                cells = (
                    (row["supplier"], "lc-strong" if place == 0 and not row["too_few"] else ""),
                    (show_kind("price", row["price"]), "lc-num"),
                    (show_kind("money", row["amount"]), "lc-num"),
                    (show_kind("quantity", row["from_quantity"]), "lc-num lc-warn-text" if row["too_few"] else "lc-num"),
                    (row["lead_days"], "lc-num"),
                    (show(SUPPLIER.fields["rating"], row["rating"]), ""),
                )
                for text, style in cells:
                    with ui.element("td").classes(style):
                        ui.label("—" if text is None else str(text))
        if any(row["too_few"] for row in rows):
            with ui.element("tr"), ui.element("td").props("colspan=6").classes("lc-warn-text"):
                ui.label(_("Marked suppliers sell only from the quantity shown; the amount is that of it."))


register(Screen("suppliers", "/suppliers", N_("Suppliers"), "factory", "supplier.read", suppliers, "partners", 40, lists="supplier"))
