"""One thing done at two places apart: both count until a person says which one is right, and somebody is told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from localcrm.domain.admin import conflicts
from localcrm.domain.crm.reminders import reminders
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import Actor
from localcrm.domain.sales.glance import customer_glances
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import Refused
from localcrm.store import check
from localcrm.ui.conflict_words import Teller
from tests.factories import Company, Installation


def told(at: Installation, actor: Actor | None = None) -> list[str]:
    """What reminds a user of money in excess."""
    with at.store.read() as connection:
        found = reminders(connection, at.store.node, actor or at.actor, now=moment(at.store.clock), ahead=timedelta(days=7))
    return [one.text for one in found if one.kind == "overpaid"]


@pytest.fixture
def service(hq: Installation) -> str:
    return hq.new("product", code="S", name="服务", price="100", tax_rate="0", stocked="false")


@pytest.fixture
def customer(hq: Installation) -> str:
    return hq.new("customer", name="甲公司")


def posted(at: Installation, customer: str, product: str) -> str:
    order = at.order(customer, product)
    at.run("sales.post_order", order_id=order)
    return order


# money in excess ---------------------------------------------------------------------------------------------------------


def test_money_received_for_an_order_that_another_place_reversed_is_told(company: Company, hq, one, customer, service):
    company.exchange()
    order = posted(one, customer, service)
    company.exchange()
    one.run("sales.reverse_order", order_id=order)
    hq.run("finance.receive_payment", order_id=order, amount="100")
    company.exchange()
    for at in (hq, one):
        (text,) = told(at)
        assert "已红冲" in text
        assert "100.00" in text
    one.run("finance.receive_payment", order_id=order, amount="-100")
    company.exchange()
    assert told(hq) == told(one) == []


def test_money_given_back_twice_is_told(company: Company, hq, one, customer, service):
    order = posted(hq, customer, service)
    hq.run("finance.receive_payment", order_id=order, amount="100")
    hq.run("sales.reverse_order", order_id=order)
    credit = hq.run("sales.enter_opening_balance", customer_id=customer, amount="-40")["id"]
    company.exchange()
    for at in (hq, one):
        at.run("finance.receive_payment", order_id=order, amount="-100")
        at.run("finance.receive_payment", order_id=credit, amount="-40")
    company.exchange()
    assert [("100.00" in text, "40.00" in text) for text in sorted(told(hq), key=lambda text: "40.00" in text)] == [
        (True, False),
        (False, True),
    ]
    assert told(one) == told(hq)


def test_who_has_left_is_not_the_one_who_is_told(company: Company, hq, one, service):
    li, wu = (hq.new("user", login=login, name=login, role="staff") for login in ("li", "wu"))
    for login in ("li", "wu"):
        for kind in ("customer", "sales_order", "receipt"):
            hq.run("people.set_rights", login=login, entity=kind, actions=["read"], scope="all")
    customer = hq.new("customer", name="甲公司", owner_id=li)
    header = {"customer_id": customer, "owner_id": li}
    order = hq.run("sales.save_order", header=header, lines=[{"product_id": service, "quantity": "1"}])["id"]
    hq.run("sales.post_order", order_id=order)
    company.exchange()
    hq.run("people.hand_over", login="li", to="wu", disable=True)
    for at in (hq, one):
        at.run("finance.receive_payment", order_id=order, amount="100")
    company.exchange()
    assert len(told(hq, actor_by_id(hq.store, wu))) == 1
    assert told(hq) == []
    hq.set("user", wu, active=False)
    assert len(told(hq)) == 1  # nobody is left: an administrator's


# money and order stay together -------------------------------------------------------------------------------------------


def test_when_a_merge_is_undone_the_money_stays_with_its_order(hq, service):
    first, second = hq.new("customer", name="甲公司"), hq.new("customer", name="乙公司")
    order = posted(hq, first, service)
    hq.run("crm.merge_customers", kept=second, merged=first)
    hq.run("finance.receive_payment", order_id=order, amount="100")
    assert hq.value("SELECT count(*) FROM receipt WHERE customer_id = ?", bytes.fromhex(first)) == 1
    hq.undelete("customer", first)
    assert hq.value("SELECT count(*) FROM receipt r JOIN sales_order o ON o.id = r.order_id AND o.customer_id = r.customer_id") == 1


# a quote, an expense -----------------------------------------------------------------------------------------------------


@pytest.fixture
def quote(hq: Installation, customer: str, service: str) -> str:
    lines = [{"product_id": service, "quantity": "1"}]
    made: str = hq.run("sales.save_quote", header={"customer_id": customer, "title": "年度"}, lines=lines)["id"]
    hq.set("quote", made, status="sent")
    hq.set("quote", made, status="accepted")
    return made


def test_a_quote_ordered_at_two_places_is_told_and_one_is_reversed(company: Company, hq, one, quote):
    company.exchange()
    orders = [at.run("sales.order_from_quote", quote_id=quote)["id"] for at in (hq, one)]
    for at, order in zip((hq, one), orders, strict=True):
        at.run("sales.post_order", order_id=order)
    company.exchange()
    company.exchange()
    (conflict,) = one.conflicts(kind="duplicate")
    assert one.rows("SELECT record, other, field FROM conflict") == [(orders[1], orders[0], "quote_id")]
    with one.store.read() as connection:
        (seen,) = Teller(connection, one.actor, conflicts.find_items(connection, one.actor)[1])
    assert "报价" in seen.reason
    assert seen.item.is_ours
    one.run("admin.resolve_conflict", id=conflict["id"], keep="lost")
    company.exchange()
    assert hq.value("SELECT sum(gross) FROM sales_order WHERE status = 'posted'") == 10000
    assert hq.conflicts(kind="duplicate", state="open") == []


def test_of_two_drafts_of_a_quote_only_one_is_posted(company: Company, hq, one, quote):
    company.exchange()
    orders = [at.run("sales.order_from_quote", quote_id=quote)["id"] for at in (hq, one)]
    company.exchange()
    hq.run("sales.post_order", order_id=orders[0])
    company.exchange()
    with pytest.raises(Refused) as refused:
        one.run("sales.post_order", order_id=orders[1])
    assert refused.value.code == "quote_ordered_elsewhere"
    one.run("records.delete_record", entity="sales_order", id=orders[1])
    company.exchange()
    with hq.store.read() as connection:
        (seen,) = Teller(connection, hq.actor, conflicts.find_items(connection, hq.actor)[1])
    assert "不用" in seen.next_step


def test_an_expense_split_at_two_places_is_told(company: Company, hq, one, customer):
    other = hq.new("customer", name="乙公司")
    expense = hq.new("expense", purpose="出差", amount="100", customer_id=customer)
    company.exchange()
    for at in (hq, one):
        at.run("finance.split_expense", expense_id=expense, customer_ids=[customer, other])
    company.exchange()
    company.exchange()
    (conflict,) = one.conflicts(kind="duplicate")
    assert (conflict["entity"], conflict["kept"]) == ("expense", "50.00")


def test_an_expense_split_again_by_the_same_people_is_told_to_nobody(company: Company, one, customer):
    company.exchange()
    other = one.new("customer", name="乙公司")
    expense = one.new("expense", purpose="出差", amount="100", customer_id=customer)
    for _again in range(2):
        one.run("finance.split_expense", expense_id=expense, customer_ids=[customer, other])
    company.exchange()
    assert company.hq.conflicts() == []


def test_a_contract_renewed_at_two_places_is_told(company: Company, hq, one, customer):
    contract = hq.new("contract", title="年度", customer_id=customer, status="signed")
    company.exchange()
    made = [at.run("sales.renew_contract", contract_id=contract)["id"] for at in (hq, one)]
    company.exchange()
    company.exchange()
    assert one.rows("SELECT entity, record, other, field FROM conflict") == [("contract", made[1], made[0], "previous_id")]


# what is another branch's ------------------------------------------------------------------------------------------------


def test_work_that_is_handed_over_leaves_alone_what_another_branch_writes(company: Company, hq, one, two):
    hq.new("customer", name="甲公司", phone="13800000001")
    hq.new("user", login="wu", name="吴", role="staff")
    company.exchange()
    call = hq.run("calls.start_call", number="13800000001")["id"]
    hq.run("calls.take_call", id=call)
    company.exchange()
    assert one.run("people.hand_over", login="admin", to="wu")["left"] == {"call": 1}
    company.exchange()
    assert [node.value("SELECT count(*) FROM sync_quarantine") for node in company.nodes] == [0, 0, 0]
    assert len(company.digests) == 1


def test_an_opening_balance_is_no_damage(hq, customer):
    order = hq.run("sales.enter_opening_balance", customer_id=customer, amount="12600.50")["id"]
    assert check.check(hq.store)["problems"] == []
    hq.run("sales.reverse_order", order_id=order)
    assert check.check(hq.store)["problems"] == []


# merged here, taken out of the recycle bin there -------------------------------------------------------------------------


def test_a_customer_that_was_merged_and_taken_back_apart_is_one_of_its_own(company: Company, hq, one, service):
    first, second = hq.new("customer", name="甲公司"), hq.new("customer", name="乙公司")
    company.exchange()
    hq.run("crm.merge_customers", kept=second, merged=first)
    hq.clock.forward(minutes=1)
    one.delete("customer", first)
    one.undelete("customer", first)
    company.exchange()
    company.exchange()
    for at in (hq, one):
        assert at.rows("SELECT name FROM customer WHERE deleted = 0 AND merged_into_id IS NULL ORDER BY rid") == [("甲公司",), ("乙公司",)]
        assert at.value("SELECT count(*) FROM customer WHERE merged_into_id IS NOT NULL") == 0
        assert check.check(at.store)["problems"] == []
    with hq.store.read() as connection:
        told_of = [
            each for each in Teller(connection, hq.actor, conflicts.find_items(connection, hq.actor)[1]) if each.item.kind == "merged"
        ]
    assert ["从回收站取回" in each.happened for each in told_of] == [True]
    posted(hq, first, service)
    with hq.store.read() as connection:
        unpaid = {key: glance.unpaid for key, glance in customer_glances(connection, hq.actor, [first, second]).items()}
    assert unpaid == {first: 100, second: 0}


def test_a_customer_taken_apart_stays_so_while_the_other_is_merged_on(company: Company, hq, one):
    first, second, third = (hq.new("customer", name=name) for name in ("甲公司", "乙公司", "丙公司"))
    hq.run("crm.merge_customers", kept=second, merged=first)
    company.exchange()
    one.undelete("customer", first)
    hq.clock.forward(minutes=1)
    hq.run("crm.merge_customers", kept=third, merged=second)
    company.exchange()
    company.exchange()
    assert one.rows("SELECT name FROM customer WHERE deleted = 0 ORDER BY rid") == [("甲公司",), ("丙公司",)]
    assert one.rows("SELECT c.name, m.name FROM customer c JOIN customer m ON m.id = c.merged_into_id") == [("乙公司", "丙公司")]
    assert check.check(one.store)["problems"] == []


# goods taken back twice --------------------------------------------------------------------------------------------------


def test_goods_taken_back_at_two_places_are_sent_again_once(company: Company, hq, one, customer):
    product = hq.new("product", code="P", name="布", price="10", tax_rate="0")
    hq.new("warehouse", code="W", name="仓")
    order = hq.order(customer, product, quantity="5")
    hq.run("sales.post_order", order_id=order)
    delivery = hq.run("sales.deliver_order", order_id=order)["id"]
    hq.set("delivery", delivery, status="shipped")
    company.exchange()
    for at in (hq, one):
        at.run("sales.take_back", delivery_id=delivery, lines=[{"product_id": product, "quantity": "5"}])
    company.exchange()
    assert [line["left"] for line in hq.run("sales.returnable", delivery_id=delivery)] == ["0"]
    again = hq.run("sales.deliver_order", order_id=order)["id"]
    assert [line["quantity"] for line in hq.run("sales.goods", delivery_id=again)["lines"]] == ["5"]
