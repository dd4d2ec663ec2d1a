"""The account of the chosen supplier: what was billed and paid, what is left, and what can be set off where it is a customer too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.netting.services import both_sides
from localcrm.domain.purchase.entities import EntryKind
from localcrm.domain.purchase.payables import ENTRY, OWING, SUPPLIER, account, alike, owed, sees_account
from localcrm.domain.spans import bounds
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.store.connection import Connection
from localcrm.ui.endpoints import record_path
from localcrm.ui.kit.dialogs import answer_of, confirm, page_dialog
from localcrm.ui.kit.form import Form
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.values import show, show_kind
from localcrm.ui.operations import run_verb

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Kinds of records whose changes change what is shown here.
SHOWS = frozenset({"supplier_entry", "receipt", "sales_order", "customer"})
#: Spans of the statement by name; the last is all of it.
_SPANS = {"this_month": N_("This month"), "this_year": N_("This year"), "": N_("All")}
#: What is typed for an entry of each kind.
_TYPED = {
    EntryKind.OPENING: ("date", "amount", "due_on", "remark"),
    EntryKind.BILL: ("date", "amount", "invoice_no", "due_on", "remark"),
    EntryKind.PAYMENT: ("date", "amount", "method", "account_id", "remark"),
}
_TITLES = {EntryKind.OPENING: N_("Opening balance"), EntryKind.BILL: N_("New bill"), EntryKind.PAYMENT: N_("New payment")}
#: Entries that stand on the page; all of them are in the list.
_MOST = 30


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of an account. ``net``: as ``both_sides`` says · ``alike``: customers that are likely the same company."""

    statement: Mapping[str, Any]
    overdue: Decimal
    net: Mapping[str, Any]
    alike: Sequence[Mapping[str, Any]]


def read(session: Session, connection: Connection, supplier: Mapping[str, Any], span: str) -> Shown | None:
    """Read it, in a worker thread; None for somebody who may not see it."""
    if sees_account(session.actor) is None:
        return None
    today, identity = date.today(), supplier["id"]
    first, after = bounds(span, 0, today) if span else (None, None)
    net: Mapping[str, Any] = {"customer_id": None}
    if session.may("sales_order.read") and session.may("receipt.read"):
        net = both_sides(connection, session.actor, identity)
    proposed = session.may("supplier.update") and session.may("customer.read") and "customer_id" in supplier and not supplier["customer_id"]
    return Shown(
        account(connection, session.actor, identity, first, after - timedelta(days=1) if after else None),
        owed(connection, session.actor, [identity], today)[identity].overdue,
        net,
        alike(connection, session.actor, identity) if proposed else [],
    )


