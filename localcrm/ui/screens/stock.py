"""Stock on hand: a row per product, a column per warehouse; goods in and adjustments beside the numbers they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.domain import policy
from localcrm.domain.catalog.entities import Product, Warehouse
from localcrm.domain.stock.elsewhere import Elsewhere, elsewhere
from localcrm.domain.stock.entities import BranchStock, MoveType, StockMove
from localcrm.domain.stock.services import stock_list
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.node import only_code
from localcrm.store.query import Condition, ListQuery, Record, select, titles
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import grouped, near_day
from localcrm.ui.operations import run_service
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

PRODUCT, WAREHOUSE, MOVE = Product.entity_type, Warehouse.entity_type, StockMove.entity_type
BRANCH_STOCK = BranchStock.entity_type
ROWS = 200
#: More warehouses than this and only the totals are shown beside the chosen one.
COLUMNS = 6


@dataclass(frozen=True, slots=True)
class Shelf:
    """What is known of one product: its quantity by warehouse id."""

    product: Record
    quantities: Mapping[str, Decimal]
    elsewhere: Sequence[Elsewhere] = ()

    @property
    def total(self) -> Decimal:
        """In all warehouses whose movements are here."""
        return sum(self.quantities.values(), Decimal(0))

    @property
    def others(self) -> Decimal:
        """At other branches, as it was noted last."""
        return sum((one.quantity for one in self.elsewhere), Decimal(0))


async def stock(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await StockPage(session).build()


class StockPage:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.text = ""
        self.only_short = False
        self.names: Mapping[str, str] = {}
        self.may_move = session.may("stock_move.create")

    async def build(self) -> None:
        """Filters above, the table below."""
        with page_frame(self.session, title=_("Stock"), active="stock"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(_("Stock on hand")):
                find = ui.input(placeholder=_("Code, name, pinyin, barcode"), on_change=self._typed).classes("lc-find").mark("stock-search")
                find.props("outlined dense clearable debounce=200 data-find")
                with find.add_slot("prepend"):
                    ui.icon("search").props("size=18px")
                self.short_chip = (
                    ui.button(_("Short only"), on_click=self._toggle_short).props("flat dense no-caps").classes("lc-chip").mark("short")
                )
                self.total_label = ui.label().classes("lc-total").mark("total")
                ui.space()
                ui.button(_("Movements"), on_click=lambda: ui.navigate.to("/records/stock_move")).props("unelevated no-caps").classes(
                    "lc-btn"
                )
                if self.may_move:
                    adjust = ui.button(_("Adjust…"), on_click=lambda: self._move(MoveType.ADJUST)).props("unelevated no-caps")
                    adjust.classes("lc-btn").mark("adjust")
                    with ui.button(on_click=lambda: self._move(MoveType.RECEIPT)).props("unelevated no-caps data-key=n") as goods_in:
                        ui.label(_("＋ Goods in"))
                        ui.label(own_key("n")).classes("lc-kbd")
                    goods_in.classes("lc-pri").mark("goods-in")
            self.card = ui.element("div").classes("lc-card lc-scroll").mark("stock-table")
        await self._draw()
        self.session.subscribe({"stock_move", "product", "warehouse", BRANCH_STOCK.key}, lambda _changes: self._draw())

    async def _typed(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self.text = str(event.value or "")
        await self._draw()

    async def _toggle_short(self) -> None:
        self.only_short = not self.only_short
        self.short_chip.classes(add="lc-acc" if self.only_short else "", remove="" if self.only_short else "lc-acc")
        await self._draw()

    async def _move(self, kind: MoveType, product_id: str | None = None) -> None:
        preset: dict[str, Any] = {"type": kind.value}
        if product_id:
            preset["product_id"] = product_id
        if await edit_dialog(self.session, MOVE, preset=preset):
            await self._draw()

    # reading and drawing -----------------------------------------------------------------------------------------------

    def _read(self) -> tuple[list[Record], list[Shelf], int]:
        session = self.session
        policy.require(session.actor, "stock_move.read")
        where = (Condition("stocked", "=", True),)
        with session.store.read() as connection:
            houses = select(connection, ListQuery(WAREHOUSE, sort="code", limit=50, restrict=policy.view(session.actor, WAREHOUSE))).rows
            page = select(
                connection,
                ListQuery(PRODUCT, where=where, search=self.text, sort="code", limit=1000, restrict=policy.view(session.actor, PRODUCT)),
            )
            ids = [row["id"] for row in page.rows]
            found = stock_list(connection, session.actor, product_ids=ids)
            told = elsewhere(connection, session.actor, product_ids=ids)
            only_its_own = only_code(connection) is not None
            if policy.seen(session.actor, WAREHOUSE):
                self.names = titles(connection, WAREHOUSE, [one.warehouse_id for one in told])
        by_product: dict[str, dict[str, Decimal]] = {}
        for row in found:
            by_product.setdefault(row["product_id"], {})[row["warehouse_id"]] = row["quantity"]
        others: dict[str, list[Elsewhere]] = {}
        for one in told:
            others.setdefault(one.product_id, []).append(one)
        shelves = [Shelf(product, by_product.get(product["id"], {}), others.get(product["id"], ())) for product in page.rows]
        if only_its_own:
            houses = [house for house in houses if house["branch_id"] in {None, session.store.node.branch_id}]
        if self.only_short:
            shelves = [shelf for shelf in shelves if shelf.total <= 0 or any(quantity < 0 for quantity in shelf.quantities.values())]
        return houses, shelves[:ROWS], len(shelves) if self.only_short else page.total

    async def _draw(self) -> None:
        outcome = await run_service(self.session, self._read)
        if not outcome.ok:
            return
        houses, shelves, total = outcome.value
        self.total_label.set_text(_("{count} products").format(count=f"{total:,}"))
        self.card.clear()
        with self.card:
            if not shelves:
                with ui.element("div").classes("lc-empty"):
                    ui.label(_("No product matches.") if self.text or self.only_short else _("There are no products kept in stock yet."))
                return
            self._table(houses, shelves)
            if total > len(shelves):
                more = _("{count} more; search to narrow the list.").format(count=f"{total - len(shelves):,}")
                ui.label(more).classes("lc-muted").style("padding:10px 14px")

    def _table(self, houses: list[Record], shelves: list[Shelf]) -> None:
        shown = houses if 1 < len(houses) <= COLUMNS else []
        told = any(shelf.elsewhere for shelf in shelves)
        with ui.element("table").classes("lc-table"):
            with ui.element("tr"):
                fields = [
                    (PRODUCT.fields[key].label, "lc-hide-phone" if key in {"spec", "unit"} else "")
                    for key in ("code", "name", "spec", "unit")
                ]
                heads = [
                    *fields,
                    *((house["name"], "lc-num lc-hide-phone") for house in shown),
                    (_("On hand"), "lc-num"),
                    *([(_("Other branches"), "lc-num")] if told else []),
                    ("", "lc-hide-phone"),
                ]
                for text, classes in heads:
                    with ui.element("th").classes(classes):
                        ui.label(text)
            for shelf in shelves:
                with ui.element("tr").classes("lc-hover").mark(f"stock-{shelf.product['code']}"):
                    self._row(shelf, shown, told=told)

    def _row(self, shelf: Shelf, shown: list[Record], *, told: bool) -> None:
        product = shelf.product
        texts = [
            (product["code"], ""),
            (product["name"], ""),
            (product.get("spec") or "—", "lc-hide-phone"),
            (product.get("unit") or "—", "lc-hide-phone"),
        ]
        for text, classes in texts:
            with ui.element("td").classes(classes):
                ui.label(text).classes("lc-muted" if text == "—" else "")
        for house in shown:
            self._quantity(shelf.quantities.get(house["id"]), "lc-num lc-hide-phone")
        self._quantity(shelf.total, "lc-num lc-strong")
        if told:
            with ui.element("td").classes("lc-num"):
                if shelf.elsewhere:
                    button = ui.button(grouped(shelf.others), on_click=lambda: self._show_others(shelf)).props("flat dense no-caps")
                    button.tooltip(_("Where, and of which day")).mark(f"others-{product['code']}")
                else:
                    ui.label("—").classes("lc-muted")
        with ui.element("td").classes("lc-num lc-hide-phone"), ui.element("div").classes("lc-row-tools"):
            if self.may_move:
                for kind, label in ((MoveType.RECEIPT, _("Goods in")), (MoveType.ADJUST, _("Adjust"))):
                    button = ui.button(label, on_click=lambda kind=kind: self._move(kind, product["id"])).props(
                        "flat dense no-caps size=sm"
                    )
                    button.mark(f"{kind.value}-{product['code']}")

    async def _show_others(self, shelf: Shelf) -> None:
        with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("others"):
            ui.label(_("{product} at other branches").format(product=shelf.product["name"])).classes("lc-dialog-title")
            ui.label(
                _(
                    "Goods in and out at other branches are not recorded here. Head office notes once a day what each has left; it comes with the exchange."
                )
            ).classes("lc-muted")
            with ui.element("table").classes("lc-table"):
                heads(WAREHOUSE.label, (BRANCH_STOCK.fields["quantity"].label, "lc-num"), BRANCH_STOCK.fields["as_of"].label)
                for one in sorted(shelf.elsewhere, key=lambda one: -one.quantity):
                    with ui.element("tr"):
                        cell(self.names.get(one.warehouse_id, "—"))
                        self._quantity(one.quantity, "lc-num")
                        cell(near_day(one.as_of))
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Close"), on_click=dialog.close).props("unelevated no-caps autofocus").classes("lc-pri")
        await answer_of(dialog)

    def _quantity(self, quantity: Decimal | None, classes: str) -> None:
        with ui.element("td").classes(classes):
            tone = "lc-bad-text" if quantity is not None and quantity < 0 else "" if quantity else "lc-muted"
            ui.label("—" if quantity is None else grouped(quantity)).classes(tone)


register(Screen("stock", "/stock", N_("Stock on hand"), "inventory", "stock_move.read", stock, "trade"))
