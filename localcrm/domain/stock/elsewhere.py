"""Stock of other branches: a branch that holds only its own movements sees theirs as totals of a day (ADR 0060).

Head office, which holds every movement, notes them once a day; they travel like everything that is head office's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from localcrm.domain import policy
from localcrm.domain.stock.entities import BranchStock, StockMove
from localcrm.store.node import only_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcrm.domain.policy import Actor
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store
    from localcrm.store.uow import UnitOfWork

_TOLD, _MOVE = BranchStock.entity_type, StockMove.entity_type
_QUANTITY = _TOLD.fields["quantity"]
#: A product in a warehouse; and how much, with the code of the branch it is at.
_Place = tuple[bytes, bytes]
_Found = tuple[int, str]
#: Totals written in one transaction.
_AT_ONCE = 500


def is_wanted(store: Store) -> bool:
    """Whether this is head office, and some branch holds only its own."""
    if not store.node.is_office:
        return False
    with store.read() as connection:
        return bool(connection.value("SELECT EXISTS (SELECT 1 FROM branch WHERE holds <> 'all' AND deleted = 0)"))


def note(store: Store) -> int:
    """The daily run of head office: what lies in the warehouses of branches, where it is not what was noted last; returns how many totals."""
    with store.read() as connection:
        differing = _differing(connection)
    written = 0
    while portion := list(islice(differing, _AT_ONCE)):
        with store.unit_of_work(None) as uow:
            for place, found in portion:
                _write(uow, place, found)
        written += len(portion)
    return written


def _differing(connection: Connection) -> Iterator[tuple[_Place, _Found]]:
    now = _by_place(
        connection,
        """SELECT product_id, warehouse_id, total, b.code FROM stock_on_hand JOIN warehouse w ON w.id = warehouse_id
           JOIN branch b ON b.id = w.branch_id WHERE total <> 0 ORDER BY product_id, warehouse_id""",
    )
    noted = _by_place(
        connection, "SELECT product_id, warehouse_id, quantity, branch FROM branch_stock WHERE deleted = 0 ORDER BY as_of, id"
    )
    emptied = {place: (0, branch) for place, (_quantity, branch) in noted.items() if place not in now}
    return iter([(place, found) for place, found in (now | emptied).items() if noted.get(place) != found])


def _by_place(connection: Connection, sql: str) -> dict[_Place, _Found]:
    return {(product, warehouse): (quantity, branch) for product, warehouse, quantity, branch in connection.all(sql)}


def _write(uow: UnitOfWork, place: _Place, found: _Found) -> None:
    """One row for each product and warehouse; where a restored head office and its former self both made one, the newest counts."""
    (product, warehouse), (quantity, branch) = place, found
    values = {"quantity": _QUANTITY.load(quantity), "as_of": uow.today, "branch": branch}
    rows = uow.connection.all(
        "SELECT id FROM branch_stock WHERE product_id = ? AND warehouse_id = ? AND deleted = 0 ORDER BY as_of DESC, id DESC",
        (product, warehouse),
    )
    if not rows:
        uow.insert(_TOLD, _TOLD.validate({**values, "product_id": product.hex(), "warehouse_id": warehouse.hex()}))
        return
    uow.update(_TOLD, rows[0][0].hex(), values)
    for (spare,) in rows[1:]:
        uow.set_deleted(_TOLD, spare.hex(), deleted=True)


class Elsewhere(NamedTuple):
    """What lies in another branch's warehouse, as head office knew it on a day."""

    product_id: str
    warehouse_id: str
    quantity: Decimal
    as_of: date


def elsewhere(connection: Connection, actor: Actor, *, product_ids: Sequence[str]) -> list[Elsewhere]:
    """What other branches have of some products, where this branch does not hold their movements; for who may see every movement.

    ``as_of`` is the newest day noted of the warehouse: what did not change since is not noted again.
    """
    own, seen = only_code(connection), policy.seen(actor, _MOVE)
    if own is None or seen is None or seen.rows is not None:
        return []
    if not all(seen.shows(key) for key in ("product_id", "warehouse_id", "quantity")):
        return []
    rows: list[tuple[Any, ...]] = connection.all(
        """SELECT t.product_id, t.warehouse_id, t.quantity, newest.day FROM branch_stock t
           JOIN (SELECT warehouse_id, max(as_of) AS day FROM branch_stock WHERE deleted = 0 GROUP BY 1) newest USING (warehouse_id) WHERE t.product_id IN (SELECT unhex(value) FROM json_each(?)) AND t.branch <> ? AND t.deleted = 0 ORDER BY t.as_of, t.id""",
        (json.dumps(list(product_ids)), own),
    )
    newest = {(product, warehouse): (quantity, day) for product, warehouse, quantity, day in rows}
    day_of = _TOLD.fields["as_of"].load
    return [
        Elsewhere(product.hex(), warehouse.hex(), _QUANTITY.load(quantity), day_of(day))
        for (product, warehouse), (quantity, day) in newest.items()
        if quantity
    ]