class AccountPart:
    """The part of one open page; ``again`` draws the page anew."""

    def __init__(self, session: Session, again: Callable[[], Awaitable[None]]) -> None:
        self.session, self.again = session, again
        self.span = "this_year"
        self.aside: ui.element | None = None
        self.may_enter = session.may(f"{ENTRY.key}.create")
        self.may_set_off = self.may_enter and session.may("receipt.create")

    def place(self) -> None:
        """Where questions stand: outside of what is drawn anew behind them."""
        self.aside = ui.element("div")

    def draw(self, supplier: Mapping[str, Any], shown: Shown) -> None:
        """Head, sums, the other side, entries."""
        self.supplier, self.shown = supplier, shown
        with ui.element("div").mark("account"):
            self._head()
            self._sums()
            self._other_side()
            self._rows()
            self._branches()

    def _head(self) -> None:
        with ui.element("div").classes("lc-row lc-wrap-row").style("padding:10px 14px 6px"):
            ui.label(_("Account")).classes("lc-sub")
            for key, label in _SPANS.items():
                chip = (
                    ui.button(gettext(label), on_click=partial(self._choose, key)).props("flat dense no-caps").mark(f"span-{key or 'all'}")
                )
                chip.classes("lc-chip lc-acc" if key == self.span else "lc-chip").props(f"aria-pressed={str(key == self.span).lower()}")
            ui.space()
            if self.may_enter:
                kinds = [EntryKind.BILL, EntryKind.PAYMENT]
                if not self.shown.statement["rows"] and not self.shown.statement["opening"]:
                    kinds.insert(0, EntryKind.OPENING)
                for kind in kinds:
                    ui.button(f"＋ {gettext(kind.label)}", on_click=partial(self._enter, kind)).props("unelevated no-caps dense").classes(
                        "lc-btn"
                    ).mark(f"enter-{kind.value}")

    async def _choose(self, span: str) -> None:
        self.span = span
        await self.again()

    def _sums(self) -> None:
        found = self.shown.statement
        closing: Decimal = found["closing"]
        parts = (
            (_("Opening balance"), found["opening"], ""),
            (_("＋ Billed"), found["billed"], ""),
            (_("− Paid"), found["paid"], ""),
            (_("＝ Balance in our favour") if closing < 0 else _("＝ We owe"), abs(closing), "lc-good-text" if closing < 0 else ""),
            (_("Of it overdue"), self.shown.overdue, "lc-bad-text" if self.shown.overdue else "lc-muted"),
        )
        with ui.element("div").classes("lc-figures").mark("sums"):
            for label, amount, tone in parts:
                with ui.element("div"):
                    ui.label(label).classes("lc-label")
                    ui.label(_money(amount)).classes(f"lc-figure {tone}")

    def _other_side(self) -> None:
        net = self.shown.net
        if net["customer_id"]:
            with ui.element("div").classes("lc-notice lc-info").style("margin:4px 14px 8px").mark("net"):
                with ui.element("div").classes("grow"):
                    ui.link(
                        _("Also our customer: {name}").format(name=net["customer"] or "…"), record_path("customer", net["customer_id"])
                    ).classes("lc-strong")
                    ui.label(_net_words(net))
                if self.may_set_off and net["most"] > 0:
                    ui.button(_("Set off…"), on_click=self._set_off).props("unelevated no-caps dense").classes("lc-btn").mark("set-off")
        for one in self.shown.alike:
            with ui.element("div").classes("lc-notice lc-info").style("margin:4px 14px 8px").mark("alike"):
                reasons = _(", ").join(SUPPLIER.fields[key].label for key in one["reasons"] if key in SUPPLIER.fields)
                text = _("Looks like our customer {name} ({reasons})").format(
                    name=one.get("name") or one.get("number") or "…", reasons=reasons
                )
                ui.link(text, record_path("customer", one["id"])).classes("grow")
                ui.button(_("It is the same company"), on_click=partial(self._link, one["id"])).props("unelevated no-caps dense").classes(
                    "lc-btn"
                ).mark("link")

    def _rows(self) -> None:
        rows = self.shown.statement["rows"]
        if not rows:
            ui.label(_("Nothing was billed or paid in this time.")).classes("lc-muted").style("padding:4px 14px 12px")
            return
        with ui.element("table").classes("lc-table lc-rows").mark("entries"):
            heads(
                _("Date"),
                _("Type"),
                ENTRY.fields["invoice_no"].label,
                (_("Billed"), "lc-num"),
                (_("Paid to them"), "lc-num"),
                (_("Balance"), "lc-num"),
                "",
            )
            for row in rows[:_MOST]:
                with ui.element("tr"):
                    self._row(row)
        if self.shown.statement["more"] or len(rows) > _MOST:
            ui.link(_("All entries"), f"/records/{ENTRY.key}").style("display:block;padding:8px 14px")

    def _row(self, row: Mapping[str, Any]) -> None:
        owing = row["kind"] in OWING
        amount = row["owed"] if owing else -row["owed"]
        with ui.element("td"):
            ui.label(show_kind("date", row["date"]) or "—").tooltip(str(row.get("number") or ""))
        with ui.element("td").props(f'data-label="{_("Type")}"'):
            ui.label(show(ENTRY.fields["kind"], row["kind"]) or "")
            self._chips(row)
        said = " · ".join(str(part) for part in (row.get("invoice_no"), row.get("remark")) if part)
        due = row.get("due_on") if owing and not row.get("reverses_id") and not row["reversed"] else None
        with ui.element("td").classes("" if said or due else "lc-none-cell"):
            if said:
                ui.label(said)
            if due:
                ui.label(_("due {day}").format(day=show_kind("date", due))).classes("lc-muted lc-small-text")
        for label, here in ((_("Billed"), owing), (_("Paid to them"), not owing)):
            with ui.element("td").classes("lc-num" if here else "lc-num lc-none-cell").props(f"data-label={quoted(label)}"):
                ui.label(_money(amount) if here else "")
        with ui.element("td").classes("lc-num").props(f'data-label="{_("Balance")}"'):
            ui.label(_money(row["balance"]))
        with ui.element("td").classes("lc-num"):
            if self._may_reverse(row):
                label = _("Take back") if row["kind"] == EntryKind.SET_OFF else _("Reverse")
                ui.button(label, on_click=partial(self._reverse, row)).props("flat dense no-caps size=sm").mark("reverse")

    def _chips(self, row: Mapping[str, Any]) -> None:
        chips = (
            (row["reversed"], _("Reversed"), "bad"),
            (row.get("reverses_id"), _("Reversal"), "bad"),
            (row["twice"], _("Entered twice"), "warn"),
            (len(self.shown.statement["branches"]) > 1, row["branch"], "plain"),
        )
        for holds, text, tone in chips:
            if holds and text:
                ui.label(str(text)).classes("lc-chip").props(f"data-tone={tone}").style("display:inline-block;margin-left:6px")

    def _may_reverse(self, row: Mapping[str, Any]) -> bool:
        own = row.get("branch_id") == self.session.store.node.branch_id
        may = self.may_set_off if row["kind"] == EntryKind.SET_OFF else self.may_enter
        return may and own and not row["reversed"] and not row.get("reverses_id")

    def _branches(self) -> None:
        branches = self.shown.statement["branches"]
        if len(branches) < 2:
            return
        ui.label(_("By branch")).classes("lc-sub lc-card-title")
        with ui.element("table").classes("lc-table").mark("branches"):
            heads(_("Branch"), (_("Billed"), "lc-num"), (_("Paid to them"), "lc-num"), (_("Left of it"), "lc-num"))
            for one in branches:
                with ui.element("tr"):
                    cell(str(one["branch"]))
                    for key in ("billed", "paid", "owed"):
                        cell(_money(one[key]), "lc-num")

    # what can be done ----------------------------------------------------------------------------------------------------

    def _beside(self) -> ui.element:
        assert self.aside is not None
        return self.aside

    async def _enter(self, kind: EntryKind) -> None:
        with self._beside():
            await entry_dialog(self.session, str(self.supplier["id"]), kind)

    async def _link(self, customer: str) -> None:
        parameters = {"entity": SUPPLIER.key, "id": self.supplier["id"], "values": {"customer_id": customer}}
        with self._beside():
            await run_verb(self.session, "records.update_record", parameters, done=_("Noted: the same company"))

    async def _set_off(self) -> None:
        with self._beside():
            await set_off_dialog(self.session, str(self.supplier["id"]), self.shown.net)

    async def _reverse(self, row: Mapping[str, Any]) -> None:
        both = row["kind"] == EntryKind.SET_OFF
        number = row.get("number") or ""
        question = _("Take back what {number} set off?") if both else _("Reverse {number}?")
        detail = (
            _("The opposite is entered on both sides; both stay in sight.") if both else _("The opposite is entered; both stay in sight.")
        )
        with self._beside():
            if await confirm(question.format(number=number), detail=detail, yes=_("Take back") if both else _("Reverse")):
                verb = "netting.take_back" if both else "purchase.reverse_entry"
                await run_verb(self.session, verb, {"entry_id": row["id"]}, done=_("Taken back") if both else _("Reversed"))


