"""One thing done at two places apart: the same opening balance entered, or one quote ordered. Head office is told, and the place that did it later may
reverse what it posted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from localcrm.domain import policy
from localcrm.domain.admin.after_merge import note_same_value
from localcrm.domain.admin.conflicts import as_text
from localcrm.domain.policy import Actor
from localcrm.domain.sales.entities import SalesOrder
from localcrm.domain.sales.services import reverse_order
from localcrm.store.connection import Connection
from localcrm.store.node import load_node
from localcrm.store.uow import UnitOfWork

_ORDER = SalesOrder.entity_type
#: By the field that says the same: which orders can be told of, and the others like them. Named in this order and with a plus here and there, so that
#: a merge reads what arrived and the orders of those customers and quotes, never all orders.
OPENING, QUOTE = "gross", "quote_id"
_KIND = {OPENING: "+{0}.status = 'posted' AND {0}.opening = 1", QUOTE: "+{0}.quote_id IS NOT NULL"}
_LIKE = {OPENING: "b.customer_id = a.customer_id AND +b.gross = a.gross", QUOTE: "b.quote_id = a.quote_id"}


def _counts(order: str, field: str) -> str:
    """SQL that is true for such an order that counts."""
    return f"""{_KIND[field].format(order)} AND {order}.deleted = 0 AND {order}.reverses_id IS NULL
        AND NOT EXISTS (SELECT 1 FROM sales_order r WHERE r.reverses_id = {order}.id AND r.status = 'posted' AND r.deleted = 0)"""


def follow_arrived(uow: UnitOfWork, arrived: Sequence[str]) -> None:
    """Of orders that arrive at head office, tell which another branch has entered with the same amount for the same customer, or made of the same quote.

    Both count until a person says which one is right: two old bills may have the same amount, and half of a quote may be delivered from each place.
    """
    if not uow.node.is_office:
        return
    for key, like in _LIKE.items():
        field = _ORDER.fields[key]
        for identity, other, value in uow.connection.all(
            f"""SELECT a.id, b.id, a.{key} FROM json_each(?) j CROSS JOIN sales_order a ON a.id = unhex(j.value)
                CROSS JOIN sales_order b ON {like} AND b.branch_id <> a.branch_id
                WHERE {_counts("a", key)} AND {_counts("b", key)} ORDER BY a.rid, b.rid""",
            (json.dumps(arrived),),
        ):
            note_same_value(uow, _ORDER, field, identity.hex(), other.hex(), as_text(field, value))


def both_count(connection: Connection, orders: Sequence[str], field: str) -> bool:
    """Whether neither of two such orders was reversed, or deleted as a draft."""
    return len(_counting(connection, orders, field)) == 2


def is_draft_among(connection: Connection, orders: Sequence[str]) -> bool:
    """Whether one of two orders of a quote is not posted yet."""
    return any(status != "posted" for _branch, status in _counting(connection, orders, QUOTE).values())


def entered_here(connection: Connection, later: str, other: str, *, field: str = OPENING) -> bool:
    """Whether of two that both count the one that arrived later was posted at this place.

    Only there it is offered to reverse it: if each place reversed its own, nothing would be owed any more.
    """
    counting = _counting(connection, (later, other), field)
    return len(counting) == 2 and counting[later] == (load_node(connection).branch_id, "posted")


def _counting(connection: Connection, orders: Sequence[str], field: str) -> dict[str, tuple[str, str]]:
    """Which of these count, with branch and status of each."""
    listed = json.dumps(list(orders))
    rows = connection.all(
        f"SELECT o.id, o.branch_id, o.status FROM json_each(?) j CROSS JOIN sales_order o ON o.id = unhex(j.value) WHERE {_counts('o', field)}",
        (listed,),
    )
    return {identity.hex(): (branch.hex(), status) for identity, branch, status in rows}


def take_back(uow: UnitOfWork, actor: Actor, order: str) -> None:
    """Reverse an order as its own screen does."""
    policy.require_record(uow.connection, actor, _ORDER, order, "reverse")
    reverse_order(uow, actor, order_id=order)
