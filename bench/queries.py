"""What a list of customers costs that is narrowed by questions: contacted, overdue, dormant, birthdays, sums of orders.

A first page with its count, for an administrator who sees everybody and for a salesperson who owns a fiftieth. Ten activity
records, a contact and two orders a customer. A page of the workbench has 600 ms, group counts 300 ms; sums come after them and only inform.

    python bench/queries.py [CUSTOMERS ...]
"""

from __future__ import annotations

import random
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from _measure import Figure, folder, office, shortest, show

from localcrm.domain import conditions, subjects
from localcrm.domain.admin.services import set_up_office
from localcrm.domain.conditions import Asking, tree_query
from localcrm.domain.crm.groups import AGE, Block, groups
from localcrm.domain.policy import Actor, Reach, Rights
from localcrm.domain.roles import BasicRole
from localcrm.kernel.ids import new_id
from localcrm.kernel.schema import entity
from localcrm.store.query import select
from localcrm.store.store import Store

assert subjects.SUBJECTS
SIZES = (1_000, 100_000)
GOAL_MS, GOAL_GROUPS_MS, PAGE = 600.0, 300.0, 100
#: Beside the list: in one level, in two, and with what the customers owe.
GROUPINGS = {
    "groups by level": Block("", "level"),
    "groups by level and salesperson": Block("", "level", "owner_id"),
    "groups by days since contact": Block("", AGE),
    "groups by level with sums owed": Block("", "level", None, "owed"),
}
SELLERS, RECORDS, PORTION = 50, 10, 2_000
#: Questions beside the presets.
MORE: dict[str, Any] = {
    "orders of a year over 50,000": {"ask": "sold", "days": 365, "op": ">", "amount": "50000"},
    "without contact persons": {"ask": "contacts", "op": "=", "number": 0},
    "deal customers without contact for 60 days": {
        "all": [{"field": "level", "op": "=", "value": "deal"}, {"ask": "no_activity", "days": 60}]
    },
}


def measure(sizes: tuple[int, ...] = SIZES, *, rounds: int = 3) -> list[Figure]:
    """Milliseconds of every preset at every size."""
    figures = []
    for size in sizes:
        with folder() as place:
            store = office(place / "hq")
            admin = set_up_office(store, login="admin", name="admin", password="bench-secret-1")
            seller = filled(store, admin, size)
            for name, actor in (("all", admin), ("own", _rights(seller))):
                label = f"{name}, {size:,} customers"
                figures += _measured(store, actor, label, rounds) + _grouped(store, actor, label, rounds)
            store.close()
    return figures


def _measured(store: Store, actor: Actor, label: str, rounds: int) -> list[Figure]:
    kind, asking = entity("customer"), Asking(actor)
    asked = {one.key: one.tree for one in conditions.PRESETS["customer"].values()} | MORE
    figures = []
    for name, data in asked.items():
        query = tree_query(kind, data, asking, limit=PAGE, sort="name")
        with store.read() as connection:
            seconds = shortest(lambda connection=connection, query=query: select(connection, query), rounds=rounds)
        figures.append(Figure(f"{name}, {label}", seconds * 1000, "ms", goal=GOAL_MS))
    return figures


def _grouped(store: Store, actor: Actor, label: str, rounds: int) -> list[Figure]:
    figures = []
    for name, block in GROUPINGS.items():
        with store.read() as connection:
            seconds = shortest(lambda connection=connection, block=block: groups(connection, actor, block), rounds=rounds)
        figures.append(Figure(f"{name}, {label}", seconds * 1000, "ms", goal=GOAL_GROUPS_MS if block.measure is None else None))
    return figures


def _rights(seller: str) -> Actor:
    kinds = ("customer", "contact", "activity", "sales_order", "receipt")
    own = {
        f"{kind}.read": Reach(owners=frozenset({seller})) if kind in {"customer", "sales_order"} else Reach(everything=True)
        for kind in kinds
    }
    return Actor(seller, "seller", "seller", BasicRole.NONE, Rights(own))


def filled(store: Store, admin: Actor, size: int, *, records: int = RECORDS) -> str:
    """Fill the company; returns a salesperson's id."""
    chance, now = random.Random(20261118), datetime.now(UTC)
    kinds = {key: entity(key) for key in ("user", "customer", "contact", "activity", "sales_order")}
    with store.unit_of_work(admin.user_id) as uow:
        sellers = [uow.insert(kinds["user"], kinds["user"].validate({"login": f"s{n}", "name": f"s{n}"})) for n in range(SELLERS)]
    for start in range(0, size, PORTION):
        rows: dict[str, list[dict[str, Any]]] = {key: [] for key in kinds}
        for number in range(start, min(size, start + PORTION)):
            _one(rows, number, chance.choice(sellers), chance, now, records)
        with store.unit_of_work(admin.user_id) as uow:
            for key, found in rows.items():
                if found:
                    uow.insert_many(kinds[key], found)
    return sellers[0]


def _one(rows: dict[str, list[dict[str, Any]]], number: int, seller: str, chance: random.Random, now: datetime, records: int) -> None:
    entered = now - timedelta(days=chance.randrange(900))
    customer = f"{int(entered.timestamp() * 1000):012x}{new_id()[12:]}"
    level = chance.choice(("deal", "developing", "prospect"))
    rows["customer"].append({"id": customer, "name": f"客户{number:06d}有限公司", "level": level, "owner_id": seller})
    if chance.random() < 0.9:
        born = date(1970, 1, 1) + timedelta(days=chance.randrange(12_000))
        rows["contact"].append({"id": new_id(), "customer_id": customer, "name": "王建国", "birthday": born})
    if chance.random() < 0.9:
        for _record in range(records):
            at = now - timedelta(days=chance.randrange(1, 700))
            due = at + timedelta(days=chance.randrange(1, 60)) if chance.random() < 0.5 else None
            rows["activity"].append(
                {
                    "id": new_id(),
                    "customer_id": customer,
                    "at": at,
                    "type": "call",
                    "content": "确认样布",
                    "next_at": due,
                    "user_id": seller,
                }
            )
    for _order in range(2):
        day = now.date() - timedelta(days=chance.randrange(1, 700))
        order = {"id": new_id(), "customer_id": customer, "status": "posted", "date": day, "owner_id": seller}
        rows["sales_order"].append({**order, "gross": Decimal(chance.randrange(100, 60_000))})


if __name__ == "__main__":
    show(measure(tuple(map(int, sys.argv[1:])) or SIZES))