def _money(amount: Any) -> str:
    return show_kind("money", amount) or ""


def _net_words(net: Mapping[str, Any]) -> str:
    """Both balances and what is left of them, in one line."""
    they = _("they owe us {amount}") if net["they_owe"] >= 0 else _("they are in credit by {amount}")
    left = _("net, we owe {amount}") if net["net"] >= 0 else _("net, they owe us {amount}")
    pairs = ((_("we owe {amount}"), net["we_owe"]), (they, abs(net["they_owe"])), (left, abs(net["net"])))
    return _(", ").join(text.format(amount=_money(amount)) for text, amount in pairs)


async def entry_dialog(session: Session, supplier: str, kind: EntryKind) -> None:
    """Enter a bill, a payment or an opening balance."""
    fields = [ENTRY.fields[key] for key in _TYPED[kind]]
    with page_dialog().props("persistent no-route-dismiss") as dialog, ui.card().classes("lc-dialog lc-narrow").mark("entry") as card:
        ui.label(gettext(_TITLES[kind])).classes("lc-dialog-title")
        preset = {"supplier_id": supplier, "kind": kind.value, "date": date.today()}
        form = Form(session, ENTRY, fields=fields, preset=preset, two=True)

        async def save() -> None:
            form.clear_errors()
            values = {key: value for key, value in form.values().items() if value is not None}
            parameters = {"entity": ENTRY.key, "values": values}
            with dialog:
                outcome = await run_verb(session, "records.create_record", parameters, done=_("Saved"), on_error=form.show_error)
            if outcome.ok:
                dialog.submit(True)

        _buttons(dialog, save, _("Save"))
    card.on("keydown.esc.stop", dialog.close)
    dialog.open()
    form.inputs["amount"].focus()
    await answer_of(dialog)


