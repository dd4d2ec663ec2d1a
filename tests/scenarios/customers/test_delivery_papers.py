"""What goes along with goods and comes back of them: the note, the signature, what was sent of an order, and what came back."""

from __future__ import annotations

import base64
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.policy import Actor, Reach, Rights, floor
from localcrm.domain.roles import BasicRole, FieldRule
from localcrm.domain.sales.delivery_note import Note, note_of
from localcrm.domain.sales.order_money import order_money
from localcrm.domain.sales.signing import signature_of, signer_of
from localcrm.kernel.schema import entity, plain_decimal
from localcrm.store import blobs
from localcrm.store.query import records_by_id
from tests.factories import Company, Installation
from tests.scenarios.customers.test_traps import code


@pytest.fixture
def machine(hq: Installation) -> str:
    return hq.new("product", code="F1", name="绣花机", unit="台", price="1000", cost="600", tax_rate="0.13", warranty_months=12)


@pytest.fixture
def mill(hq: Installation) -> str:
    return hq.new("customer", name="绍兴恒远纺织", phone="0575-8412 3367", address="柯桥轻纺城 3 幢")


def note(node: Installation, delivery: str, actor: Actor | None = None) -> Note:
    with node.store.read() as connection:
        return note_of(connection, actor or node.actor, delivery)


def clerk(node: Installation, **hidden: str) -> Actor:
    """Somebody with the rights of every clerk, but for one field each of some kinds."""
    rules = {kind: {field: FieldRule.HIDDEN} for kind, field in hidden.items()}
    return replace(node.actor, role=BasicRole.STAFF, rights=Rights(floor(BasicRole.STAFF), rules))


def line(node: Installation, delivery: str) -> dict[str, Any]:
    (found,) = node.run("sales.goods", delivery_id=delivery)["lines"]
    return dict(found)


#: One white pixel.
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEANl9ngAAAAABJRU5ErkJggg==")


def test_a_note_goes_along_and_the_receiver_signs_for_what_he_got(hq: Installation, mill: str, machine: str) -> None:
    delivery = hq.new("delivery", order_id=hq.order(mill, machine, quantity="2"), status="shipped", carrier="顺丰")
    sent = line(hq, delivery)
    hq.run("sales.save_goods", delivery_id=delivery, lines=[{"id": sent["id"], "serials": "S2"}])
    told = note(hq, delivery)
    assert told.names["customer_id"] == {mill: "绍兴恒远纺织"}
    assert (told.phone, told.delivery["address"]) == ("0575-8412 3367", "柯桥轻纺城 3 幢")
    assert [(one["code"], plain_decimal(one["quantity"]), one["unit"], one["serials"]) for one in told.lines] == [("F1", "2", "台", "S2")]
    seller = clerk(hq, customer="phone", product="code")
    told = note(hq, delivery, seller)
    assert (told.phone, told.lines[0]["code"], told.lines[0]["unit"]) == ("", "", "台")
    picture = blobs.add(hq.store, "王芳.png", PNG).line

    def sign(**parameters: str) -> Any:
        return hq.run("sales.sign_delivery", **{"delivery_id": delivery, "signature": picture, "received_by": " 王芳 "} | parameters)

    other = blobs.add(hq.store, "x.png", b"<svg onload=alert(1)>").line
    for wrong, fault in (
        ({"received_by": " "}, "required"),
        ({"signature": ""}, "no_signature"),
        ({"signature": f"{picture}\n{other}"}, "no_signature"),
        ({"signature": other}, "not_a_picture"),
        ({"signature": f"{'0' * 64} 70 x.png"}, "file_not_added"),
    ):
        assert code(sign, **wrong) == fault
    sign()
    row = hq.get("delivery", delivery)
    assert [row[key] for key in ("status", "received_by", "signature")] == ["received", "王芳", picture]
    assert row["signed_at"][:10] == row["received_on"] == "2026-11-20"
    assert code(hq.set, "delivery", delivery, signature="") == "not_editable", "a signature is drawn, never typed"

    def say(**values: str) -> None:
        hq.run("sales.save_goods", delivery_id=delivery, lines=[{"id": sent["id"], **values}])

    assert (code(say, quantity="1"), code(hq.run, "sales.save_goods", delivery_id=delivery, lines=[])) == ("signed_for", "signed_for")
    say(serials="S1")
    assert hq.value("SELECT serial FROM installed_product WHERE deleted = 0") == "S1", "a number that was mistyped is still mended"

    elsewhere = hq.new("customer", name="甲公司")
    for key, value in {"received_by": "李四", "received_on": "2026-11-19", "status": "packed", "customer_id": elsewhere}.items():
        assert code(hq.set, "delivery", delivery, **{key: value}) == "signed_for"
    assert code(hq.set, "delivery", delivery, order_id=hq.order(mill, machine)) == "signed_for"
    hq.set("delivery", delivery, carrier="德邦")
    sign(received_by="李四")
    assert hq.get("delivery", delivery)["received_by"] == "李四", "who signs again is another one"
    assert signer_of(hq.get("delivery", delivery)) == "李四"

    assert signature_of(hq.store, hq.get("delivery", delivery)) is not None
    hq.set("delivery", delivery, status="returned")
    hq.set("delivery", delivery, status="received")
    hq.set("delivery", delivery, status="returned")
    assert code(sign) == "came_back"


