"""A new order or quote begins with what its deal is about: customer, and the products wanted as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localcrm.domain import policy
from localcrm.domain.crm.entities import Opportunity, OpportunityLine
from localcrm.domain.sales.rules import amounts_of_line
from localcrm.kernel.money import ZERO_AMOUNTS
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, ref_titles, select
from localcrm.ui.order_form.grid import line_texts, priced, products_of
from localcrm.ui.order_form.own import own_fields
from localcrm.ui.order_form.papers import Paper

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

DEAL, WANTED = Opportunity.entity_type, OpportunityLine.entity_type
#: Products of a deal that become lines.
MOST = 200


def deal_head(connection: Connection, session: Session, opportunity_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Head of the order or quote of a deal with the names for it; both empty where the user may not see the deal."""
    view = policy.seen(session.actor, DEAL)
    where = (Condition("id", "=", opportunity_id),)
    rows = select(connection, ListQuery(DEAL, where=where, limit=1, restrict=view), count=False).rows if view is not None else []
    if not rows:
        return {}, {}
    (deal,) = rows
    head: dict[str, Any] = {"opportunity_id": opportunity_id}
    names = {"opportunity_id": str(deal.get("title") or "")}
    if view is not None and view.shows("title"):
        head["title"] = deal["title"]
    if view is not None and view.shows("customer_id"):
        head["customer_id"] = deal["customer_id"]
        names["customer_id"] = ref_titles(connection, DEAL, rows)["customer_id"].get(deal["customer_id"], "")
    return head, names


def deal_lines(
    connection: Connection, session: Session, paper: Paper, opportunity_id: str, header: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The products that a deal is about as rows of the form, at the price that was talked about, else what the product costs this customer."""
    view = policy.seen(session.actor, WANTED)
    if view is None or not all(map(view.shows, ("opportunity_id", "product_id", "quantity", "price"))):
        return []
    where = (Condition("opportunity_id", "=", opportunity_id), Condition("product_id", "filled"))
    rows = select(connection, ListQuery(WANTED, where=where, limit=MOST, sort="", restrict=view), count=False).rows[::-1]
    return lines_for(connection, session, paper, rows, header)


def lines_for(
    connection: Connection, session: Session, paper: Paper, wanted: Sequence[Mapping[str, Any]], header: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Products as rows of the form: {product_id, description, quantity, price}; without a price at what the product costs this customer."""
    products = priced(connection, session, products_of(connection, session, [row["product_id"] for row in wanted]), header["customer_id"])
    lines = []
    for row in wanted:
        product = products.get(row["product_id"])
        if product is None or product["deleted"]:
            continue
        price = row["price"] if row["price"] is not None else product.get("price")
        line = {
            "id": None,
            "product_id": row["product_id"],
            "description": row.get("description"),
            "quantity": row["quantity"],
            "price": price,
            "discount": Decimal(1) if row["price"] is not None else product["discount"],
            "tax_rate": product.get("tax_rate"),
        }
        whole = all(isinstance(line[key], Decimal) for key in ("quantity", "price", "tax_rate"))
        amounts = amounts_of_line(line, tax_included=header["tax_included"]) if whole else ZERO_AMOUNTS
        line |= {"net": amounts.net, "tax": amounts.tax, "gross": amounts.gross}
        lines.append(line_texts(line, products, own_fields(session, paper.line), {}))
    return lines
