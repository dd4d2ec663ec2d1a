"""The same opening balance entered at two places apart: head office is told, and the place that entered one of the two may reverse it."""

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


def _counts(order: str) -> str:
    """SQL that is true for an opening balance that counts."""
    return f"""+{order}.status = 'posted' AND {order}.deleted = 0 AND {order}.opening = 1 AND {order}.reverses_id IS NULL
        AND NOT EXISTS (SELECT 1 FROM sales_order r WHERE r.reverses_id = {order}.id AND r.status = 'posted' AND r.deleted = 0)"""


def follow_arrived(uow: UnitOfWork, arrived: Sequence[str]) -> None:
    """Of opening balances that arrive at head office, tell which another branch has entered with the same amount for the same customer.

    Both count until a person says which one is right: two old bills may have the same amount.
    """
    if not uow.node.is_office:
        return
    # Named in this order and with a plus here and there, so that a merge reads what arrived and the orders of those customers, never all orders.
    for identity, other, gross in uow.connection.all(
        f"""SELECT a.id, b.id, a.gross FROM json_each(?) j CROSS JOIN sales_order a ON a.id = unhex(j.value)
            CROSS JOIN sales_order b ON b.customer_id = a.customer_id AND +b.gross = a.gross AND b.branch_id <> a.branch_id
            WHERE {_counts("a")} AND {_counts("b")} ORDER BY a.rid, b.rid""",
        (json.dumps(arrived),),
    ):
        field = _ORDER.fields["gross"]
        note_same_value(uow, _ORDER, field, identity.hex(), other.hex(), as_text(field, gross))


def both_count(connection: Connection, orders: Sequence[str]) -> bool:
    """Whether neither of two opening balances was reversed."""
    return len(_counting(connection, orders)) == 2


def entered_here(connection: Connection, later: str, other: str) -> bool:
    """Whether of two opening balances that both count the one that arrived later was entered at this place.

    Only there it is offered to reverse it: if each place reversed its own, nothing would be owed any more.
    """
    counting = _counting(connection, (later, other))
    return len(counting) == 2 and counting[later] == load_node(connection).branch_id


def _counting(connection: Connection, orders: Sequence[str]) -> dict[str, str]:
    """Which of these count, and the branch of each."""
    listed = json.dumps(list(orders))
    rows = connection.all(
        f"SELECT o.id, o.branch_id FROM json_each(?) j CROSS JOIN sales_order o ON o.id = unhex(j.value) WHERE {_counts('o')}", (listed,)
    )
    return {identity.hex(): branch.hex() for identity, branch in rows}


def take_back(uow: UnitOfWork, actor: Actor, order: str) -> None:
    """Reverse an opening balance as its own screen does."""
    policy.require_record(uow.connection, actor, _ORDER, order, "reverse")
    reverse_order(uow, actor, order_id=order)
