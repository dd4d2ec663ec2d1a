"""What leaves with a serial number stands at the customer: made by the delivery, mended with it, in whichever branch it happens."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from localcrm.domain.conditions import PRESETS, Asking, tree_query
from localcrm.domain.sales.consumables import consumable_of
from localcrm.domain.sales.entities import InstalledProduct
from localcrm.domain.sales.installed import months_after
from localcrm.domain.sales.serials import read_serials
from localcrm.domain.service.pieces import life_of
from localcrm.kernel.clock import moment
from localcrm.store.query import select
from localcrm.ui.customer.piece import offered
from localcrm.ui.sessions import Session
from tests.factories import Company, Installation
from tests.scenarios.customers.test_traps import code

_INSTALLED = InstalledProduct.entity_type


@pytest.fixture
def machine(hq: Installation) -> str:
    return hq.new("product", code="F1", name="绣花机", price="1000", tax_rate="0.13", warranty_months=18)


@pytest.fixture
def mill(hq: Installation) -> str:
    return hq.new("customer", name="绍兴恒远纺织")


def standing(node: Installation, *keys: str) -> list[tuple[Any, ...]]:
    """Live products in use in the order of their serial numbers."""
    rows = node.rows("SELECT lower(hex(id)) FROM installed_product WHERE deleted = 0 ORDER BY serial")
    found = [node.get("installed_product", identity) for (identity,) in rows]
    return [tuple(row[key] for key in ("serial", *keys)) for row in found]


def test_serial_numbers_are_read_as_they_are_scanned_and_a_months_afters_with_its_month() -> None:
    assert read_serials(" A1\nA2,A3；A4、 A5 ") == ["A1", "A2", "A3", "A4", "A5"]
    ends = [str(months_after(date(*day), months)) for day, months in (((2026, 8, 31), 18), ((2026, 12, 1), 12), ((2026, 1, 31), 1))]
    assert ends == ["2028-02-29", "2027-12-01", "2026-02-28"]
    assert months_after(date(2026, 1, 1), None) is None


def test_a_delivery_brings_what_it_leaves_and_takes_it_back(hq: Installation, mill: str, machine: str) -> None:
    order = hq.order(mill, machine, quantity="3")
    delivery = hq.new("delivery", order_id=order)
    (line,) = hq.run("sales.goods", delivery_id=delivery)["lines"]
    assert (line["product_id"], line["quantity"], line["description"]) == (machine, "3", "绣花机")

    def scan(serials: str) -> None:
        hq.run("sales.save_goods", delivery_id=delivery, lines=[{"id": line["id"], "serials": serials}])

    scan("S1 S2")
    assert standing(hq) == [], "it is still here"
    hq.set("delivery", delivery, status="shipped", date="2026-11-20")
    assert standing(hq, "customer_id", "sold_on", "warranty_until") == [(one, mill, "2026-11-20", "2028-05-20") for one in ("S1", "S2")]
    before = hq.rows("SELECT id, version FROM installed_product")
    hq.set("delivery", delivery, status="received", received_by="王芳")
    hq.set("delivery", delivery, carrier="顺丰")
    assert hq.rows("SELECT id, version FROM installed_product") == before, "once is enough"
    scan("S1 S3")
    assert standing(hq) == [("S1",), ("S3",)]
    first = hq.value("SELECT lower(hex(id)) FROM installed_product WHERE serial = 'S1'")
    hq.set("installed_product", first, warranty_until="2030-01-01")
    hq.set("delivery", delivery, date="2026-11-22", received_on="2026-11-23")
    assert standing(hq, "sold_on", "warranty_until") == [("S1", "2026-11-22", "2030-01-01"), ("S3", "2026-11-22", "2028-05-22")]
    rest = hq.new("delivery", order_id=order)
    assert hq.run("sales.goods", delivery_id=rest)["lines"] == [], "everything has gone"

    hq.set("delivery", delivery, status="returned")
    assert [bool(back) for _serial, back in standing(hq, "returned_on")] == [True, True]
    hq.set("delivery", delivery, status="received")
    assert standing(hq, "returned_on") == [("S1", None), ("S3", None)]
    assert code(hq.delete, "delivery", delivery) == "referenced", "what stands at a customer came from somewhere"
    hq.set("delivery", delivery, status="packed")
    assert standing(hq) == []
    hq.delete("delivery", delivery)
    hq.undelete("delivery", delivery)
    hq.set("delivery", delivery, status="shipped")
    assert standing(hq, "warranty_until") == [("S1", "2030-01-01"), ("S3", "2028-05-22")]
    assert hq.value("SELECT count(*) FROM installed_product") == 3


def test_one_piece_stands_at_one_customer(hq: Installation, mill: str, machine: str) -> None:
    by_hand = hq.new("installed_product", customer_id=mill, product_id=machine, serial="S1")

    def send(customer: str, serials: str, quantity: str = "2") -> str:
        delivery = hq.new("delivery", customer_id=customer, status="shipped")
        lines = [{"product_id": machine, "quantity": quantity, "serials": serials}]
        hq.run("sales.save_goods", delivery_id=delivery, lines=lines)
        return delivery

    sent = send(mill, "S1 S2")
    assert hq.get("installed_product", by_hand)["delivery_id"] == sent, "entered before, and the same piece"
    assert standing(hq) == [("S1",), ("S2",)]
    other = hq.new("customer", name="甲公司")
    for serials, fault in (("S1", "serial_in_use"), ("S3 S3", "serial_twice"), ("S3 S4 S5", "more_serials")):
        assert code(send, other, serials) == fault
    hq.set("installed_product", hq.value("SELECT lower(hex(id)) FROM installed_product WHERE serial = 'S2'"), returned_on="2026-11-19")
    send(other, "S2", "1")
    hq.set("delivery", sent, tracking_no="SF1")

    def at() -> list[tuple[Any, ...]]:
        return [row[:2] for row in standing(hq, "customer_id", "returned_on") if row[2] is None]

    assert at() == [("S1", mill), ("S2", other)], "what somebody noted by hand stays"
    hq.set("delivery", sent, status="returned")
    hq.set("delivery", sent, status="received")
    assert at() == [("S1", mill), ("S2", other)]
    hq.set("delivery", sent, status="returned")
    send(other, "S1", "1")
    assert at() == [("S1", other), ("S2", other)]
    assert code(hq.set, "delivery", sent, status="received") == "serial_in_use"


def test_a_delivery_confirmed_elsewhere_leaves_each_piece_once(company: Company, hq: Installation, mill: str, machine: str) -> None:
    branch = company.branches["BR01"]
    company.exchange()
    delivery = branch.new("delivery", customer_id=mill)
    branch.run("sales.save_goods", delivery_id=delivery, lines=[{"product_id": machine, "quantity": "1", "serials": "S1"}])
    company.exchange()
    assert code(hq.run, "sales.save_goods", delivery_id=delivery, lines=[]) == "other_branch"
    hq.set("delivery", delivery, status="received")
    assert standing(hq) == [], "the branch that sent it writes it down"
    branch.set("delivery", delivery, status="shipped")
    company.exchange()
    assert [standing(node) for node in company.nodes] == [[("S1",)], [("S1",)]]
    lines = [{"product_id": machine, "quantity": "1", "serials": "S1"}]
    back = hq.run("sales.take_back", delivery_id=delivery, lines=lines)["id"]
    company.exchange()
    assert [bool(row[1]) for node in company.nodes for row in standing(node, "returned_on")] == [True, True]
    again = hq.new("delivery", customer_id=hq.new("customer", name="甲公司"), status="shipped")
    hq.run("sales.save_goods", delivery_id=again, lines=lines)
    assert code(hq.delete, "delivery", back) == "serial_in_use", "here it stands elsewhere, whatever is written down there"
    hq.set("delivery", again, status="packed")
    hq.delete("delivery", back)
    hq.set("delivery", delivery, status="returned")
    company.exchange()
    assert [bool(row[1]) for node in company.nodes for row in standing(node, "returned_on")] == [True, True]
    assert len(company.digests) == 1


def test_a_consumable_falls_due_again_and_again_and_the_life_of_a_piece_stands_in_one_place(hq: Installation, mill: str) -> None:
    today = moment(hq.store.clock).astimezone().date()
    needles = hq.new("product", code="N1", name="机针", price="12", tax_rate="0.13")
    machine = hq.new("product", code="F2", name="绣花机", price="1000", consumable_id=needles, consumable_months=3)
    piece = {"customer_id": mill, "product_id": machine}
    worn = hq.new("installed_product", **piece, serial="W1", sold_on=str(today - timedelta(days=100)))
    fresh = hq.new("installed_product", **piece, serial="W2", sold_on=str(today))
    hq.new("installed_product", **piece, serial="W3", consumable_on=str(today), returned_on=str(today))
    due = date.fromisoformat(hq.get("installed_product", worn)["consumable_on"])
    assert due == months_after(today - timedelta(days=100), 3)

    def told() -> list[tuple[str, str]]:
        rows = hq.run("crm.list_reminders")["rows"]
        return [(row["title"], row["text"]) for row in rows if row["kind"] == "consumable"]

    def listed(preset: str) -> list[str]:
        with hq.store.read() as connection:
            query = tree_query(_INSTALLED, PRESETS[_INSTALLED.key][preset].tree, Asking(hq.actor))
            return [row["serial"] for row in select(connection, query).rows]

    assert (told(), listed("consumable"), listed("consumable_mine")) == ([("绍兴恒远纺织", "绣花机 W1")], ["W1"], ["W1"])
    hq.run("sales.supply_consumable", installed_id=worn)
    assert hq.get("installed_product", worn)["consumable_on"] == str(months_after(today, 3))
    assert (told(), listed("consumable"), listed("consumable_mine")) == ([], [], [])
    session = cast(Session, SimpleNamespace(may=lambda _permission: True))
    with hq.store.read() as connection:
        told_of = [{deed.id for deed in offered(session, consumable_of(connection, hq.actor, one))} for one in (machine, needles)]
    assert told_of[0] - told_of[1] == {"quote-consumable", "supplied"}, "of what has one"
    assert told_of[1] == {deed.id for deed in offered(session)}, "and where it is not known"
    hq.set("installed_product", fresh, product_id=needles)
    assert code(hq.run, "sales.supply_consumable", installed_id=fresh) == "no_consumable"

    ticket = hq.new("ticket", customer_id=mill, title="断针", installed_id=worn)
    hq.new("ticket", customer_id=mill, title="别的事")
    hq.run("service.add_remark", ticket_id=ticket, text="上门看过", kind="visit")
    hq.run("service.add_remark", ticket_id=ticket, text="等配件")
    with hq.store.read() as connection:
        life = life_of(connection, hq.actor, worn)
    assert ([row["title"] for row in life.tickets], [row["text"] for row in life.visits], life.parts) == (["断针"], ["上门看过"], [])
