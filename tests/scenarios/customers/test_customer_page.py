"""A salesperson opens one customer before he calls: what happened, what was paid for what, and how often they buy."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from localcrm.domain.sales.rules import Rhythm, rhythm
from localcrm.domain.sales.standing import last_prices, purchase_rhythm
from localcrm.domain.sales.timeline import customer_timeline
from tests.factories import Installation, copy_company

TODAY = datetime.date(2026, 11, 20)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Installation]:
    company = copy_company(tmp_path)
    yield company.hq
    company.close()


def day(number: int) -> datetime.date:
    return TODAY - datetime.timedelta(days=number)


def test_three_days_of_buying_make_a_rhythm_and_two_do_not():
    assert rhythm([day(51), day(85), day(119)], TODAY) == Rhythm(every=34, since=51)
    assert rhythm([day(51), day(85)], TODAY) is None


def test_before_calling_one_reads_what_happened_what_was_paid_and_how_often_they_buy(office: Installation):
    customer = office.new("customer", name="绍兴恒远纺织品有限公司")
    cloth, yarn = (office.new("product", code=code, name=name, price="9") for code, name in (("C", "坯布"), ("Y", "纱线")))
    warehouse = office.new("warehouse", code="W", name="仓库")
    for number, product, price in ((119, cloth, "8.50"), (85, yarn, "20"), (51, cloth, "8.80")):
        lines = [{"product_id": product, "quantity": "2", "price": price}]
        head = {"customer_id": customer, "date": day(number).isoformat(), "warehouse_id": warehouse}
        order = office.run("sales.save_order", header=head, lines=lines)["id"]
        office.run("sales.post_order", order_id=order)
    office.run("finance.receive_payment", order_id=order, amount="10", date=day(50).isoformat())
    office.new("activity", customer_id=customer, content="约了下周看样", at=f"{day(3)}T02:00:00Z")
    office.new("activity", customer_id=customer, content="先打了电话", at=f"{day(3)}T01:00:00Z")

    with office.store.read() as connection:
        events = customer_timeline(connection, office.actor, customer)
        told = [
            (event.kind.key, event.day, event.record.get("content") or event.record.get("gross") or event.record["amount"])
            for event in events
        ]
        assert told == [
            ("activity", day(3), "约了下周看样"),
            ("activity", day(3), "先打了电话"),
            ("receipt", day(50), Decimal("10.00")),
            ("sales_order", day(51), Decimal("17.60")),
            ("sales_order", day(85), Decimal("40.00")),
            ("sales_order", day(119), Decimal("17.00")),
        ]
        assert [event.day for event in customer_timeline(connection, office.actor, customer, limit=2)] == [day(3), day(3)]
        prices = [(one.product, one.price, one.day) for one in last_prices(connection, office.actor, customer)]
        assert prices == [("坯布", Decimal("8.8"), day(51)), ("纱线", Decimal(20), day(85))]
        assert purchase_rhythm(connection, office.actor, customer, TODAY) == Rhythm(every=34, since=51)


def test_a_reversed_order_is_no_price_and_no_rhythm(office: Installation):
    customer = office.new("customer", name="甲公司")
    product, warehouse = office.new("product", code="C", name="坯布", price="9"), office.new("warehouse", code="W", name="仓库")
    for number in (90, 60, 30):
        lines = [{"product_id": product, "quantity": "1", "price": str(number)}]
        head = {"customer_id": customer, "date": day(number).isoformat(), "warehouse_id": warehouse}
        order = office.run("sales.save_order", header=head, lines=lines)["id"]
        office.run("sales.post_order", order_id=order)
    office.run("sales.reverse_order", order_id=order)
    with office.store.read() as connection:
        assert [one.price for one in last_prices(connection, office.actor, customer)] == [Decimal(60)]
        assert purchase_rhythm(connection, office.actor, customer, TODAY) is None
