"""What is asked at every keystroke and on every page reads the records it is about, not every posted order and not every total."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.domain.sales.contracts import derive_contract
from localcrm.domain.sales.entities import Contract, SalesOrder
from localcrm.domain.sales.glance import customer_glances
from localcrm.domain.sales.offers import customer_account, last_deals
from localcrm.domain.sales.services import derive_order
from localcrm.domain.sales.standing import last_prices, purchase_rhythm
from localcrm.domain.stock.services import derive_product, stock_list
from localcrm.kernel.clock import now_utc
from localcrm.kernel.schema import entities
from localcrm.store.connection import Connection
from localcrm.store.query import ListQuery, select
from localcrm.store.store import Store

Do = Callable[..., Any]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Any]]]:
    """Statements in the order they were run, with their parameters."""
    found: list[tuple[str, Any]] = []
    run = Connection._run

    def noted(self: Connection, sql: str, params: Any) -> Any:
        found.append((sql, params))
        return run(self, sql, params)

    monkeypatch.setattr(Connection, "_run", noted)
    yield found
    monkeypatch.undo()


def steps(connection: Connection, asked: list[tuple[str, Any]], ledger: str = "sales_order") -> list[str]:
    """How SQLite goes about everything that reads documents (or another ledger) or totals."""
    totals = "|".join(total.name for kind in entities() for total in kind.totals)
    about = [(sql, params) for sql, params in list(asked) if re.search(rf"\b({ledger}|{totals})\b", sql) and not sql.startswith("EXPLAIN")]
    assert about
    return [str(row[-1]) for sql, params in about if "SELECT" in sql for row in connection.all(f"EXPLAIN QUERY PLAN {sql}", params)]


def test_what_stands_beside_a_customer_is_found_by_the_customer(
    store: Store, admin: Actor, do: Do, new: Do, asked: list[tuple[str, Any]]
) -> None:
    customer, product = new("customer", name="绍兴恒远")["id"], new("product", code="P1", name="雪纺", unit="米", price="2")["id"]
    new("warehouse", code="W1", name="一号仓")
    contract = new("contract", customer_id=customer, title="年度供货", signed_on="2026-01-02")
    order = do(
        "sales.save_order",
        header={"customer_id": customer, "contract_id": contract["id"]},
        lines=[{"product_id": product, "quantity": "1"}],
    )["id"]
    do("sales.post_order", order_id=order)
    do("finance.receive_payment", order_id=order, amount="1", account_id=new("account", name="现金")["id"])
    with store.read() as connection:
        contracts, orders = (select(connection, ListQuery(kind.entity_type)).rows for kind in (Contract, SalesOrder))
        asked.clear()
        customer_glances(connection, admin, [customer] * 3)
        last_deals(connection, admin, customer, product)
        customer_account(connection, admin, customer_id=customer)
        last_prices(connection, admin, customer)
        purchase_rhythm(connection, admin, customer, now_utc().date())
        derive_contract(connection, admin, contracts)
        derive_order(connection, admin, orders)
        found = steps(connection, asked)
    by_state = [step for step in found if "status" in step]
    every_one = [step for step in found if step.startswith("SCAN") and "subquery" not in step.lower()]
    assert (by_state, every_one) == ([], [])


def test_what_lies_in_the_warehouses_somebody_may_see_is_found_by_the_product(
    store: Store, do: Do, new: Do, asked: list[tuple[str, Any]]
) -> None:
    products = [new("product", code=f"P{n}", name="雪纺", unit="米", price="2")["id"] for n in range(2)]
    new("warehouse", code="W1", name="一号仓")
    keeper = new("user", login="keeper", name="仓管", role="staff")["id"]
    do("people.set_limits", login="keeper", entity="warehouse", allowed=["W1"])
    actor = actor_by_id(store, keeper)
    assert actor is not None
    asked.clear()
    with store.read() as connection:
        stock_list(connection, actor, product_ids=products)
        derive_product(connection, actor, [{"id": product} for product in products])
        found = steps(connection, [part for part in asked if "sum(quantity)" in part[0]], "stock_move")
    assert [step for step in found if "SCAN m" in step] == []
    assert "SEARCH m USING INDEX stock_move__product_id (product_id=?)" in found


def test_stock_on_hand_and_what_was_received_are_found_by_their_keys(store: Store) -> None:
    with store.read() as connection:
        for kind in entities():
            for total in kind.totals:
                where = " AND ".join(f"\"{key}\" = x''" for key in total.by)
                plan = connection.all(f'EXPLAIN QUERY PLAN SELECT total FROM "{total.name}" WHERE {where}')
                assert [step[-1].startswith("SEARCH") for step in plan] == [True], total.name