def test_no_more_is_sent_than_was_ordered_but_for_a_reason(hq: Installation, mill: str, machine: str) -> None:
    gift = hq.new("product", code="G1", name="线轴", price="5", tax_rate="0.13")
    hq.new("warehouse", code="W1", name="主仓")
    order = hq.order(mill, machine, quantity="100")
    first = hq.new("delivery", order_id=order)
    held = line(hq, first)

    def say(quantity: str, **more: str) -> Any:
        return hq.run("sales.save_goods", delivery_id=first, lines=[{"id": held["id"], "quantity": quantity, **more}])

    cut = verbs.act(
        hq.store, hq.actor, "sales.save_goods", {"delivery_id": first, "lines": [{"id": held["id"], "quantity": "60", "batch": "B7"}]}
    )
    assert code(hq.run, "sales.deliver_order", order_id=order) == "not_posted"
    hq.run("sales.post_order", order_id=order)
    second = hq.run("sales.deliver_order", order_id=order)["id"]
    assert code(hq.run, "sales.deliver_order", order_id=order) == "nothing_to_send"
    told = hq.run("sales.goods", delivery_id=second)
    assert (line(hq, second)["quantity"], told["order"][machine]) == ("40", {"name": "绣花机", "ordered": "100", "before": "60"})
    assert code(say, "61") == "over_delivery", "two send at once: the second one loses"
    assert code(hq.run, "admin.undo_action", change=cut.change) == "over_delivery", "nor does the way back lead there"
    hq.run("options.set_company_option", key="over_delivery", value="5%")
    say("65")
    assert (code(say, "66"), code(say, "66", over_reason=" ")) == ("over_delivery", "over_delivery")
    say("66", over_reason="客户要多备一台")
    row = line(hq, first)
    assert [row[key] for key in ("quantity", "batch", "over_reason")] == ["66", "B7", "客户要多备一台"]
    lines = [{"product_id": gift, "quantity": "1"}]
    assert code(hq.run, "sales.save_goods", delivery_id=second, lines=lines) == "over_delivery", "nobody ordered it"
    hq.run("sales.save_goods", delivery_id=second, lines=[{**lines[0], "over_reason": "赠品"}])
    was = verbs.act(hq.store, hq.actor, "records.update_record", {"entity": "delivery", "id": first, "values": {"status": "returned"}})
    third = hq.new("delivery", order_id=order)
    assert line(hq, third)["quantity"] == "100", "what came back is open again"
    hq.delete("delivery", third)
    hq.new("delivery", order_id=order)
    hq.run("sales.save_goods", delivery_id=first, lines=[{"id": held["id"], "over_reason": ""}])
    assert code(hq.run, "admin.undo_action", change=was.change) == "over_delivery"
    hq.run("sales.reverse_order", order_id=order)
    assert code(hq.run, "sales.deliver_order", order_id=order) == "already_reversed"
    assert code(hq.undelete, "delivery", third) == "over_delivery"

    more = hq.new("delivery", order_id=hq.order(mill, machine, quantity="10"), status="shipped")
    goods = [{"product_id": machine, "quantity": "12", "over_reason": "备用"}, {**lines[0], "over_reason": "赠品"}]
    hq.run("sales.save_goods", delivery_id=more, lines=goods)
    lines.append({"product_id": machine, "quantity": "3"})
    instead = hq.run("sales.take_back", delivery_id=more, lines=lines, exchange=True)["replacement"]
    of_gift, of_machine = hq.run("sales.goods", delivery_id=instead)["lines"]
    assert (of_gift["quantity"], of_machine["quantity"]) == ("1", "3"), "what came back goes again, whyever it went"
    again = [{"id": of_gift["id"]}, {"id": of_machine["id"], "quantity": "4"}]
    assert code(hq.run, "sales.save_goods", delivery_id=instead, lines=again) == "over_delivery"


