"""Quotes and draft orders whose prices rest on what products cost no more: what is to be looked at again after prices came from elsewhere.

A line keeps what its product cost when its price was entered (``list_price``). Whatever changed that since, at this node or by a merge, shows
by comparing; nothing has to be noted when it happens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from localcrm.domain import policy
from localcrm.domain.catalog.entities import Product
from localcrm.domain.conditions import Asking, Preset, Question, mine_by
from localcrm.domain.policy import Actor
from localcrm.domain.sales.entities import OrderStatus, Quote, QuoteLine, QuoteStatus, SalesOrder, SalesOrderLine
from localcrm.domain.sales.level_prices import level_prices, sees_levels
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.tree import Listed, Node

_PRODUCT = Product.entity_type
#: By kind of document its lines, and the states in which its prices can still be changed or answered for.
_OPEN: Mapping[EntityType, tuple[EntityType, tuple[str, ...]]] = {
    Quote.entity_type: (QuoteLine.entity_type, (QuoteStatus.DRAFT, QuoteStatus.SENT)),
    SalesOrder.entity_type: (SalesOrderLine.entity_type, (OrderStatus.DRAFT,)),
}
#: Lines of open documents that are compared; the newest documents first.
_MOST = 20_000


def repriced(connection: Connection, actor: Actor, kind: EntityType) -> list[str]:
    """Ids of the open documents of a kind, among those the actor sees, of which a product costs this customer something else than it did.

    Nothing for somebody who may not see what that follows from.
    """
    line, states = _OPEN[kind]
    documents, lines, products = (policy.seen(actor, one) for one in (kind, line, _PRODUCT))
    if documents is None or lines is None or products is None or not all(map(documents.shows, ("status", "customer_id"))):
        return []
    if not all(map(lines.shows, ("product_id", "list_price"))) or not products.shows("price"):
        return []
    (of_document, first), (of_line, second) = documents.condition("d"), lines.condition("l")
    rows = connection.all(
        f"""SELECT d.id, lower(hex(d.customer_id)), lower(hex(l.product_id)), l.list_price, p.price
            FROM "{kind.key}" d INDEXED BY "{kind.key}__status" CROSS JOIN "{line.key}" l ON l."{line.parent}" = d.id JOIN product p ON p.id = l.product_id
            WHERE d.deleted = 0 AND d.status IN ({",".join("?" * len(states))}) AND l.deleted = 0 AND l.list_price IS NOT NULL
            AND {of_document} AND {of_line} ORDER BY d.rid DESC LIMIT {_MOST}""",
        [*map(str, states), *first, *second],
    )
    wanted: dict[str, set[str]] = defaultdict(set)
    if connection.value("SELECT 1 FROM level_price WHERE deleted = 0 LIMIT 1"):
        if not sees_levels(actor):
            return []
        for _document, customer, product, _then, _now in rows:
            wanted[customer or ""].add(product)
    levels = {customer: level_prices(connection, actor, sorted(asked), customer or None) for customer, asked in wanted.items()}
    then_of, now_of = line.fields["list_price"].load, _PRODUCT.fields["price"].load
    found: dict[str, None] = {}
    for document, customer, product, then, now in rows:
        level = levels.get(customer or "", {}).get(product)
        if then_of(then) != (now_of(now) if level is None else level):
            found[document.hex()] = None
    return list(found)


def _question(kind: EntityType) -> Question:
    def answer(asking: Asking, _given: Mapping[str, Any]) -> Node:
        return Listed(lambda connection: repriced(connection, asking.actor, kind))

    return Question("repriced", N_("Prices have changed since it was written"), answer)


_PRESET = Preset("repriced", N_("Prices changed"), {"ask": "repriced"})
QUOTE_QUESTIONS, QUOTE_PRESETS = (_question(Quote.entity_type),), (_PRESET,)
ORDER_QUESTIONS, ORDER_PRESETS = (mine_by("owner_id"), _question(SalesOrder.entity_type)), (_PRESET,)