async def set_off_dialog(session: Session, supplier: str, net: Mapping[str, Any]) -> None:
    """Ask how much, and for which orders; without any ticked the oldest come first."""
    ticked: set[str] = set()
    with (
        page_dialog().props("persistent no-route-dismiss") as dialog,
        ui.card().classes("lc-dialog lc-narrow").mark("set-off-dialog") as card,
    ):
        ui.label(_("Set off against “{name}”").format(name=net["customer"] or "…")).classes("lc-dialog-title")
        ui.label(_net_words(net)).classes("lc-muted")
        form = Form(session, ENTRY, fields=[ENTRY.fields[key] for key in ("amount", "remark")], preset={"amount": net["most"]})
        ui.label(_("Open orders; without a tick the oldest are settled first")).classes("lc-label")
        with ui.element("div").classes("lc-scroll").style("max-height:240px"), ui.element("table").classes("lc-table").mark("orders"):
            for one in net["orders"]:
                with ui.element("tr"):
                    with ui.element("td"):
                        ui.checkbox(str(one["number"] or "—"), on_change=partial(_tick, ticked, one["id"])).props("dense")
                    cell(show_kind("date", one["date"] and date.fromisoformat(one["date"])) or "", "lc-muted")
                    cell(_money(one["open"]), "lc-num")
        problem = Problem()

        problem.form = form

        async def save() -> None:
            form.clear_errors()
            typed = form.values()
            chosen = [one["id"] for one in net["orders"] if one["id"] in ticked]
            parameters = {"supplier_id": supplier, "amount": typed["amount"] or "0", "remark": typed["remark"], "order_ids": chosen or None}
            with dialog:
                outcome = await run_verb(session, "netting.set_off", parameters, done=_("Set off on both sides"), on_error=problem.refuse)
            if outcome.ok:
                dialog.submit(True)

        _buttons(dialog, save, _("Set off"))
    card.on("keydown.esc.stop", dialog.close)
    dialog.open()
    form.inputs["amount"].focus()
    await answer_of(dialog)


def _tick(ticked: set[str], order: str, event: Any) -> None:
    (ticked.add if event.value else ticked.discard)(order)


def _buttons(dialog: ui.dialog, save: Callable[[], Awaitable[None]], label: str) -> None:
    with ui.element("div").classes("lc-dialog-buttons"):
        ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
        ui.button(label, on_click=save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save")
