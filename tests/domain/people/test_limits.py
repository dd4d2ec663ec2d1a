"""Two things that widen and narrow rights beside scopes: further departments of a user, and warehouses a role is limited to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from localcrm.domain import policy, records, verbs
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.domain.stock.services import stock_list
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store.query import ListQuery, select
from localcrm.store.store import Store
from localcrm.ui import endpoints
from localcrm.ui.order_form import new_sheet
from localcrm.ui.program import Program
from localcrm.ui.sessions import Session

Do = Callable[..., Any]


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(AppError) as refused:
        call()
    return refused.value.code


@pytest.fixture
def houses(new: Do) -> dict[str, str]:
    """Two warehouses; the keeper is to see the second one only."""
    return {name: new("warehouse", code=name, name=f"{name}仓")["id"] for name in ("甲", "乙")}


@pytest.fixture
def keeper(store: Store, do: Do, new: Do, houses: dict[str, str]) -> Callable[[], Actor]:
    user = new("user", login="keeper", name="仓管", role="staff")["id"]
    do("people.set_limits", login="keeper", entity="warehouse", allowed=["乙"])

    def now() -> Actor:
        actor = actor_by_id(store, user)
        assert actor is not None
        return actor

    return now


@pytest.fixture
def goods(new: Do, houses: dict[str, str]) -> str:
    """A product with 5 in the first and 3 in the second warehouse."""
    product = new("product", code="P", name="布", price="1")["id"]
    for name, quantity in (("甲", "5"), ("乙", "3")):
        new("stock_move", type="receipt", product_id=product, warehouse_id=houses[name], quantity=quantity)
    return str(product)


def test_stock_moves_warehouses_and_what_is_on_hand_are_those_of_the_warehouses_given(
    store: Store, keeper: Do, goods: str, houses: dict[str, str]
) -> None:
    with store.read() as connection:
        assert [(row["warehouse_id"], row["quantity"]) for row in stock_list(connection, keeper())] == [(houses["乙"], 3)]
        product = records.read_record(connection, keeper(), entity="product", id=goods)
        seen = {
            kind: len(select(connection, ListQuery(entity(kind), restrict=policy.view(keeper(), entity(kind)))).rows)
            for kind in ("stock_move", "warehouse", "product")
        }
    assert product["on_hand"] == "3"
    assert seen == {"stock_move": 1, "warehouse": 1, "product": 1}
    assert verbs.run(store, keeper(), "stock.stock_on_hand", {"product_id": goods, "warehouse_id": houses["甲"]})["on_hand"] == "0"


def test_pickers_and_a_new_order_offer_only_these(store: Store, keeper: Do, goods: str, houses: dict[str, str]) -> None:
    program = Program(store.folder, 0)
    program.adopt(store)
    session = Session(program, "", "", keeper(), {}, _checked=float("inf"))
    assert [row["id"] for row in endpoints.pick(session, {"entity": "warehouse"}, None)["rows"]] == [houses["乙"]]
    assert new_sheet(session)["header"]["warehouse_id"] == houses["乙"]


def test_nothing_is_written_into_another_warehouse(store: Store, do: Do, new: Do, keeper: Do, goods: str, houses: dict[str, str]) -> None:
    def run(verb: str, **parameters: Any) -> Any:
        return verbs.run(store, keeper(), verb, parameters)

    def move(house: str) -> Any:
        values = {"type": "receipt", "product_id": goods, "warehouse_id": houses[house], "quantity": "1"}
        return run("records.create_record", entity="stock_move", values=values)

    customer = new("customer", name="客户")["id"]
    lines = [{"product_id": goods, "quantity": "1"}]
    assert code_of(lambda: move("甲")) == "limited"
    assert move("乙")["warehouse_id"] == houses["乙"]
    assert (
        code_of(lambda: run("sales.save_order", header={"customer_id": customer, "warehouse_id": houses["甲"]}, lines=lines)) == "limited"
    )
    order = run("sales.save_order", header={"customer_id": customer}, lines=lines)
    assert order["warehouse_id"] == houses["乙"]
    moved = {"customer_id": customer, "warehouse_id": houses["甲"]}
    kept = [{"id": order["lines"][0]["id"], **lines[0]}]
    assert code_of(lambda: run("sales.save_order", order_id=order["id"], header=moved, lines=kept)) == "limited"
    assert run("sales.post_order", order_id=order["id"])["status"] == "posted"
    theirs = do("sales.save_order", header=moved, lines=lines)
    assert code_of(lambda: run("sales.post_order", order_id=theirs["id"])) == "not_found"
    values = {"code": "丙", "name": "丙仓"}
    assert code_of(lambda: run("records.create_record", entity="warehouse", values=values)) == "limited"


def test_limits_of_several_roles_add_up_and_an_empty_list_lifts_them(do: Do, new: Do, keeper: Do, houses: dict[str, str]) -> None:
    role = new("role", name="甲仓管")["id"]
    do("people.assign_role", login="keeper", role="甲仓管")
    assert policy.limits(keeper()) == {"warehouse": {houses["乙"]}}
    do("people.set_role_limits", role_id=role, entity="warehouse", allowed=[houses["甲"]])
    assert policy.limits(keeper()) == {"warehouse": set(houses.values())}
    do("people.set_limits", login="keeper", entity="warehouse", allowed=[])
    assert policy.limits(keeper()) == {"warehouse": {houses["甲"]}}
    copy = do("people.copy_role", role_id=role, name="甲仓管二")
    do("people.unassign_role", login="keeper", role="甲仓管")
    assert policy.limits(keeper()) == {}
    do("people.assign_role", login="keeper", role=copy["id"])
    assert policy.limits(keeper()) == {"warehouse": {houses["甲"]}}


def test_roles_are_limited_to_what_exists_and_limits(do: Do, new: Do, houses: dict[str, str]) -> None:
    role = new("role", name="仓管")["id"]
    assert code_of(lambda: do("people.set_role_limits", role_id=role, entity="warehouse", allowed=["丁"])) == "no_such_warehouse"
    assert code_of(lambda: do("people.set_role_limits", role_id=role, entity="customer", allowed=[])) == "not_limiting"


# further departments ---------------------------------------------------------------------------------------------------------


def test_a_user_counts_in_each_of_his_departments_and_sees_with_each(store: Store, do: Do, new: Do) -> None:
    sales, office, crew = (new("department", name=name)["id"] for name in ("销售", "行政", "后勤"))
    mei = new("user", login="mei", name="何小梅", department_id=sales)["id"]
    lin = new("user", login="lin", name="林", department_id=office)["id"]
    new("customer", name="林的客户", owner_id=lin)
    do("people.set_rights", login="mei", entity="customer", actions=["read"], scope="department")

    def reached() -> int:
        actor = actor_by_id(store, mei)
        assert actor is not None
        kind = entity("customer")
        with store.read() as connection:
            return select(connection, ListQuery(kind, restrict=policy.view(actor, kind))).total

    assert reached() == 0
    assert do("people.set_departments", login="mei", departments=["销售", "行政"])["departments"] == [
        office
    ]  # her own needs no second word
    assert reached() == 1
    do("people.set_departments", login="mei", departments=[])
    assert reached() == 0
    do("people.set_departments", login="lin", departments=["销售", crew])
    assert reached() == 1


def test_a_department_somebody_works_in_besides_his_own_is_not_deleted(do: Do, new: Do) -> None:
    crew = new("department", name="后勤")["id"]
    new("user", login="mei", name="何小梅")
    do("people.set_departments", login="mei", departments=["后勤"])
    assert code_of(lambda: do("records.delete_record", entity="department", id=crew)) == "referenced"
    do("people.set_departments", login="mei", departments=[])
    do("records.delete_record", entity="department", id=crew)
