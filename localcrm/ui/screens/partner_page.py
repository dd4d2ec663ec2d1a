"""One channel partner on one page: what he brought in against his targets, his deposit, and what he has in stock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.crm.entities import Customer
from localcrm.domain.partners import deposits, rebate_credit, sales, stock, targets
from localcrm.domain.partners.deposits import DEPOSIT
from localcrm.domain.partners.entities import RegistrationState
from localcrm.domain.partners.figures import PARTNER, Sums, by_month, sees_all
from localcrm.domain.partners.registrations import REGISTRATION
from localcrm.domain.partners.rules import months_until
from localcrm.domain.partners.sales import SALE, Sold
from localcrm.domain.partners.stock import STOCK, Level
from localcrm.domain.partners.targets import TARGET, Reached
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.ids import parse_id
from localcrm.kernel.schema import EntityType
from localcrm.store.query import Condition, ListQuery, Record, select
from localcrm.ui.customer.under_way import Found as UnderWay, Part, under_way, under_way_table
from localcrm.ui.endpoints import record_path
from localcrm.ui.frame import page_head
from localcrm.ui.kit.binned import bin_notice, binned
from localcrm.ui.kit.detail import facts, ref_names
from localcrm.ui.kit.dialogs import confirm
from localcrm.ui.kit.form import edit_dialog, load_typed
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.values import show, show_kind
from localcrm.ui.operations import run_verb
from localcrm.ui.record_page import RecordPage, card
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: What hangs on a partner: companies that he has registered, customers who came through him.
HANGING = (
    Part(
        REGISTRATION,
        {"field": "state", "op": "=", "value": RegistrationState.LIVE.value},
        N_("Registrations that run"),
        ("name", "standing", "since", "protected_until"),
        "protected_until",
    ),
    Part(Customer.entity_type, None, N_("Customers through this partner"), ("name", "level", "unpaid", "owner_id"), "name"),
)
_SHOWS = {
    PARTNER.key,
    TARGET.key,
    DEPOSIT.key,
    STOCK.key,
    SALE.key,
    REGISTRATION.key,
    "rebate_settlement",
    "customer",
    "sales_order",
    "receipt",
}
#: Entries of a deposit that stand on the page.
_MOST = 30


@dataclass(frozen=True, slots=True)
class _Found:
    partner: Record
    binned: str
    names: Mapping[str, Mapping[str, str]]
    year: Sums
    targets: Sequence[Reached]
    held: Decimal | None
    credit: Decimal | None
    deposits: Sequence[Record]
    reversed: frozenset[str]
    stock: Sequence[Level]
    sold: Sequence[Sold]
    hanging: Sequence[UnderWay]


async def partner_page(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the page."""
    try:
        identity = parse_id(parameters["id"])
    except AppError:
        identity = ""
    await _Page(session, identity).build()


