"""Cards of what is under way with a customer: open deals, quotes without an answer, running contracts, deliveries that have not arrived, open tickets;
of what he has of us and what was spent for him; and all his files.

Other pages show what hangs on their record in the same way (``parts``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.conditions import Asking, is_askable, tree_query
from localcrm.domain.crm.deals_due import UNDER_WAY
from localcrm.domain.crm.entities import Opportunity
from localcrm.domain.crm.files import Attached
from localcrm.domain.finance.entities import Expense
from localcrm.domain.sales.entities import Contract, Delivery, DeliveryStatus, InstalledProduct, Quote
from localcrm.domain.sales.paper_questions import RUNNING, UNANSWERED
from localcrm.domain.service.entities import Ticket
from localcrm.domain.service.rules import UNDONE
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.query import ref_titles, select
from localcrm.ui.customer.tables import column_cell, column_heads
from localcrm.ui.endpoints import record_path
from localcrm.ui.kit.columns import Column, columns, row_json
from localcrm.ui.kit.files import file_links
from localcrm.ui.kit.values import show

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Rows of a card; more are in the tabs of the workbench.
MOST = 30


@dataclass(frozen=True, slots=True)
class Part:
    """One card: records of a kind that fit these conditions, with these columns."""

    kind: EntityType
    tree: Mapping[str, Any] | None
    label_msgid: str
    columns: tuple[str, ...]
    sort: str
    most: int = MOST


PARTS = (
    Part(Opportunity.entity_type, UNDER_WAY, N_("Open deals"), ("title", "stage_id", "amount", "next_step", "next_on"), "expected_on"),
    Part(Quote.entity_type, UNANSWERED, N_("Unanswered quotes"), ("number", "title", "amount", "valid_until"), "valid_until"),
    Part(Contract.entity_type, RUNNING, N_("Running contracts"), ("number", "title", "amount", "unreceived", "ends_on"), "ends_on"),
)


#: What stands beside his orders on his page.
AFTER_SALE = (
    Part(
        Delivery.entity_type,
        {"field": "status", "op": "in", "value": [DeliveryStatus.PACKED.value, DeliveryStatus.SHIPPED.value]},
        N_("Deliveries under way"),
        ("number", "date", "content", "tracking_no"),
        "-date",
    ),
    Part(
        Ticket.entity_type,
        {"field": "state", "op": "in", "value": [state.value for state in UNDONE]},
        N_("Open tickets"),
        ("number", "title", "priority", "state"),
        "-opened_at",
    ),
    Part(InstalledProduct.entity_type, None, N_("Products in use"), ("product_id", "serial", "quantity", "warranty_until"), "-sold_on", 10),
    Part(Expense.entity_type, None, N_("Latest expenses"), ("date", "type", "amount", "purpose"), "-date", 5),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a card holds."""

    part: Part
    columns: Sequence[Column]
    rows: Sequence[dict[str, Any]]


def under_way(
    session: Session, connection: Connection, identity: str, *, parts: Sequence[Part] = PARTS, by: str = "customer_id"
) -> list[Found]:
    """What is under way with a customer, or with another record that ``parts`` name in ``by``, as far as the user may see it; parts without
    anything are left out.
    """
    found = []
    for part in parts:
        tree = {"all": [{"field": by, "op": "=", "value": identity}, *([part.tree] if part.tree else [])]}
        asking = Asking(session.actor)
        if not session.may(f"{part.kind.key}.read") or not is_askable(part.kind, tree, asking):
            continue
        query = tree_query(part.kind, tree, asking, limit=part.most)
        known = {column.key: column for column in columns(query.restrict)} if query.restrict else {}
        if (by_key := part.sort.removeprefix("-")) in known and known[by_key].sortable:
            query = tree_query(part.kind, tree, asking, limit=part.most, sort=part.sort)
        rows = select(connection, query, count=False).rows
        if rows:
            shown = row_json(connection, session.actor, part.kind, rows, ref_titles(connection, part.kind, rows))
            found.append(Found(part, [known[key] for key in part.columns if key in known], shown))
    return found


def under_way_table(found: Found) -> None:
    """The rows of a card; the title leads to the record."""
    kind = found.part.kind
    with ui.element("table").classes("lc-table lc-rows").mark(f"under-way-{kind.key}"):
        with ui.element("tr"):
            column_heads(found.columns)
            ui.element("th")  # on a phone the last head alone is shown
        for row in found.rows:
            with ui.element("tr"):
                for column in found.columns:
                    path = record_path(kind.key, row["id"]) if column.key in {"title", "name", kind.title_field} else ""
                    column_cell(column, row, span=2 if column is found.columns[-1] else 1, path=path)


def files_list(found: Sequence[Attached]) -> None:
    """Files under the records they hang on."""
    with ui.element("div").classes("lc-pad lc-col").style("gap:8px").mark("all-files"):
        for one in found:
            with ui.element("div"):
                title = show(one.kind.fields[one.kind.title_field], one.record.get(one.kind.title_field)) or ""
                about = one.kind.label if one.kind.key == "customer" else _("{kind}: {text}").format(kind=one.kind.label, text=title)
                ui.label(about).classes("lc-label lc-cut")
                file_links(one.kind, one.record["id"], one.field, one.files)
