"""What hangs on a deal: records of activity, quotes, contracts, orders and expenses with their sums, and what is left of its amount."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import context, ui

from localcrm.domain import policy
from localcrm.domain.crm.entities import Activity, Phase
from localcrm.domain.finance.entities import Expense
from localcrm.domain.sales.deal_money import DealMoney, deal_money
from localcrm.domain.sales.entities import Contract, Quote, SalesOrder
from localcrm.domain.service.tickets import TICKET
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.view import Masked
from localcrm.ui.customer.record import activity_dialog
from localcrm.ui.customer.tables import reading, record_table
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.kit.values import show_kind
from localcrm.ui.screens.records import read_dialog

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

ACTIVITY, QUOTE, CONTRACT, ORDER, EXPENSE = (kind.entity_type for kind in (Activity, Quote, Contract, SalesOrder, Expense))
#: Papers that have a page of their own.
_PAGES = {ORDER: "/orders", QUOTE: "/quotes", TICKET: "/tickets"}
#: Rows of each kind; more are in the lists.
MOST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Records of one kind: their columns, the button for a new one, what a new one takes over from the deal, and their sum in words."""

    kind: EntityType
    columns: tuple[str, ...]
    new: str
    taken: tuple[str, ...] = ()
    sum: str = ""
    sort: str = ""


PARTS = (
    Part(kind=ACTIVITY, columns=("at", "type", "content", "user_id"), new=N_("＋ New activity"), taken=("contact_id",)),
    Part(
        kind=QUOTE,
        columns=("number", "title", "version_no", "amount", "status", "valid_until"),
        new=N_("＋ New quote"),
        sum=N_("Accepted: {sum}"),
        sort="-date",
    ),
    Part(
        kind=CONTRACT,
        columns=("number", "title", "amount", "ordered_percent", "received_percent", "unreceived", "status"),
        new=N_("＋ New contract"),
        taken=("title", "contact_id", "amount"),
        sum=N_("Signed: {sum}"),
        sort="-signed_on",
    ),
    Part(kind=ORDER, columns=("number", "date", "state", "gross", "paid", "open"), new=N_("＋ New order"), sum=N_("Posted: {sum}")),
    Part(
        kind=EXPENSE,
        columns=("date", "type", "purpose", "amount", "user_id"),
        new=N_("＋ New expense"),
        sum=N_("Spent: {sum}"),
        sort="-date",
    ),
    Part(
        kind=TICKET,
        columns=("number", "title", "type", "state", "assignee_id", "opened_at"),
        new=N_("＋ New ticket"),
        taken=("contact_id",),
        sort="-opened_at",
    ),
)
#: What each part of the cost is called.
COST_WORDS = {"expenses": N_("Expenses"), "tasks": N_("Paid for tasks"), "hours": N_("Cost of hours")}
#: Kinds of records whose changes draw it anew.
SHOWS = frozenset({*(part.kind.key for part in PARTS), "receipt", "project_task"})


@dataclass(frozen=True, slots=True)
class Papers:
    """Rows by key of the kind, as lists show them, and what it all comes to."""

    rows: Mapping[str, list[dict[str, Any]]]
    money: DealMoney


@dataclass(slots=True)
class _Page:
    session: Session


def read_papers(session: Session, connection: Connection, opportunity_id: str) -> Papers:
    """What hangs on a deal, as far as the user may see it."""
    rows = {}
    for part in PARTS:
        seen = policy.seen(session.actor, part.kind)
        if seen is not None and seen.shows("opportunity_id"):
            sort = part.sort if seen.shows(part.sort.lstrip("-")) else ""
            rows[part.kind.key] = reading(part.kind, "opportunity_id", sort=sort, most=MOST)(session, connection, opportunity_id)
    return Papers(rows, deal_money(connection, session.actor, opportunity_id))


