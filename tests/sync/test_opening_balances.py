"""Two branches enter the same old debt apart: head office is told, and both count until a person says which one is right."""

from __future__ import annotations

from typing import Any

import pytest

from localcrm.domain.sales.glance import customer_glances
from localcrm.kernel.errors import Refused
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


def unpaid(at: Installation, customer: str) -> str:
    with at.store.read() as connection:
        return f"{customer_glances(connection, at.actor, [customer])[customer].unpaid:.2f}"


def test_a_branch_reverses_its_own_of_the_two_and_head_office_cannot(company: Company):
    hq, first, second = company.hq, company.branches["BR01"], company.branches["BR02"]
    customers = [hq.new("customer", name=name) for name in ("永盛织造厂", "老客户布行", "恒远纺织")]
    company.exchange()
    for at in (first, second):
        for customer in customers:
            entered(at, customer, "500")
    company.exchange()
    company.exchange()
    ids = [pk.hex() for (pk,) in second.rows("SELECT id FROM conflict ORDER BY rid")]
    assert [unpaid(hq, one) for one in customers] == ["1000.00"] * 3
    for at in (hq, first):  # if each place reversed its own, nothing would be owed any more
        with pytest.raises(Refused, match="没有另一个值"):
            at.run("admin.resolve_conflict", id=ids[0], keep="lost")

    second.run("admin.resolve_conflict", id=ids[0], keep="lost")
    done = second.run("admin.settle_conflicts", choices=[{"id": one, "keep": "lost"} for one in ids[1:]])
    assert (done["settled"], done["left"]) == (ids[1:], [])
    company.exchange()
    company.exchange()
    assert [unpaid(at, one) for at in (hq, first, second) for one in customers] == ["500.00"] * 9
    assert hq.rows("SELECT DISTINCT state, resolution FROM conflict") == [("resolved", "lost")]
    assert second.value("SELECT count(*) FROM sales_order WHERE reverses_id IS NOT NULL") == 3


def test_a_branch_keeps_its_own_where_the_other_one_was_reversed_meanwhile(company: Company):
    hq, first, second = company.hq, company.branches["BR01"], company.branches["BR02"]
    mill = hq.new("customer", name="永盛织造厂")
    company.exchange()
    here = entered(first, mill, "500")
    entered(second, mill, "500")
    company.exchange()
    company.exchange()
    first.run("sales.reverse_order", order_id=here["id"])
    company.exchange()
    company.exchange()
    (conflict,) = [pk.hex() for (pk,) in second.rows("SELECT id FROM conflict")]
    with pytest.raises(Refused, match="没有另一个值"):
        second.run("admin.resolve_conflict", id=conflict, keep="lost")
    assert unpaid(second, mill) == "500.00"
