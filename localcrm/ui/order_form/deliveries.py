"""The deliveries of an order, beside its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcrm.domain import policy
from localcrm.domain.sales.entities import Delivery
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, select
from localcrm.ui.kit.values import show

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

DELIVERY = Delivery.entity_type
#: Deliveries of one order that are shown.
MOST = 20


def sent_with(connection: Connection, session: Session, order_id: str) -> list[dict[str, str]]:
    """{id, number, date, status} of the deliveries of an order, newest first, as far as the user may see them."""
    seen = policy.seen(session.actor, DELIVERY)
    if seen is None or not seen.shows("order_id"):
        return []
    query = ListQuery(DELIVERY, where=(Condition("order_id", "=", order_id),), limit=MOST, restrict=seen)
    shown = ("number", "date", "status")
    return [
        {"id": row["id"], **{key: show(DELIVERY.fields[key], row.get(key)) or "" for key in shown}}
        for row in select(connection, query, count=False).rows
    ]