async def new_paper(session: Session, record: Mapping[str, Any], part: Part) -> None:
    """Enter a record of a kind for a deal, with what the deal says already."""
    if part.kind in (ORDER, QUOTE):
        ui.navigate.to(f"{_PAGES[part.kind]}/new?opportunity={record['id']}")
        return
    known = {key: record.get(key) for key in ("customer_id", *part.taken)}
    preset = {key: value for key, value in known.items() if value is not None and not isinstance(value, Masked)}
    with context.client.content:  # the sheet is drawn anew at every change, and the dialog would go with it
        await edit_dialog(session, part.kind, preset={**preset, "opportunity_id": record["id"]})


async def _open(session: Session, kind: EntityType, identity: str) -> None:
    with context.client.content:
        if kind in _PAGES:
            ui.navigate.to(f"{_PAGES[kind]}/{identity}")
        elif kind is ACTIVITY:
            await activity_dialog(session, identity)
        elif session.may(f"{kind.key}.update"):
            await edit_dialog(session, kind, identity=identity)
        else:
            await read_dialog(session, kind, identity)


def addable(session: Session, *kinds: EntityType) -> list[Part]:
    """Parts of which the user may enter a new record; of these ``kinds``, or of all."""
    return [part for part in PARTS if session.may(f"{part.kind.key}.create") and (not kinds or part.kind in kinds)]


def draw_papers(session: Session, record: Mapping[str, Any], papers: Papers) -> None:
    """Buttons for new ones, a table of each kind there is, and the sums."""
    buttons = addable(session)
    if not buttons and not any(papers.rows.values()):
        return
    with ui.element("div").classes("lc-sheet-part").mark("papers"):
        with ui.element("div").classes("lc-row").style("flex-wrap:wrap"):
            ui.label(_("Records and papers")).classes("lc-strong").style("flex:1 0 auto;white-space:nowrap")
            for part in buttons:
                add = ui.button(gettext(part.new), on_click=partial(new_paper, session, record, part))
                add.props(f"flat dense no-caps size=sm data-act=new-{part.kind.key}")
        for part in PARTS:
            if rows := papers.rows.get(part.kind.key):
                _table(session, part, rows, papers)
    _cost(record, papers.money)


def _table(session: Session, part: Part, rows: list[dict[str, Any]], papers: Papers) -> None:
    opening: Callable[[str], Awaitable[None]] = partial(_open, session, part.kind)
    ui.label(part.kind.label).classes("lc-label")
    record_table(_Page(session), part.kind, part.columns, rows, empty="", open_row=opening)
    money = papers.money
    total = money.costs.get("expenses") if part.kind is EXPENSE else money.papers.get(part.kind.key)
    if part.sum and total:
        with ui.element("div").classes("lc-row").style("justify-content:flex-end"):
            words = gettext(part.sum).format(sum=show_kind("money", total))
            ui.label(words).classes("lc-muted").mark(f"sum-{part.kind.key}")


def _cost(record: Mapping[str, Any], money: DealMoney) -> None:
    """What the deal cost so far against its amount; not while it is only talked about and has cost nothing."""
    if record.get("phase") == Phase.OPPORTUNITY and not any(money.costs.values()):
        return
    lines = [(gettext(COST_WORDS[name]), show_kind("money", value)) for name, value in money.costs.items() if value]
    if money.cost is not None:
        lines.append((_("Cost so far"), show_kind("money", money.cost)))
    if money.margin is not None:
        share = f" · {money.percent}%" if money.percent is not None else ""
        lines.append((_("Left of the amount"), f"{show_kind('money', money.margin)}{share}"))
    if not lines:
        return
    with ui.element("div").classes("lc-sheet-part").mark("cost"):
        ui.label(_("Cost and margin")).classes("lc-strong")
        with ui.element("div").classes("lc-facts"):
            for label, text in lines:
                with ui.element("div").classes("lc-fact"):
                    ui.label(label).classes("lc-label")
                    ui.label(text or "—")
        if money.partly:
            ui.label(_("Counts what you may see.")).classes("lc-muted lc-small-text")