def test_pieces_come_back_and_others_go_in_exchange(company: Company, hq: Installation, mill: str, machine: str) -> None:
    branch = company.branches["BR01"]
    order = hq.order(mill, machine, quantity="5")
    delivery = hq.new("delivery", order_id=order)
    assert code(hq.run, "sales.take_back", delivery_id=delivery, lines=[]) == "not_sent"
    hq.run("sales.save_goods", delivery_id=delivery, lines=[{"id": line(hq, delivery)["id"], "batch": "B7", "serials": "S1 S2 S3"}])
    hq.set("delivery", delivery, status="received", received_by="王芳")
    company.down("BR01")

    def back(node: Installation, quantity: str, serials: str, **more: Any) -> dict[str, Any]:
        lines = [{"product_id": machine, "quantity": quantity, "serials": serials}]
        return dict(node.run("sales.take_back", delivery_id=delivery, lines=lines, **more))

    def standing(node: Installation) -> list[tuple[Any, ...]]:
        return node.rows("SELECT serial, batch, returned_on IS NOT NULL FROM installed_product WHERE deleted = 0 ORDER BY serial")

    for quantity, serials, fault in (
        ("6", "", "over_return"),
        ("1", "S9", "not_of_delivery"),
        ("3", "", "which_pieces"),
        ("0", "", "nothing_back"),
    ):
        assert code(back, branch, quantity, serials) == fault
    made = back(branch, "1", "S2", reason="断线", exchange=True)
    row, instead = branch.get("delivery", made["id"]), made["replacement"]
    assert [row[key] for key in ("status", "returns_id", "customer_id", "remark", "date")] == [
        "returned",
        delivery,
        mill,
        "断线",
        "2026-11-20",
    ]
    assert code(branch.set, "delivery", made["id"], status="packed") == "is_return"
    (left,) = branch.run("sales.returnable", delivery_id=delivery)
    assert (left["sent"], left["left"], left["serials"]) == ("5", "4", ["S1", "S3"])
    assert code(back, branch, "1", "S2") == "not_of_delivery", "it is back already"

    new = line(branch, instead)
    branch.run("sales.save_goods", delivery_id=instead, lines=[{"id": new["id"], "serials": "S8"}])
    branch.set("delivery", instead, status="received")
    assert standing(hq) == [("S1", "B7", 0), ("S2", "B7", 0), ("S3", "B7", 0)], "head office has not heard of it"
    company.up("BR01")
    now = [("S1", "B7", 0), ("S2", "B7", 1), ("S3", "B7", 0), ("S8", None, 0)]
    assert standing(hq) == now
    assert hq.run("sales.goods", delivery_id=hq.new("delivery", order_id=order))["lines"] == [], "five are there again"

    went = line(hq, delivery)["id"]
    for kept in ([], [{"id": went, "serials": "S1 S3"}]):
        assert code(hq.run, "sales.save_goods", delivery_id=delivery, lines=kept) == "came_back_in_part"
    assert code(hq.delete, "delivery_line", went) == "came_back_in_part"

    assert code(branch.delete, "delivery", made["id"]) == "referenced", "something went for it"
    branch.run("sales.save_goods", delivery_id=made["id"], lines=[{"id": line(branch, made["id"])["id"], "serials": "S3"}])
    company.up("BR01")  # the number was misread
    assert [row[2] for row in standing(hq)] == [0, 0, 1, 0]
    again = back(hq, "2", "")["id"]
    assert code(back, hq, "3", "S1 S2") == "over_return", "two of those without a number, one with"
    other = hq.new("delivery", customer_id=mill, status="shipped")
    misread = back(hq, "1", "S1")["id"]
    hq.run("sales.save_goods", delivery_id=other, lines=[{"product_id": machine, "quantity": "2", "serials": "S1 S3"}])
    assert code(hq.delete, "delivery", misread) == "serial_in_use", "it stands elsewhere by now"
    assert code(hq.run, "sales.save_goods", delivery_id=misread, lines=[]) == "serial_in_use"
    assert code(hq.set, "delivery", delivery, status="packed") == "came_back_in_part"
    hq.delete("delivery", again)
    assert hq.run("sales.returnable", delivery_id=delivery)[0]["left"] == "3"
    assert len(standing(hq)) == 6, "sold again it has one record for each time"

    for node, who in ((branch, "李四/门卫"), (hq, "王芳")):
        picture = blobs.add(node.store, "x.png", PNG).line
        signed = node.run("sales.sign_delivery", delivery_id=delivery, signature=picture, received_by=who)
        assert signer_of(signed) == who
    company.up("BR01")
    row = hq.get("delivery", delivery)
    assert (row["received_by"], signer_of(row)) == ("李四/门卫", "王芳"), "a signature keeps its name"


