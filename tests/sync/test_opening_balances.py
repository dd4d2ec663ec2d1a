"""Two branches enter the same old debt apart: head office is told, and both count until a person says which one is right."""

from __future__ import annotations

from typing import Any

from tests.factories import Company, Installation


def entered(at: Installation, customer: str, amount: str) -> dict[str, Any]:
    made: dict[str, Any] = at.run("sales.enter_opening_balance", customer_id=customer, amount=amount)
    return made


def told(at: Installation) -> list[tuple[str, set[str], str]]:
    conflicts = at.rows("SELECT kind, record, other, kept FROM conflict WHERE deleted = 0 ORDER BY rid")
    return [(kind, {record, other}, kept) for kind, record, other, kept in conflicts]


def test_the_same_opening_balance_from_two_branches_is_told_once(company: Company):
    hq, first, second = company.hq, company.branches["BR01"], company.branches["BR02"]
    mill, shop = hq.new("customer", name="永盛织造厂"), hq.new("customer", name="老客户布行")
    company.exchange()
    here, there = entered(first, mill, "12600.50"), entered(second, mill, "12600.50")
    for at, customer, amount in (
        (first, shop, "300"),
        (second, shop, "301"),
        (first, mill, "80"),
        (first, mill, "80"),
    ):  # two old bills at one branch
        entered(at, customer, amount)

    company.exchange()
    company.exchange()
    assert told(hq) == [("duplicate", {here["id"], there["id"]}, "12600.50")]
    assert told(first) == told(hq)


def test_what_was_reversed_is_not_told_of(company: Company):
    hq, first, second = company.hq, company.branches["BR01"], company.branches["BR02"]
    mill = hq.new("customer", name="永盛织造厂")
    company.exchange()
    wrong = entered(first, mill, "12600.50")
    first.run("sales.reverse_order", order_id=wrong["id"])
    entered(second, mill, "12600.50")
    company.exchange()
    assert told(hq) == []


def test_head_office_is_told_of_its_own_too(company: Company):
    hq, first = company.hq, company.branches["BR01"]
    mill = hq.new("customer", name="永盛织造厂")
    company.exchange()
    here, there = entered(hq, mill, "99"), entered(first, mill, "99")
    company.exchange()
    assert told(hq) == [("duplicate", {here["id"], there["id"]}, "99.00")]
