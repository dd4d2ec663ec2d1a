"""A product in use: everything about it in a dialog, and what is done with it, in the tab of the customer and in the list of all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nicegui import context, ui

from localcrm.domain import policy
from localcrm.domain.sales.consumables import consumable_of
from localcrm.domain.sales.entities import InstalledProduct
from localcrm.domain.service.parts import PART
from localcrm.domain.service.pieces import life_of
from localcrm.domain.service.rules import is_covered
from localcrm.domain.service.tickets import EVENT, TICKET
from localcrm.kernel.clock import now_utc
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import EntityType
from localcrm.store.query import Record, ref_titles
from localcrm.store.view import Masked
from localcrm.ui.customer.tables import column_cell, column_heads
from localcrm.ui.kit.columns import columns as shown_columns, row_json
from localcrm.ui.kit.detail import facts, ref_names
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import edit_dialog, load_typed
from localcrm.ui.kit.menu import Action
from localcrm.ui.operations import run_service, run_verb
from localcrm.ui.service.deeds import new_ticket

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

INSTALLED = InstalledProduct.entity_type
#: What is told of each kind, with the head above it.
_TOLD: tuple[tuple[EntityType, str, tuple[str, ...]], ...] = (
    (TICKET, N_("Tickets"), ("number", "title", "type", "state", "opened_at", "assignee_id")),
    (EVENT, N_("Visits"), ("at", "text", "by_id", "ticket_id")),
    (PART, N_("Parts used"), ("at", "product_id", "quantity", "covered", "amount", "ticket_id")),
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A product in use with what its references are called, the rows told of it by kind, and what its product needs (see ``consumable_of``)."""

    record: Record
    names: dict[str, dict[str, str]]
    rows: dict[str, list[dict[str, Any]]]
    needs: dict[str, Any]


def _read(session: Session, identity: str) -> Piece:
    record = load_typed(session, INSTALLED, identity)
    with session.store.read() as connection:
        life = life_of(connection, session.actor, identity)
        found = {TICKET: life.tickets, EVENT: life.visits, PART: life.parts}
        rows = {
            kind.key: row_json(connection, session.actor, kind, some, ref_titles(connection, kind, some)) for kind, some in found.items()
        }
        needs = consumable_of(connection, session.actor, str(record.get("product_id")))
    return Piece(record, ref_names(session, INSTALLED, record), rows, needs)


