"""What goes along with goods and comes back of them: the note, the signature, what was sent of an order, and what came back."""

from __future__ import annotations

from typing import Any

import pytest

from localcrm.domain.policy import Actor
from localcrm.domain.sales.delivery_note import Note, note_of
from localcrm.kernel.schema import plain_decimal
from tests.factories import Installation


@pytest.fixture
def machine(hq: Installation) -> str:
    return hq.new("product", code="F1", name="绣花机", unit="台", price="1000", cost="600", tax_rate="0.13", warranty_months=12)


@pytest.fixture
def mill(hq: Installation) -> str:
    return hq.new("customer", name="绍兴恒远纺织", phone="0575-8412 3367", address="柯桥轻纺城 3 幢")


def note(node: Installation, delivery: str, actor: Actor | None = None) -> Note:
    with node.store.read() as connection:
        return note_of(connection, actor or node.actor, delivery)


def line(node: Installation, delivery: str) -> dict[str, Any]:
    (found,) = node.run("sales.goods", delivery_id=delivery)["lines"]
    return dict(found)


def test_a_note_says_from_whom_to_whom_and_what(hq: Installation, mill: str, machine: str) -> None:
    order = hq.order(mill, machine, quantity="3")
    delivery = hq.new("delivery", order_id=order, carrier="顺丰", tracking_no="SF1")
    hq.run("sales.save_goods", delivery_id=delivery, lines=[{"id": line(hq, delivery)["id"], "serials": "S1 S2"}])
    found = note(hq, delivery)
    assert found.names["customer_id"] == {mill: "绍兴恒远纺织"}
    assert (found.phone, found.delivery["address"]) == ("0575-8412 3367", "柯桥轻纺城 3 幢")
    assert [(one["code"], plain_decimal(one["quantity"]), one["unit"], one["serials"]) for one in found.lines] == [
        ("F1", "3", "台", "S1\nS2")
    ]
