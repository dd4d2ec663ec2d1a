"""What is entered on the form: orders and quotes. The form asks for one by name; what both have in common is said nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcrm.domain.sales.entities import Quote, QuoteLine, SalesOrder, SalesOrderLine
from localcrm.kernel.schema import EntityType


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A kind of document with lines: where its page is, what stands in its head, and the verb that saves it with its lines.

    head: fields of the head as the form takes them · picked: those that are chosen, ``picked_if_any`` only where there is something to
    choose · typed: those that are typed, in the order of the form · total: the field for what it comes to.
    """

    kind: EntityType
    line: EntityType
    path: str
    head: tuple[str, ...]
    picked: tuple[str, ...]
    picked_if_any: tuple[str, ...]
    typed: tuple[str, ...]
    total: str
    verb: str

    @property
    def parent(self) -> str:
        """The field of a line that names its document; the verb calls it so too."""
        return str(self.line.parent)


ORDERS = Paper(
    kind=SalesOrder.entity_type,
    line=SalesOrderLine.entity_type,
    path="/orders",
    head=(
        "customer_id",
        "warehouse_id",
        "owner_id",
        "legal_entity_id",
        "contract_id",
        "opportunity_id",
        "date",
        "delivery_date",
        "tax_included",
        "remark",
    ),
    picked=("customer_id", "warehouse_id", "owner_id"),
    picked_if_any=("contract_id", "opportunity_id"),
    typed=("date", "delivery_date"),
    total="gross",
    verb="sales.save_order",
)
QUOTES = Paper(
    kind=Quote.entity_type,
    line=QuoteLine.entity_type,
    path="/quotes",
    head=("customer_id", "title", "owner_id", "contact_id", "opportunity_id", "date", "valid_until", "tax_included", "remark"),
    picked=("customer_id", "owner_id"),
    picked_if_any=("contact_id", "opportunity_id"),
    typed=("title", "date", "valid_until"),
    total="amount",
    verb="sales.save_quote",
)
PAPERS: Mapping[str, Paper] = {paper.kind.key: paper for paper in (ORDERS, QUOTES)}


def paper_of(body: Mapping[str, Any]) -> Paper:
    """What the browser asks about; an order unless it says otherwise."""
    return PAPERS.get(str(body.get("paper")), ORDERS)
