"""A salesperson opens one customer before he calls: what happened, what was paid for what, and how often they buy."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from localcrm.domain.conditions import PRESETS, Asking, tree_query
from localcrm.domain.crm.deals_due import UNDER_WAY
from localcrm.domain.crm.files import customer_files
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.sales.goods import goods_of
from localcrm.domain.sales.rules import Rhythm, rhythm
from localcrm.domain.sales.standing import last_prices, purchase_rhythm
from localcrm.domain.sales.timeline import customer_timeline
from localcrm.kernel.schema import entity
from localcrm.store import blobs
from localcrm.store.query import select
from localcrm.ui.kit.columns import goods_text
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


def test_an_order_says_in_one_line_what_was_sold_for_how_much(office: Installation):
    customer = office.new("customer", name="甲公司")
    products = [office.new("product", code=f"P{n}", name=f"布{n}", price="9.8", tax_rate="0.13", unit="米") for n in range(4)]
    lines = [{"product_id": product, "quantity": str(n + 1)} for n, product in enumerate(products)]
    lines[1]["discount"] = "0.95"
    order = office.run("sales.save_order", header={"customer_id": customer}, lines=lines)["id"]
    empty = office.run("sales.save_order", header={"customer_id": customer}, lines=[])["id"]
    office.new("user", login="lin", name="林晓", password="Haus-und-Hof-42", role="staff")
    office.run("people.set_field_rule", login="lin", entity="sales_order_line", field="price", rule="masked")
    lin = actor_by_id(office.store, office.value("SELECT lower(hex(id)) FROM user WHERE login = 'lin'"))
    with office.store.read() as connection:
        found = goods_of(connection, office.actor, [order, empty])
        assert (list(found), found[order].more) == ([order], 1)
        assert goods_text(found[order]) == "布0 1 米 × 9.80、布1 2 米 × 9.80 · 95%、布2 3 米 × 9.80、另有 1 项"
        assert goods_text(goods_of(connection, lin, [order])[order]).startswith("布0 1 米、布1 2 米 · 95%")


def test_what_is_under_way_is_told_and_what_is_over_is_not(office: Installation):
    customer, other = office.new("customer", name="甲公司"), office.new("customer", name="乙公司")
    today = datetime.date.today()
    deals = [office.new("opportunity", title=title, customer_id=customer) for title in ("谈着", "输了", "做着", "做完了")]
    office.run("crm.lose", opportunity_id=deals[1], reason="dear")
    for deal in deals[2:]:
        office.run("crm.win", opportunity_id=deal, reason="price")
    office.run("crm.start_aftercare", opportunity_id=deals[3])
    office.new("opportunity", title="别家的", customer_id=other)
    days = {"昨天": -1, "今天": 0, "下周": 7, "下月": 40}
    for title, ahead in days.items():
        until = str(today + datetime.timedelta(days=ahead))
        earlier = str(today - datetime.timedelta(days=90))
        office.new("quote", title=title, customer_id=customer, status="sent", date=earlier, valid_until=until)
        office.new("contract", title=title, customer_id=customer, status="signed", ends_on=until)
    office.new("quote", title="草稿", customer_id=customer)
    office.new("contract", title="不定期", customer_id=customer, status="signed")
    office.new("contract", title="草稿", customer_id=customer)

    def found(kind: str, preset: str) -> set[str]:
        wanted = PRESETS[kind][preset].tree if preset in PRESETS[kind] else UNDER_WAY
        tree = {"all": [{"field": "customer_id", "op": "=", "value": customer}, wanted]}
        with office.store.read() as connection:
            return {row["title"] for row in select(connection, tree_query(entity(kind), tree, Asking(office.actor))).rows}

    assert found("opportunity", "open") == {"谈着", "做着"}
    assert found("quote", "unanswered") == set(days)
    assert (found("quote", "ending"), found("quote", "ended")) == ({"今天", "下周"}, {"昨天"})
    assert found("contract", "running") == {"今天", "下周", "下月", "不定期"}
    assert (found("contract", "ending"), found("contract", "ended")) == ({"今天", "下周"}, {"昨天"})


def test_all_files_of_a_customer_are_in_one_place_as_far_as_one_may_see_them(office: Installation):
    licence, plan, photo = (blobs.add(office.store, name, name.encode()) for name in ("执照.pdf", "图纸.pdf", "现场.jpg"))
    customer, other = office.new("customer", name="甲公司", files=licence.line), office.new("customer", name="乙公司")
    office.new("opportunity", title="窗帘工程", customer_id=customer, files=plan.line)
    office.new("activity", customer_id=customer, content="看现场", files=photo.line)
    office.new("activity", customer_id=other, content="别家的", files=photo.line)
    office.new("user", login="lin", name="林晓", password="Haus-und-Hof-42", role="staff")
    office.run("people.set_rights", login="lin", entity="customer", actions=["read"], scope="all")
    office.run("people.set_rights", login="lin", entity="opportunity", actions=["read"], scope="all")
    office.run("people.set_field_rule", login="lin", entity="opportunity", field="files", rule="hidden")
    lin = actor_by_id(office.store, office.value("SELECT lower(hex(id)) FROM user WHERE login = 'lin'"))
    with office.store.read() as connection:
        found = [(one.kind.key, one.files) for one in customer_files(connection, office.actor, customer)]
        assert found == [("customer", licence.line), ("activity", photo.line), ("opportunity", plan.line)]
        assert [one.kind.key for one in customer_files(connection, lin, customer)] == ["customer", "activity"]