async def show(session: Session, identity: str) -> str | None:
    """Everything about a product in use, and what can be done with it."""
    outcome = await run_service(session, lambda: _read(session, identity))
    if not outcome.ok:
        return None
    piece: Piece = outcome.value
    with page_dialog() as dialog, ui.card().classes("lc-dialog lc-wide").mark("piece"):
        title = [piece.names.get("product_id", {}).get(str(piece.record.get("product_id"))), piece.record.get("serial")]
        ui.label(" · ".join(str(one) for one in title if one and not isinstance(one, Masked)) or INSTALLED.label).classes("lc-dialog-title")
        _chips(piece.record)
        told = [field for field in INSTALLED.readable if field.key not in {"serial", "product_id"} and piece.record.get(field.key)]
        facts(INSTALLED, piece.record, piece.names, told)
        for kind, head, keys in _TOLD:
            if session.may(f"{kind.key}.read"):
                _table(session, kind, gettext(head), keys, piece.rows[kind.key])
        with ui.element("div").classes("lc-dialog-buttons").style("flex-wrap:wrap"):
            ui.button(_("Close"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
            ui.space()
            for deed in offered(session, piece.needs):
                if deed.id != "show":
                    button = ui.button(gettext(deed.label_msgid), on_click=partial(dialog.submit, deed))
                    button.props("unelevated no-caps").classes("lc-btn").mark(f"piece-{deed.id}")
    deed = await answer_of(dialog)
    if deed is not None:
        await deed.run(session, identity)
    return identity


def _chips(record: Record) -> None:
    """Whether we answer for it, and whether its consumable is due."""
    today = now_utc().astimezone().date()
    until, due = record.get("warranty_until"), record.get("consumable_on")
    with ui.element("div").classes("lc-row").style("flex-wrap:wrap"):
        if until is not None and not isinstance(until, Masked):
            covered = is_covered(until, today)
            text = _("warranty until {day}") if covered else _("warranty ended {day}")
            ui.label(text.format(day=f"{until:%Y-%m-%d}")).classes("lc-chip").props(f"data-tone={'good' if covered else 'bad'}")
        if due is not None and not isinstance(due, Masked):
            tone = "bad" if due < today else "good"
            ui.label(_("consumable due {day}").format(day=f"{due:%Y-%m-%d}")).classes("lc-chip").props(f"data-tone={tone}")


def _table(session: Session, kind: EntityType, head: str, keys: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    known = {column.key: column for column in shown_columns(policy.view(session.actor, kind))}
    shown = [replace(known[key], label=_("Content")) if key == "text" else known[key] for key in keys if key in known]
    with ui.element("div").style("margin-top:10px"):
        ui.label(f"{head} · {len(rows)}").classes("lc-label")
        if not rows or not shown:
            ui.label(_("None yet.")).classes("lc-muted")
            return
        with ui.element("div").style("overflow-x:auto"), ui.element("table").classes("lc-table lc-rows").mark(f"piece-{kind.key}-rows"):
            with ui.element("tr"):
                column_heads(shown)
                ui.element("th")  # on a phone the last one stays
            for row in rows:
                with ui.element("tr"):
                    for column in shown:
                        leads = f"/tickets/{row['id']}" if kind is TICKET and column is shown[0] else ""
                        column_cell(column, row, span=2 if column is shown[-1] else 1, path=leads)


# deeds -----------------------------------------------------------------------------------------------------------------------


async def ticket(session: Session, identity: str) -> str | None:
    """Enter a ticket about it."""
    outcome = await run_service(session, lambda: load_typed(session, INSTALLED, identity))
    if not outcome.ok:
        return None
    known = {key: outcome.value.get(key) for key in ("customer_id", "product_id", "serial")}
    preset = {key: value for key, value in known.items() if value is not None and not isinstance(value, Masked)}
    if made := await new_ticket(session, installed_id=identity, **preset):
        ui.navigate.to(f"/tickets/{made}")
    return identity


async def quote(session: Session, identity: str) -> str | None:  # noqa: ARG001 -- every deed gets the session
    """Begin a quote for another like it, on its page."""
    ui.navigate.to(f"/quotes/new?piece={identity}")
    return None


async def quote_consumable(session: Session, identity: str) -> str | None:  # noqa: ARG001
    """Begin a quote for its consumable."""
    ui.navigate.to(f"/quotes/new?piece={identity}&consumable=1")
    return None


async def supplied(session: Session, identity: str) -> str | None:
    """It has got its consumable: the next one is due later."""
    outcome = await run_verb(session, "sales.supply_consumable", {"installed_id": identity}, done=_("Noted: consumable supplied"))
    return identity if outcome.ok else None


async def edit(session: Session, identity: str) -> str | None:
    """Change what is said of it."""
    with context.client.content:
        await edit_dialog(session, INSTALLED, identity=identity)
    return identity


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing to do with a product in use; ``run`` returns the id of the record to choose then, or None.

    ``needs``: what its product must say (see ``consumable_of``); "" for what is of use with every one.
    """

    id: str
    label_msgid: str
    permission: str
    run: Callable[[Session, str], Awaitable[str | None]]
    needs: str = ""


DEEDS = (
    Deed("show", N_("Everything about it…"), "installed_product.read", show),
    Deed("edit", N_("Edit"), "installed_product.update", edit),
    Deed("ticket", N_("New ticket"), "ticket.create", ticket),
    Deed("quote", N_("New quote"), "quote.create", quote),
    Deed("quote-consumable", N_("Quote its consumable"), "quote.create", quote_consumable, "consumable_id"),
    Deed("supplied", N_("Consumable supplied"), "installed_product.update", supplied, "consumable_months"),
)


def offered(session: Session, needs: Mapping[str, Any] = MappingProxyType({})) -> list[Deed]:
    """What the user may do with a product in use whose product needs this; a menu that is the same for several asks for none of it."""
    return [deed for deed in DEEDS if session.may(deed.permission) and (not deed.needs or needs.get(deed.needs))]


def actions(bench: Workbench, identity: str) -> list[Action]:
    """What a right-click on one in the tab offers."""
    session = bench.session
    return [
        Action(deed.id, gettext(deed.label_msgid), partial(deed.run, session, identity), divided=deed.id == "ticket")
        for deed in offered(session)
    ]
