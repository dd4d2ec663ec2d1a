"""What hangs on a deal: records, quotes, contracts, orders and expenses, from the first word to what is left of the amount."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.domain.sales.deal_money import DealMoney, deal_money
from localcrm.kernel.errors import AppError, NotFound
from tests.factories import Company, Installation


def money(node: Installation, deal: str, actor: Actor | None = None) -> DealMoney:
    with node.store.read() as connection:
        return deal_money(connection, actor or node.actor, deal)


def posted(node: Installation, price: str, **head: Any) -> str:
    product = node.new("product", code=f"P{price}", name="窗帘", price=price, tax_rate="0.13", stocked=False)
    order = node.run("sales.save_order", header=head, lines=[{"product_id": product, "quantity": "1"}])["id"]
    node.run("sales.post_order", order_id=order)
    return str(order)


def test_what_is_written_for_a_deal_takes_customer_and_the_rest_from_it(hq: Installation) -> None:
    customer = hq.new("customer", name="绍兴宏达")
    contact = hq.new("contact", name="周总", customer_id=customer)
    deal = hq.new("opportunity", title="窗帘工程", customer_id=customer, contact_id=contact, amount="80000")
    contract = hq.new("contract", opportunity_id=deal)
    row = hq.get("contract", contract)
    assert [row[key] for key in ("title", "customer_id", "contact_id", "amount")] == ["窗帘工程", customer, contact, "80000.00"]
    order = hq.new("sales_order", contract_id=contract)
    assert [hq.get("sales_order", order)[key] for key in ("opportunity_id", "customer_id")] == [deal, customer]
    activity = hq.new("activity", contract_id=contract, content="谈了付款")
    assert [hq.get("activity", activity)[key] for key in ("opportunity_id", "customer_id")] == [deal, customer]
    expense = hq.new("expense", order_id=order, purpose="送样", amount="50")
    assert [hq.get("expense", expense)[key] for key in ("opportunity_id", "contract_id", "customer_id")] == [deal, contract, customer]
    later = hq.new("sales_order", customer_id=customer)
    hq.set("sales_order", later, contract_id=contract)  # chosen in the head of a draft
    assert hq.get("sales_order", later)["opportunity_id"] == deal
    hq.set("sales_order", later, opportunity_id="")
    assert hq.get("sales_order", later)["opportunity_id"] is None


def test_a_deal_of_another_customer_is_refused_everywhere(hq: Installation) -> None:
    one, other = hq.new("customer", name="甲公司"), hq.new("customer", name="乙公司")
    deal, contract = (hq.new(kind, title="别人的", customer_id=other) for kind in ("opportunity", "contract"))
    for kind, values in (
        ("activity", {"content": "x", "opportunity_id": deal}),
        ("activity", {"content": "x", "contract_id": contract}),
        ("sales_order", {"opportunity_id": deal}),
        ("expense", {"purpose": "x", "amount": "1", "opportunity_id": deal}),
        ("expense", {"purpose": "x", "amount": "1", "contract_id": contract}),
    ):
        with pytest.raises(AppError) as refused:
            hq.new(kind, customer_id=one, **values)
        assert refused.value.code == "another_customer", kind


def test_cost_and_margin_follow_from_what_hangs_on_the_deal(hq: Installation) -> None:
    customer = hq.new("customer", name="绍兴宏达")
    deal, other = (hq.new("opportunity", title=title, customer_id=customer, amount="10000") for title in ("窗帘工程", "另一单"))
    me = hq.actor.user_id
    for amount in ("600.50", "99.50"):
        hq.new("expense", opportunity_id=deal, purpose="送样", amount=amount)
    hq.new("expense", opportunity_id=other, purpose="送样", amount="7777")
    hq.new("project_task", opportunity_id=deal, title="加工", cost="1200")
    first = hq.new("project_task", opportunity_id=deal, title="安装", hours="10", hour_cost="60", user_id=me)
    hq.new("project_task", opportunity_id=deal, title="复检", hours="1.5", user_id=me)  # an hour costs what it cost last
    assert hq.get("project_task", first)["hour_cost"] == "60.00"
    found = money(hq, deal)
    assert found.costs == {"expenses": Decimal(700), "tasks": Decimal(1200), "hours": Decimal(690)}
    assert (found.cost, found.margin, found.percent, found.partly) == (Decimal(2590), Decimal(7410), Decimal("74.1"), False)
    assert money(hq, other).cost == 7777


def test_papers_count_once_they_hold_and_a_reversal_takes_its_order_back(hq: Installation) -> None:
    customer = hq.new("customer", name="绍兴宏达")
    deal = hq.new("opportunity", title="窗帘工程", customer_id=customer, amount="900")
    hq.new("quote", opportunity_id=deal, amount="950", status="sent")
    hq.new("quote", opportunity_id=deal, amount="1000", status="accepted")
    hq.new("contract", opportunity_id=deal, amount="1000", status="signed")
    hq.new("contract", opportunity_id=deal, amount="5", status="cancelled")
    posted(hq, "400", customer_id=customer, opportunity_id=deal)
    wrong = posted(hq, "300", customer_id=customer, opportunity_id=deal)
    assert money(hq, deal).papers == {"quote": 1000, "contract": 1000, "sales_order": 700}
    reversal = hq.run("sales.reverse_order", order_id=wrong)
    assert reversal["opportunity_id"] == deal
    assert money(hq, deal).papers["sales_order"] == 400
    assert money(hq, deal).amount == 1000  # the accepted quote


def test_branch_and_head_office_write_for_the_same_deal_apart(company: Company, hq: Installation) -> None:
    branch = company.branches["BR01"]
    customer = hq.new("customer", name="连锁酒店")
    deal = hq.new("opportunity", title="窗帘工程", customer_id=customer, amount="5000")
    company.exchange()
    hq.new("expense", opportunity_id=deal, purpose="送样", amount="100")
    branch.new("expense", opportunity_id=deal, purpose="安装", amount="250")
    posted(branch, "800", customer_id=customer, opportunity_id=deal)
    branch.new("activity", opportunity_id=deal, content="客户很满意")
    company.exchange()
    for node in company.nodes:
        assert (money(node, deal).cost, money(node, deal).papers["sales_order"]) == (350, 800)
        assert node.value("SELECT count(*) FROM activity WHERE opportunity_id = ?", bytes.fromhex(deal)) == 1


def test_a_visit_by_plan_is_a_record_of_its_deal(hq: Installation) -> None:
    deal = hq.new("opportunity", title="窗帘工程", customer_id=hq.new("customer", name="绍兴宏达"))
    hq.run("crm.win", opportunity_id=deal, reason="price")
    hq.run("crm.start_aftercare", opportunity_id=deal, plan={"title": "保养", "starts_on": str(hq.store.today)})
    assert hq.run("crm.write_visits") == {"visits": 1}
    assert hq.value("SELECT lower(hex(opportunity_id)) FROM activity") == deal


def test_no_cost_and_no_margin_for_who_may_not_see_a_part_of_it(hq: Installation) -> None:
    customer = hq.new("customer", name="绍兴宏达")
    deal = hq.new("opportunity", title="窗帘工程", customer_id=customer, amount="1000")
    hq.new("expense", opportunity_id=deal, purpose="送样", amount="100")
    hq.new("project_task", opportunity_id=deal, title="加工", cost="200")
    hq.new("user", login="lin", name="林晓", password="Haus-und-Hof-42", role="staff")

    def lins() -> DealMoney:
        return money(hq, deal, actor_by_id(hq.store, str(hq.value("SELECT lower(hex(id)) FROM user WHERE login = 'lin'"))))

    assert (lins().cost, lins().margin, lins().percent) == (300, 700, 70)
    hq.run("people.set_field_rule", login="lin", entity="opportunity", field="amount", rule="masked")
    assert (lins().amount, lins().cost, lins().margin) == (None, 300, None)
    hq.run("people.set_field_rule", login="lin", entity="expense", field="amount", rule="hidden")
    assert (lins().costs, lins().cost, lins().margin) == ({"tasks": 200, "hours": 0}, None, None)
    hq.run("people.set_rights", login="lin", entity="opportunity", actions=["read"], scope="own")
    with pytest.raises(NotFound):
        lins()
