"""A customer at a glance: what stands beside the name in a list, from contacts, activity records, orders and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from localcrm.domain.crm.entities import Activity
from localcrm.domain.sales.entities import SalesOrder
from localcrm.store.connection import Connection

_AT, _NEXT = Activity.entity_type.fields["at"], Activity.entity_type.fields["next_at"]
_GROSS = SalesOrder.entity_type.fields["gross"]


@dataclass(frozen=True, slots=True)
class Glance:
    """contact: name of the main contact · next_contact: the latest plan · last_*: the newest activity · unpaid: posted less received."""

    contact: str | None = None
    next_contact: datetime | None = None
    last_at: datetime | None = None
    last_type: str | None = None
    last_content: str | None = None
    unpaid: Decimal = Decimal("0.00")


def customer_glances(connection: Connection, ids: Sequence[str]) -> dict[str, Glance]:
    """Glances of the customers of one page by id; a handful of queries however many rows there are."""
    keys = [bytes.fromhex(identity) for identity in ids]
    marks = ",".join("?" * len(keys))
    contacts: dict[bytes, str] = dict(
        connection.all(
            f"SELECT customer_id, name FROM contact WHERE customer_id IN ({marks}) AND deleted = 0 ORDER BY is_main, rid DESC", keys
        )
    )
    # With max() the other columns come from the row that holds the maximum.
    newest = {
        customer: (at, kind, content)
        for customer, at, kind, content in connection.all(
            f"SELECT customer_id, max(at), type, substr(content, 1, 80) FROM activity WHERE customer_id IN ({marks}) AND deleted = 0 GROUP BY 1",
            keys,
        )
    }
    planned: dict[bytes, int] = dict(
        connection.all(
            f"""SELECT customer_id, next_at FROM (SELECT customer_id, next_at, max(at) FROM activity
                WHERE customer_id IN ({marks}) AND deleted = 0 AND next_at IS NOT NULL GROUP BY 1)""",
            keys,
        )
    )
    unpaid: dict[bytes, int] = dict(
        connection.all(
            f"""SELECT o.customer_id, sum(o.gross) - sum(coalesce((SELECT sum(r.total) FROM order_received r WHERE r.order_id = o.id), 0))
                FROM sales_order o WHERE o.customer_id IN ({marks}) AND o.status = 'posted' AND o.deleted = 0 GROUP BY 1""",
            keys,
        )
    )
    result = {}
    for identity, key in zip(ids, keys, strict=True):
        at, kind, content = newest.get(key, (None, None, None))
        result[identity] = Glance(
            contact=contacts.get(key),
            next_contact=_NEXT.load(planned.get(key)),
            last_at=_AT.load(at),
            last_type=kind,
            last_content=content,
            unpaid=_GROSS.load(unpaid.get(key, 0)),
        )
    return result
