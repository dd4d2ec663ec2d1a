"""A buyer keeps suppliers and their prices, and asks who is cheapest today."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from localcrm.domain.purchase.rules import price_for
from localcrm.kernel.errors import AppError
from tests.factories import Company, Installation, copy_company

TODAY = date.today()


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    company = copy_company(tmp_path)
    yield company
    company.close()


@pytest.fixture
def office(company: Company) -> Installation:
    return company.hq


def step(quantity: str, price: str, until: date | None = None) -> dict[str, object]:
    return {"from_quantity": Decimal(quantity), "price": Decimal(price), "until": until}


def test_the_largest_step_that_is_reached_and_still_valid_counts():
    scale = [step("0", "10"), step("100", "9"), step("500", "7", TODAY - timedelta(days=1))]
    assert [(price_for(scale, Decimal(n), TODAY) or {}).get("price") for n in (1, 100, 600)] == [10, 9, 9]
    assert price_for([step("50", "9")], Decimal(49), TODAY) is None


def test_a_buyer_compares_what_suppliers_ask_for_a_quantity(office: Installation):
    cloth = office.new("product", code="C", name="坯布", price="12")
    near = office.new("supplier", name="绍兴永盛织造厂", rating="a")
    far = office.new("supplier", name="南通海门纺织", rating="b")
    assert office.get("supplier", near)["number"] == "V-HQ-000001"
    office.new("supplier_price", supplier_id=near, product_id=cloth, price="9.5", lead_days="3")
    office.new("supplier_price", supplier_id=far, product_id=cloth, price="9.8", lead_days="10")
    office.new("supplier_price", supplier_id=far, product_id=cloth, from_quantity="500", price="8.9", lead_days="12")

    few = office.run("purchase.compare_prices", product_id=cloth, quantity="10")["rows"]
    many = office.run("purchase.compare_prices", product_id=cloth, quantity="500")["rows"]
    assert [(row["supplier"], row["price"], row["amount"]) for row in few] == [
        ("绍兴永盛织造厂", "9.500000", "95.00"),
        ("南通海门纺织", "9.800000", "98.00"),
    ]
    assert [(row["supplier"], row["lead_days"]) for row in many] == [("南通海门纺织", 12), ("绍兴永盛织造厂", 3)]
    whole = office.new("supplier", name="吴江整批发")
    office.new("supplier_price", supplier_id=whole, product_id=cloth, from_quantity="200", price="1")
    few = office.run("purchase.compare_prices", product_id=cloth, quantity="10")["rows"]
    assert [(row["supplier"], row["too_few"], row["amount"]) for row in few][1:] == [
        ("南通海门纺织", False, "98.00"),
        ("吴江整批发", True, "200.00"),
    ]
    with pytest.raises(AppError, match="数量必须大于 0"):
        office.run("purchase.compare_prices", product_id=cloth, quantity="0")


def test_a_supplier_asks_one_price_from_one_quantity_on(office: Installation):
    cloth, supplier = office.new("product", code="C", name="坯布", price="12"), office.new("supplier", name="永盛")
    office.new("supplier_price", supplier_id=supplier, product_id=cloth, price="9")
    with pytest.raises(AppError, match="已经有价格"):
        office.new("supplier_price", supplier_id=supplier, product_id=cloth, price="8")
    office.new("supplier_price", supplier_id=supplier, product_id=cloth, from_quantity="10", price="8")


def test_a_supplier_in_use_is_not_deleted_and_prices_of_one_that_went_are_not_offered(office: Installation):
    cloth, supplier = office.new("product", code="C", name="坯布", price="12"), office.new("supplier", name="永盛")
    price = office.new("supplier_price", supplier_id=supplier, product_id=cloth, price="9")
    with pytest.raises(AppError) as refused:
        office.delete("supplier", supplier)
    assert refused.value.code == "referenced"
    office.delete("supplier_price", price)
    assert office.run("purchase.compare_prices", product_id=cloth)["rows"] == []
    office.delete("supplier", supplier)


def test_a_branch_and_head_office_change_one_supplier_apart_and_nothing_is_lost(company: Company):
    office, branch = company.hq, company.branches["BR01"]
    supplier = office.new("supplier", name="永盛", phone="1")
    company.exchange()
    office.set("supplier", supplier, rating="a")
    branch.set("supplier", supplier, contact="老周")
    company.exchange()
    company.exchange()
    for node in (office, branch):
        assert [node.get("supplier", supplier)[key] for key in ("rating", "contact", "phone")] == ["a", "老周", "1"]
    assert office.digest == branch.digest
