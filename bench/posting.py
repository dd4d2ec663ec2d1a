"""Posting a sales order of five lines with its stock movements: number, frozen amounts, movements, totals, search, one transaction each.

Run as ``python bench/posting.py [ORDERS]``.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from _measure import Figure, folder, office, show

from localcrm.domain import subjects, verbs  # noqa: F401 -- subjects makes everything known
from localcrm.domain.admin.services import set_up_office

LINES = 5


def measure(orders: int = 300, *, rounds: int = 2) -> list[Figure]:
    """Orders posted a second by one processor, and drafts saved beside them."""
    saved, posted = 0.0, 0.0
    for _ in range(rounds):
        with folder() as place:
            save, post = _work(place, orders)
        saved, posted = max(saved, orders / save), max(posted, orders / post)
    return [
        Figure("posting a 5-line order with stock", posted, "/s", goal=100, at_least=True),
        Figure("saving the draft of a 5-line order", saved, "/s"),
    ]


def _work(place: Any, orders: int) -> tuple[float, float]:
    store = office(place / "office")
    actor = set_up_office(store, login="admin", name="admin", password="bench-secret-1")

    def run(name: str, **parameters: Any) -> Any:
        return verbs.run(store, actor, name, parameters)

    def new(kind: str, **values: Any) -> str:
        return str(run("records.create_record", entity=kind, values=values)["id"])

    warehouse = new("warehouse", code="W1", name="主仓")
    products = [new("product", code=f"P{n:03d}", name=f"面料{n}", price="12.50", tax_rate="0.13") for n in range(40)]
    for product in products:
        new("stock_move", product_id=product, warehouse_id=warehouse, quantity="100000", type="opening")
    customer = new("customer", name="绍兴宏达服饰有限公司")
    start = time.process_time()
    drafts = [
        run(
            "sales.save_order",
            header={"customer_id": customer, "warehouse_id": warehouse},
            lines=[{"product_id": products[(n + k) % len(products)], "quantity": str(1 + k)} for k in range(LINES)],
        )["id"]
        for n in range(orders)
    ]
    middle = time.process_time()
    for draft in drafts:
        assert run("sales.post_order", order_id=draft)["status"] == "posted"
    end = time.process_time()
    with store.read() as connection:
        assert connection.value("SELECT count(*) FROM stock_move") == orders * LINES + len(products)
    store.close()
    return middle - start, end - middle


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:])))
