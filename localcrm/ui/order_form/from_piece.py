"""A new quote begins with a product in use: whose it is, which one, and itself or its consumable as a line."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localcrm.domain import policy
from localcrm.domain.sales.consumables import consumable_of
from localcrm.domain.sales.entities import InstalledProduct
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, ref_titles, select
from localcrm.ui.order_form.from_deal import lines_for
from localcrm.ui.order_form.papers import Paper

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

_INSTALLED = InstalledProduct.entity_type


def of_piece(
    connection: Connection, session: Session, paper: Paper, identity: str, header: dict[str, Any], *, consumable: bool
) -> tuple[dict[str, Any], dict[str, str], list[dict[str, Any]]]:
    """Head, names for it and lines of the paper that a product in use asks for, as far as the user sees it."""
    view = policy.seen(session.actor, _INSTALLED)
    query = ListQuery(_INSTALLED, where=(Condition("id", "=", identity),), limit=1, restrict=view)
    rows = select(connection, query, count=False).rows if view is not None else []
    if view is None or not rows or not all(map(view.shows, ("customer_id", "product_id"))):
        return header, {}, []
    (piece,) = rows
    names = {key: found.get(piece[key], "") for key, found in ref_titles(connection, _INSTALLED, rows).items() if key in view.entity.fields}
    serial = piece.get("serial") or "" if view.shows("serial") else ""
    called = " ".join(filter(None, (names.get("product_id", ""), serial)))
    head = header | {"customer_id": piece["customer_id"]} | ({"title": called} if "title" in paper.head else {})
    wanted: dict[str, Any] = {"product_id": piece["product_id"], "description": called, "quantity": Decimal(1), "price": None}
    if view.shows("quantity"):
        wanted["quantity"] = piece["quantity"]
    if consumable:
        needed = consumable_of(connection, session.actor, piece["product_id"])["consumable_id"]
        wanted |= {"product_id": needed, "description": None, "quantity": Decimal(1)}
    lines = lines_for(connection, session, paper, [wanted], head) if wanted["product_id"] else []
    return head, {"customer_id": names.get("customer_id", "")}, lines
