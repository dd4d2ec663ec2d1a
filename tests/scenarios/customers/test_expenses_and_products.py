"""What was spent for a customer, and what he has of us and uses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from localcrm.domain.conditions import PRESETS, Asking, tree_query
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store.query import Condition, ListQuery, select
from tests.factories import FIRST_DAY, Company, copy_company


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    company = copy_company(tmp_path)
    yield company
    company.close()


def test_a_salesperson_writes_down_what_he_spent_and_need_not_say_when_and_who(company: Company):
    office = company.hq
    customer = office.new("customer", name="甲公司")
    spent = office.get("expense", office.new("expense", customer_id=customer, amount="128.5", purpose="请客户吃饭", type="hospitality"))
    assert [spent[key] for key in ("date", "user_id", "amount")] == [FIRST_DAY.isoformat(), office.actor.user_id, "128.50"]
    for wrong, said in (({"amount": "0"}, "大于"), ({"amount": "10", "tax": "10"}, "税额必须小于金额")):
        with pytest.raises(AppError, match=said):
            office.new("expense", customer_id=customer, purpose="误记", **wrong)


def test_a_serial_number_is_found_by_its_end_in_any_branch_and_tells_the_warranty(company: Company):
    office, branch = company.hq, company.branches["BR01"]
    customer, product = office.new("customer", name="甲公司"), office.new("product", code="M", name="绣花机", price="1")
    with pytest.raises(AppError, match="保修到期日早于购买日期"):
        office.new("installed_product", customer_id=customer, product_id=product, sold_on="2026-03-01", warranty_until="2025-03-01")
    machine = office.new(
        "installed_product",
        customer_id=customer,
        product_id=product,
        serial="SN-2026-004711",
        sold_on="2026-03-01",
        warranty_until="2027-03-01",
    )
    company.exchange()
    with branch.store.read() as connection:
        kind = entity("installed_product")
        found = select(connection, ListQuery(kind, search="4711")).rows
        assert [(row["id"], row["warranty_until"]) for row in found] == [(machine, date(2027, 3, 1))]
        ending = select(connection, ListQuery(kind, where=(Condition("warranty_until", "<=", "2027-04-01"),), sort="warranty_until")).rows
        assert [row["serial"] for row in ending] == ["SN-2026-004711"]


def test_what_runs_out_of_warranty_soon_and_what_has_is_found(company: Company):
    office, kind, today = company.hq, entity("installed_product"), date.today()
    customer, product = office.new("customer", name="甲公司"), office.new("product", code="M", name="绣花机", price="1")
    for serial, days, back in (("早过了", -200, None), ("快了", 20, None), ("还早", 300, None), ("退回的", 20, str(today))):
        until = str(today + timedelta(days=days))
        values = {"customer_id": customer, "product_id": product, "serial": serial, "warranty_until": until, "returned_on": back}
        office.new(kind.key, **values)

    def found(preset: str) -> list[str]:
        with office.store.read() as connection:
            query = tree_query(kind, PRESETS[kind.key][preset].tree, Asking(office.actor))
            return [row["serial"] for row in select(connection, query).rows]

    assert (found("ending"), found("ended")) == (["快了"], ["早过了"])
