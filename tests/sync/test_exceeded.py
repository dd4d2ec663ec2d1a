"""What each place was right to do adds up to too much: somebody is told, and only where no place could have seen it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from localcrm.domain.admin.entities import BranchHolds
from localcrm.domain.crm.reminders import Reminding, reminders
from localcrm.domain.people.services import actor_by_id
from localcrm.kernel.clock import moment
from localcrm.sync import node_sync
from tests.factories import Company, Installation

KINDS = {"limit", "stopped", "recalled", "short"}


def told(at: Installation, user: str | None = None) -> list[Reminding]:
    """What a user is reminded of that no place would have allowed alone."""
    actor = actor_by_id(at.store, user) if user else at.actor
    with at.store.read() as connection:
        found = reminders(connection, at.store.node, actor, now=moment(at.store.clock), ahead=timedelta(days=7))
    return [one for one in found if one.kind in KINDS]


def kinds(*places: Installation) -> list[list[str]]:
    return [[one.kind for one in told(at)] for at in places]


def posted(at: Installation, customer: str, product: str, quantity: str = "1") -> str:
    order = at.order(customer, product, quantity=quantity)
    at.run("sales.post_order", order_id=order)
    return order


@pytest.fixture
def service(hq: Installation) -> str:
    return hq.new("product", code="S", name="服务", price="100", tax_rate="0", stocked="false")


@pytest.fixture
def cloth(hq: Installation) -> str:
    return hq.new("product", code="P", name="坯布", price="10", tax_rate="0")


@pytest.fixture
def house(hq: Installation) -> str:
    return hq.new("warehouse", code="W", name="中心仓")


@pytest.fixture
def customer(hq: Installation) -> str:
    return hq.new("customer", name="甲公司", credit_limit="150")


def user(hq: Installation, login: str, *, without: str = "") -> str:
    """Somebody who may see everything but one kind of record."""
    made = hq.new("user", login=login, name=login, role="none")
    for kind in sorted({"customer", "sales_order", "receipt", "delivery", "stock_move", "product", "warehouse"} - {without}):
        hq.run("people.set_rights", login=login, entity=kind, actions=["read"], scope="all")
    return made


# the credit limit --------------------------------------------------------------------------------------------------------


def test_orders_posted_apart_that_exceed_the_limit_are_told_until_enough_is_paid(company: Company, hq, one, two, customer, service):
    company.exchange()
    orders = [posted(at, customer, service) for at in (one, two)]
    assert kinds(hq, one, two) == [[], [], []]
    company.exchange()
    assert len(company.digests) == 1
    assert len({one.key for at in company.nodes for one in told(at)}) == 1
    for at in company.nodes:
        (found,) = told(at)
        assert (found.kind, found.title, found.customer) == ("limit", "甲公司", customer)
        assert "BR01店、BR02店" in found.text
        assert "150.00" in found.text
        assert "200.00" in found.text
    hq.run("finance.receive_payment", order_id=orders[0], amount="50")
    assert told(hq) == []


def test_a_limit_that_is_raised_or_an_order_that_is_reversed_ends_it(company: Company, hq, one, customer, service):
    company.exchange()
    orders = [posted(at, customer, service) for at in (hq, one)]
    company.exchange()
    assert kinds(hq, one) == [["limit"], ["limit"]]
    hq.set("customer", customer, credit_limit="200")
    assert told(hq) == []
    one.run("sales.reverse_order", order_id=orders[1])
    assert told(one) == []


def test_who_saw_that_the_limit_is_exceeded_is_not_told_again(company: Company, hq, one, two, customer, service):
    posted(hq, customer, service)
    posted(hq, customer, service)  # one place alone: the order form says so
    assert told(hq) == []
    company.exchange()
    posted(one, customer, service)  # it knows of both
    company.exchange()
    assert kinds(hq, one, two) == [[], [], []]
    other = hq.new("customer", name="乙公司", credit_limit="150")
    company.exchange()
    posted(one, other, service)
    company.exchange()
    posted(two, other, service)  # decided with the first order before the eyes
    company.exchange()
    assert kinds(hq, one, two) == [[], [], []]


def test_who_lowers_the_limit_or_pays_back_knows_what_is_owed(company: Company, hq, one, two, customer, service):
    hq.set("customer", customer, credit_limit="500")
    company.exchange()
    for at in (one, two):
        posted(at, customer, service)
        company.exchange()
    hq.clock.forward(minutes=1)
    hq.set("customer", customer, credit_limit="150")
    company.exchange()
    assert kinds(hq, one, two) == [[], [], []]


def test_a_payment_that_is_taken_back_is_nobodys_oversight(company: Company, hq, one, two, customer, service):
    company.exchange()
    first = posted(one, customer, service)
    company.exchange()
    one.run("finance.receive_payment", order_id=first, amount="100")
    company.exchange()
    posted(two, customer, service)
    company.exchange()
    hq.clock.forward(minutes=1)
    one.run("finance.receive_payment", order_id=first, amount="-100")
    company.exchange()
    assert kinds(hq, one, two) == [[], [], []]


def test_what_one_place_allowed_is_told_once_another_adds_to_it_unseen(company: Company, hq, one, two, customer, service):
    company.exchange()
    posted(one, customer, service, "2")
    posted(two, customer, service)
    company.exchange()
    assert kinds(hq, one, two) == [["limit"]] * 3


def test_without_a_limit_and_at_one_place_alone_nothing_is_told(company: Company, hq, one, two, service):
    without, lowered = hq.new("customer", name="无额度"), hq.new("customer", name="后降低", credit_limit="900")
    company.exchange()
    for at in (one, two):
        posted(at, without, service, "99")
    for _again in range(3):
        posted(hq, lowered, service)
    company.exchange()
    hq.set("customer", lowered, credit_limit="100")
    hq.set("customer", without, credit_limit="100")
    company.exchange()
    assert kinds(hq, one, two) == [[], [], []]


def test_opening_balances_entered_apart_count_too_and_so_do_orders_of_a_customer_that_was_merged(
    company: Company, hq, one, customer, service
):
    twin = hq.new("customer", name="甲公司有限", credit_limit="150")
    company.exchange()
    hq.run("sales.enter_opening_balance", customer_id=twin, amount="80")
    posted(one, twin, service)
    company.exchange()
    assert [[found.customer for found in told(at)] for at in (hq, one)] == [[twin], [twin]]
    hq.run("crm.merge_customers", kept=customer, merged=twin)
    company.exchange()
    assert [[found.customer for found in told(at)] for at in (hq, one)] == [[customer], [customer]]


def test_the_salesperson_of_the_customer_is_told_and_who_may_not_see_money_is_not(company: Company, hq, one, service):
    li = user(hq, "li")
    wu = user(hq, "wu", without="receipt")
    customers = [hq.new("customer", name="客户", owner_id=owner, credit_limit="150") for owner in (li, wu)]
    company.exchange()
    for customer in customers:
        for at in (hq, one):
            posted(at, customer, service)
    company.exchange()
    assert [found.customer for found in told(hq, li)] == [customers[0]]
    assert told(hq, wu) == told(hq) == []
    hq.set("user", li, active=False)
    assert [found.customer for found in told(hq)] == [customers[0]]  # nobody is left: an administrator's


def test_where_a_branch_holds_its_own_only_head_office_is_told(company: Company, hq, one, two, service):
    li = user(hq, "li")
    hq.set("user", li, branch_id=one.store.node.branch_id)
    customer = hq.new("customer", name="甲公司", owner_id=li, credit_limit="150")
    node_sync.set_holds(hq.store, hq.actor, "BR01", BranchHolds.OWN)
    company.exchange()
    for at in (one, two):
        posted(at, customer, service)
    company.exchange()
    assert told(one, li) == []
    assert [found.kind for found in told(hq)] == ["limit"]


def test_what_is_done_with_stays_so_while_the_customer_pays_bit_by_bit(company: Company, hq, one, customer, service):
    company.exchange()
    order = posted(hq, customer, service)
    posted(one, customer, service)
    company.exchange()
    hq.run("crm.settle_reminders", keys=[found.key for found in told(hq)])
    hq.run("finance.receive_payment", order_id=order, amount="10")
    assert told(hq) == []


# a customer no longer dealt with --------------------------------------------------------------------------------------------


def test_an_order_of_a_customer_that_another_place_had_stopped_is_told(company: Company, hq, one, customer, service):
    company.exchange()
    hq.set("customer", customer, inactive=True)
    hq.clock.forward(minutes=1)
    order = posted(one, customer, service)
    company.exchange()
    for at in (hq, one):
        (found,) = told(at)
        assert (found.kind, found.record) == ("stopped", ("sales_order", order))
        assert one.get("sales_order", order)["number"] in found.text
    one.run("sales.reverse_order", order_id=order)
    assert told(one) == []
    hq.set("customer", customer, inactive=False)
    assert told(hq) == []


def test_who_stops_a_customer_that_has_orders_or_finishes_a_draft_is_told_nothing(company: Company, hq, one, customer, service):
    posted(hq, customer, service)
    draft = one.order(one.new("customer", name="乙公司"), one.new("product", code="T", name="运费", price="1", stocked="false"))
    company.exchange()
    hq.clock.forward(minutes=1)
    hq.set("customer", customer, inactive=True)
    hq.set("customer", one.get("sales_order", draft)["customer_id"], inactive=True)
    company.exchange()
    one.run("sales.post_order", order_id=draft)
    company.exchange()
    assert kinds(hq, one) == [[], []]


# goods of an order that was reversed --------------------------------------------------------------------------------------------


@pytest.fixture
def order(hq: Installation, one: Installation, company: Company, customer: str, cloth: str, house: str) -> str:
    hq.new("stock_move", product_id=cloth, warehouse_id=house, quantity="100", type="receipt")
    company.exchange()
    made = posted(one, customer, cloth, "5")
    company.exchange()
    return made


def test_goods_sent_for_an_order_that_its_branch_reversed_meanwhile_are_told_until_they_are_back(company: Company, hq, one, order, cloth):
    delivery = hq.run("sales.deliver_order", order_id=order)["id"]
    one.run("sales.reverse_order", order_id=order)
    company.exchange()
    for at in (hq, one):
        (found,) = told(at)
        assert (found.kind, found.record) == ("recalled", ("delivery", delivery))
        assert "不要发" in found.text
    hq.set("delivery", delivery, status="shipped")
    hq.run("sales.take_back", delivery_id=delivery, lines=[{"product_id": cloth, "quantity": "3"}])
    (found,) = told(hq)
    assert "退回" in found.text
    hq.run("sales.take_back", delivery_id=delivery, lines=[{"product_id": cloth, "quantity": "2"}])
    assert told(hq) == []


def test_a_delivery_that_is_entered_for_another_order_is_no_matter_any_more(company: Company, hq, one, order, customer, cloth):
    delivery = hq.run("sales.deliver_order", order_id=order)["id"]
    one.run("sales.reverse_order", order_id=order)
    again = posted(one, customer, cloth, "5")
    company.exchange()
    assert kinds(hq, one) == [["recalled"], ["recalled"]]
    hq.set("delivery", delivery, order_id=again)
    company.exchange()
    assert kinds(hq, one) == [[], []]


def test_who_reverses_what_he_sent_himself_is_told_nothing(company: Company, hq, one, order):
    one.run("sales.deliver_order", order_id=order)
    one.run("sales.reverse_order", order_id=order)
    company.exchange()
    assert kinds(hq, one) == [[], []]


def test_the_salesperson_of_the_order_is_told_if_he_may_see_deliveries(company: Company, hq, one, customer, cloth, house):
    li, wu = user(hq, "li"), user(hq, "wu", without="delivery")
    company.exchange()
    for owner in (li, wu):
        header = {"customer_id": customer, "owner_id": owner}
        made = one.run("sales.save_order", header=header, lines=[{"product_id": cloth, "quantity": "1"}])["id"]
        one.run("sales.post_order", order_id=made)
        company.exchange()
        hq.run("sales.deliver_order", order_id=made)
        one.run("sales.reverse_order", order_id=made)
    company.exchange()
    assert [[found.kind for found in told(hq, who)] for who in (li, wu, None)] == [["recalled"], [], []]


# stock ------------------------------------------------------------------------------------------------------------------------


def filled(at: Installation, product: str, warehouse: str, quantity: str = "5") -> None:
    at.new("stock_move", product_id=product, warehouse_id=warehouse, quantity=quantity, type="receipt")


@pytest.mark.parametrize("option", ["block", "warn"])
def test_goods_sold_twice_apart_are_told_until_there_are_some_again(company: Company, hq, one, two, cloth, house, option):
    customer = hq.new("customer", name="甲公司")
    hq.run("options.set_company_option", key="negative_stock", value=option)
    filled(hq, cloth, house)
    company.exchange()
    for at in (one, two):
        posted(at, customer, cloth, "5")
    company.exchange()
    for at in company.nodes:
        (found,) = told(at)
        assert (found.kind, found.title, found.record) == ("short", "坯布", ("product", cloth))
        assert "中心仓" in found.text
        assert "-5" in found.text
    filled(hq, cloth, house)
    assert told(hq) == []


def test_who_was_warned_of_stock_below_zero_is_not_told_again(company: Company, hq, one, two, cloth, house):
    customer = hq.new("customer", name="甲公司")
    filled(hq, cloth, house)
    posted(hq, customer, cloth, "6")
    assert told(hq) == []
    company.exchange()
    posted(one, customer, cloth, "1")
    hq.new("stock_move", product_id=cloth, warehouse_id=house, quantity="-1", type="adjust")
    company.exchange()
    assert kinds(hq, one, two) == [[], [], []]


def test_where_the_company_allows_stock_below_zero_nobody_is_told(company: Company, hq, one, two, cloth, house):
    hq.run("options.set_company_option", key="negative_stock", value="allow")
    filled(hq, cloth, house)
    company.exchange()
    for at in (one, two):
        at.new("stock_move", product_id=cloth, warehouse_id=house, quantity="-5", type="adjust")
    company.exchange()
    assert kinds(hq, one, two) == [[], [], []]
    hq.run("options.set_company_option", key="negative_stock", value="warn")
    assert kinds(hq) == [["short"]]


def test_the_salesperson_of_the_last_order_is_told_if_he_may_see_stock(company: Company, hq, one, customer, cloth, house):
    li, wu = user(hq, "li"), user(hq, "wu", without="stock_move")
    for owner, expected in ((li, [["short"], [], []]), (wu, [[], [], []])):
        hq.new("stock_move", product_id=cloth, warehouse_id=house, quantity="10", type="receipt")
        company.exchange()
        for at in (hq, one):
            lines = [{"product_id": cloth, "quantity": "8"}]
            made = at.run("sales.save_order", header={"customer_id": customer, "owner_id": owner}, lines=lines)["id"]
            at.run("sales.post_order", order_id=made)
        company.exchange()
        assert [[found.kind for found in told(hq, who) if found.kind == "short"] for who in (li, wu, None)] == expected
        filled(hq, cloth, house, "6")
