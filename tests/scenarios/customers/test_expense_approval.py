"""What a salesperson spends above an amount waits for head office, and counts once it was approved; and one expense borne by several customers."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.approvals.inbox import inbox
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.sales.deal_money import deal_money
from localcrm.kernel.errors import AppError
from tests.factories import Company, Installation

BIG = [{"fact": "amount", "op": "at_least", "value": "1000"}]


def as_(at: Installation, user: str, verb: str, **parameters: Any) -> Any:
    actor = actor_by_id(at.store, user)
    assert actor is not None
    return verbs.run(at.store, actor, verb, parameters)


def spend(at: Installation, user: str, **values: Any) -> str:
    return str(as_(at, user, "records.create_record", entity="expense", values={"purpose": "展会", **values})["id"])


def ask_above_a_thousand(at: Installation) -> None:
    values = {"name": "大额费用", "entity": "expense", "conditions": json.dumps(BIG), "steps": '[{"who": "superior"}]'}
    at.run("records.create_record", entity="approval_flow", values=values)


def cost(at: Installation, deal: str) -> Decimal:
    with at.store.read() as connection:
        return deal_money(connection, at.actor, deal).costs["expenses"]


def test_an_expense_above_an_amount_waits_for_head_office_and_counts_once_approved(company: Company, hq: Installation):
    branch = company.branches["BR01"]
    boss = hq.new("user", login="boss", name="张总", role="staff")
    lin = hq.new("user", login="lin", name="林晓", role="staff", superior_id=boss)
    ask_above_a_thousand(hq)
    customer = hq.new("customer", name="甲公司")
    deal = hq.new("opportunity", title="秋季订货", customer_id=customer)
    company.exchange("BR01")

    small = spend(branch, lin, customer_id=customer, opportunity_id=deal, amount="999.99")
    big = spend(branch, lin, customer_id=customer, opportunity_id=deal, amount="1200")
    assert [branch.get("expense", one).get("approval") for one in (small, big)] == [None, "needed"]
    with pytest.raises(AppError, match="不需要审批"):
        as_(branch, lin, "approvals.submit", entity="expense", id=small)
    assert as_(branch, lin, "approvals.submit", entity="expense", id=big)["asked"] == ["张总"]
    for change in ({"amount": "1"}, {"purpose": "别的"}):
        with pytest.raises(AppError, match="正在审批"):
            as_(branch, lin, "records.update_record", entity="expense", id=big, values=change)
    with pytest.raises(AppError, match="正在审批"):
        as_(branch, lin, "records.delete_record", entity="expense", id=big)
    assert cost(branch, deal) == Decimal("999.99")

    company.exchange("BR01")
    with hq.store.read() as connection:
        actor = actor_by_id(hq.store, boss)
        assert actor is not None
        (entry,) = inbox(connection, actor, box="waiting")
    assert entry.title == "展会 · 1,200.00"
    as_(hq, boss, "approvals.approve", request_id=entry.request.record["id"])
    company.exchange("BR01")
    for at in (hq, branch):
        told = at.get("expense", big)
        assert (told["approval"], told["decided"].partition(" ")[0], cost(at, deal)) == ("approved", "张总", Decimal("2199.99"))
    assert len(company.digests) == 1
    as_(branch, lin, "records.update_record", entity="expense", id=big, values={"amount": "5000"})
    assert (branch.get("expense", big)["approval"], cost(branch, deal)) == ("needed", Decimal("999.99"))


def test_one_expense_is_borne_by_several_customers_and_comes_to_the_same(hq: Installation):
    boss = hq.new("user", login="boss", name="张总", role="staff")
    hq.set("user", str(hq.actor.user_id), superior_id=boss)
    ask_above_a_thousand(hq)
    customers = [hq.new("customer", name=name) for name in ("甲公司", "乙公司", "丙公司")]
    order = hq.order(customers[1], hq.new("product", code="P", name="绣花线", price="1", stocked="false"))
    dinner = hq.new("expense", order_id=order, amount="1000", tax="56.61", purpose="展会餐费", invoice_no="F-7", type="hospitality")
    parts = hq.run("finance.split_expense", expense_id=dinner, customer_ids=customers)["expenses"]
    assert [(part["customer_id"], part["amount"], part["tax"]) for part in parts] == [
        (customers[0], "333.34", "18.87"),
        (customers[1], "333.33", "18.87"),
        (customers[2], "333.33", "18.87"),
    ]
    assert {(part["invoice_no"], part["type"], part["date"]) for part in parts} == {("F-7", "hospitality", parts[0]["date"])}
    assert [part["split_of_id"] for part in parts] == [None, dinner, dinner]
    assert parts[0]["order_id"] is None  # it was for another customer
    # A part is under the limit; all of it is not.
    assert [hq.get("expense", part["id"])["approval"] for part in parts] == ["needed"] * 3

    for wrong in (
        {"customer_ids": customers[:1]},
        {"customer_ids": customers[:2], "amounts": ["300", "33.33"]},
        {"customer_ids": customers[:2], "amounts": ["333.35", "-0.01"]},
    ):
        with pytest.raises(AppError):
            hq.run("finance.split_expense", expense_id=dinner, **wrong)
    again = hq.run("finance.split_expense", expense_id=dinner, customer_ids=customers[:2], amounts=["300", "33.34"])["expenses"]
    assert [part["amount"] for part in again] == ["300.00", "33.34"]