def test_what_is_left_of_an_order_counts_what_goods_cost_when_they_went(hq: Installation, mill: str, machine: str) -> None:
    hq.new("warehouse", code="W1", name="主仓")
    plain = hq.new("product", code="X1", name="线轴", price="11.30", tax_rate="0.13", stocked=False)

    def left(order: str, actor: Actor | None = None) -> Any:
        with hq.store.read() as connection:
            return order_money(connection, actor or hq.actor, records_by_id(connection, entity("sales_order"), [order])[0])

    order, other = hq.order(mill, machine, quantity="2"), hq.order(mill, machine, plain)
    assert left(order) is None, "nothing is left of a draft"
    for one in (order, other):
        hq.run("sales.post_order", order_id=one)
    hq.clock.forward(minutes=5)  # type: ignore[attr-defined]
    hq.set("product", machine, cost="900")
    hq.new("expense", order_id=order, purpose="送货", amount="69.91")
    found = left(order)
    assert (found.net, found.goods, found.expenses) == (Decimal("1769.91"), 1200, Decimal("69.91"))
    assert (found.margin, found.percent) == (500, Decimal("28.3"))
    assert (left(other).margin, left(other).unknown) == (None, 1)
    hq.set("product", plain, cost="4")  # better late than never
    assert left(other).margin == Decimal("894.96") - 604

    assert left(order, clerk(hq)) == left(order)
    for kind, field in (("product", "cost"), ("sales_order", "net"), ("expense", "amount")):
        assert left(order, clerk(hq, **{kind: field})) is None, field
    own = Reach(owners=frozenset({str(hq.actor.user_id)}))
    assert left(order, replace(clerk(hq), rights=Rights({**floor(BasicRole.STAFF), "expense.read": own}))) is None, "too good otherwise"