class _Page(RecordPage[_Found]):
    """The state of one open page."""

    active, mark = "partner", "partner-page"
    kind = "partner"
    title_msgid = PARTNER.label_msgid
    missing_msgid = N_("This channel partner does not exist, was deleted, or is not yours to see.")
    shows = _SHOWS

    def read(self) -> _Found:
        session, identity = self.session, self.identity
        partner = load_typed(session, PARTNER, identity)
        day = moment(session.store.clock).astimezone().date()
        may_deposits = deposits.sees_deposits(session.actor)
        with session.store.read() as connection:
            year = Sums()
            for sums in by_month(connection, session.actor, months_until(day, day.month), identity).values():
                year.ordered += sums.ordered
                year.received += sums.received
            entries: Sequence[Record] = []
            if may_deposits:
                where, view = (Condition("partner_id", "=", identity),), policy.view(session.actor, DEPOSIT)
                entries = select(connection, ListQuery(DEPOSIT, where=where, sort="-date", limit=_MOST, restrict=view), count=False).rows
            gone = connection.all(
                "SELECT reverses_id FROM partner_deposit WHERE partner_id = ? AND reverses_id IS NOT NULL AND deleted = 0",
                (bytes.fromhex(identity),),
            )
            return _Found(
                partner,
                binned(connection, session.actor, PARTNER, partner),
                ref_names(session, PARTNER, partner),
                year,
                targets.reached(connection, session.actor, partner=identity),
                deposits.held(connection, identity) if may_deposits else None,
                rebate_credit.left(connection, identity) if rebate_credit.sees_credit(session.actor) else None,
                entries,
                frozenset(row[0].hex() for row in gone),
                stock.newest(connection, session.actor, identity),
                sales.sold(connection, session.actor, identity, day.replace(month=1, day=1)),
                under_way(session, connection, identity, parts=HANGING, by="partner_id"),
            )

    def draw_body(self, found: _Found) -> None:
        with ui.element("div").classes("lc-col"):
            self._figures(found)
            self._deposit(found)
        with ui.element("div").classes("lc-col"):
            self._stock(found)
            self._sold(found)
            for one in found.hanging:
                with card(gettext(one.part.label_msgid)):
                    under_way_table(one)
            with card(_("Details")):
                elsewhere = {"name", "level", "files"}
                told = [f for f in PARTNER.readable if f.key not in elsewhere and found.partner.get(f.key) not in (None, "")]
                facts(PARTNER, found.partner, found.names, told)

    def draw_head(self, found: _Found) -> None:
        with page_head(str(found.partner["name"])):
            if level := show(PARTNER.fields["level"], found.partner.get("level")):
                ui.label(level).classes("lc-chip").props("data-tone=acc")
            ui.space()
            with ui.element("div").classes("lc-row lc-no-print lc-page-tools"):
                ui.button(_("To the list"), on_click=lambda: ui.navigate.to("/records/partner")).props("unelevated no-caps").classes(
                    "lc-btn"
                )
                if self.session.may("partner.update") and not found.binned:
                    with ui.button(on_click=self._edit).props("unelevated no-caps data-key=e").classes("lc-btn"):
                        ui.label(_("Edit"))
                        ui.label(own_key("e")).classes("lc-kbd q-ml-sm")
        bin_notice(self.session, PARTNER, self.identity, str(found.partner["name"]), found.binned)

    def _figures(self, found: _Found) -> None:
        with card(_("Sales this year")):
            sums = [(_("Ordered"), found.year.ordered), (_("Received"), found.year.received)]
            if found.credit:
                sums.append((_("Rebate credit left") if found.credit > 0 else _("Rebate credit: used too much"), abs(found.credit)))
            with ui.element("div").classes("lc-figures"):
                for label, amount in sums:
                    with ui.element("div"):
                        ui.label(label).classes("lc-label")
                        ui.label(_money(amount)).classes("lc-figure")
            if not sees_all(self.session.actor):
                ui.label(_("Only orders and receipts that you may see are counted.")).classes("lc-muted lc-pad")
        if not self.session.may(f"{TARGET.key}.read"):
            return
        with card(_("Targets"), self._adding(TARGET, _("＋ New target"))):
            basis = show(PARTNER.fields["rebate_on"], found.partner.get("rebate_on"))
            if not found.targets:
                ui.label(_("No targets of this partner yet.")).classes("lc-muted lc-pad")
                return
            with ui.element("table").classes("lc-table").mark("targets"):
                heads(_("Year or quarter"), (_("Target"), "lc-num"), (_("Reached"), "lc-num"), ("%", "lc-num"))
                for one in found.targets:
                    with ui.element("tr").style("cursor:pointer").on("click", partial(self._open, TARGET, one.id)):
                        cell(one.period, "lc-strong")
                        cell(_money(one.target), "lc-num")
                        cell(_money(one.reached), "lc-num", tip=basis)
                        with ui.element("td").classes("lc-num"):
                            ui.label(f"{one.percent}%").classes("lc-chip").props(f"data-tone={'good' if one.percent >= 100 else 'plain'}")

    def _deposit(self, found: _Found) -> None:
        if found.held is None:
            return
        with card(_("Deposit"), self._adding(DEPOSIT, _("＋ New entry"))):
            short = found.held < 0
            with ui.element("div").classes("lc-figures"), ui.element("div"):
                ui.label(_("More was used than was there") if short else _("We hold")).classes("lc-label")
                ui.label(_money(abs(found.held))).classes("lc-figure lc-bad-text" if short else "lc-figure").mark("held")
            if not found.deposits:
                ui.label(_("No deposit of this partner yet.")).classes("lc-muted lc-pad")
                return
            with ui.element("table").classes("lc-table").mark("deposits"):
                heads(_("Date"), _("Type"), (_("Amount"), "lc-num"), DEPOSIT.fields["remark"].label, "")
                for row in found.deposits:
                    with ui.element("tr"):
                        self._deposit_row(found, row)

    def _deposit_row(self, found: _Found, row: Record) -> None:
        gone = row["id"] in found.reversed
        cell(show_kind("date", row["date"]) or "—", "lc-muted", tip=str(row.get("number") or ""))
        with ui.element("td"):
            ui.label(show(DEPOSIT.fields["kind"], row["kind"]) or "")
            if gone or row.get("reverses_id"):
                ui.label(_("Reversed") if gone else _("Reversal")).classes("lc-chip").props("data-tone=bad").style("width:fit-content")
        cell(_money(row["held"]), "lc-num")
        cell(str(row.get("remark") or ""))
        with ui.element("td").classes("lc-num"):
            own = row.get("branch_id") == self.session.store.node.branch_id
            if own and not gone and not row.get("reverses_id") and self.session.may(f"{DEPOSIT.key}.create"):
                ui.button(_("Reverse"), on_click=partial(self._reverse, row)).props("flat dense no-caps size=sm").mark("reverse")

    def _stock(self, found: _Found) -> None:
        if not self.session.may(f"{STOCK.key}.read"):
            return
        with card(_("Stock, as last reported"), self._adding(STOCK, _("＋ New report"))):
            if not found.stock:
                ui.label(_("No stock was reported yet. Reports can be imported from a spreadsheet.")).classes("lc-muted lc-pad")
                return
            with ui.element("table").classes("lc-table").mark("stock"):
                heads(_("Product"), _("As of"), (_("Quantity"), "lc-num"), (_("Report before"), "lc-num lc-hide-phone"))
                for one in found.stock:
                    with ui.element("tr").style("cursor:pointer").on("click", partial(self._open, STOCK, one.id)):
                        cell(one.product, "lc-strong")
                        cell(show_kind("date", one.day) or "", "lc-muted")
                        cell(show_kind("quantity", one.quantity) or "", "lc-num")
                        cell(show_kind("quantity", one.before) or "—", "lc-num lc-muted lc-hide-phone")
            ui.link(_("All reports"), f"/records/{STOCK.key}").style("display:block;padding:8px 14px")

    def _sold(self, found: _Found) -> None:
        if not self.session.may(f"{SALE.key}.read"):
            return
        with card(_("What he sold on this year"), self._adding(SALE, _("＋ New sale"))):
            if not found.sold:
                ui.label(_("No sales were reported yet. Reports can be imported from a spreadsheet.")).classes("lc-muted lc-pad")
                return
            with ui.element("table").classes("lc-table").mark("sold"):
                heads(_("Product"), (_("Quantity"), "lc-num"), (_("Amount"), "lc-num"), (_("Buyers"), "lc-num"), (_("Ours"), "lc-num"))
                for one in found.sold:
                    with ui.element("tr"):
                        cell(one.product, "lc-strong")
                        cell(show_kind("quantity", one.quantity) or "", "lc-num")
                        cell(_money(one.amount), "lc-num")
                        cell(str(one.buyers), "lc-num")
                        cell(str(one.known), "lc-num lc-muted", tip=_("Buyers who are customers of ours too"))
            ui.link(_("All sales reported"), f"/records/{SALE.key}").style("display:block;padding:8px 14px")

    # what can be done ----------------------------------------------------------------------------------------------------

    def _adding(self, kind: EntityType, label: str) -> Callable[[], None]:
        """The button in the head of a card that adds a record to the partner, where the user may."""

        async def add() -> None:
            with self.aside:
                await edit_dialog(self.session, kind, preset={"partner_id": self.identity, "date": date.today()})

        def button() -> None:
            if self.session.may(f"{kind.key}.create"):
                ui.button(label, on_click=add).props("flat dense no-caps size=sm").mark(f"new-{kind.key}")

        return button

    async def _open(self, kind: EntityType, identity: str) -> None:
        if self.session.may(f"{kind.key}.update"):
            with self.aside:
                await edit_dialog(self.session, kind, identity=identity)

    async def _edit(self) -> None:
        with self.aside:
            await edit_dialog(self.session, PARTNER, identity=self.identity)

    async def _reverse(self, row: Record) -> None:
        with self.aside:
            question = _("Reverse {number}?").format(number=row.get("number") or "")
            if await confirm(question, detail=_("The opposite is entered; both stay in sight."), yes=_("Reverse")):
                await run_verb(self.session, "partners.reverse_deposit", {"entry_id": row["id"]}, done=_("Reversed"))


def _money(amount: Decimal) -> str:
    return show_kind("money", amount) or ""


async def open_page(_session: Session, partner: str) -> str | None:
    """From the list to the page."""
    ui.navigate.to(record_path(PARTNER.key, partner))
    return None


register(Screen("partner-page", "/partner/{id}", N_("Channel partner"), "handshake", "partner.read", partner_page, None))
