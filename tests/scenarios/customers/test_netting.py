"""A bookkeeper keeps what is owed to suppliers, and sets it off where a supplier buys from us too; at two places apart as well."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from localcrm.domain.conditions import PRESETS, Asking, tree_query
from localcrm.domain.crm.reminders import reminders
from localcrm.domain.purchase.payables import suppliers_of
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store.query import select
from tests.factories import FIRST_DAY, Company, Installation

TODAY = FIRST_DAY


def day(days: int) -> str:
    return (TODAY + timedelta(days=days)).isoformat()


def account(at: Installation, supplier: str, **span: str) -> dict[str, Any]:
    found: dict[str, Any] = at.run("purchase.statement", supplier_id=supplier, **span)
    return found


def sums(found: dict[str, Any]) -> list[str]:
    return [found[key] for key in ("opening", "billed", "paid", "closing")]


def sold(at: Installation, customer: str, *prices: str) -> list[str]:
    """Posted orders of the customer, one for each price, the first the oldest."""
    product = at.new("product", code="P", name="绣花线", price="1", tax_rate="0", stocked="false")
    orders = []
    for back, price in zip(range(len(prices), 0, -1), prices, strict=True):
        lines = [{"product_id": product, "quantity": "1", "price": price}]
        orders.append(at.run("sales.save_order", header={"customer_id": customer, "date": day(-back)}, lines=lines)["id"])
        at.run("sales.post_order", order_id=orders[-1])
    return orders


def asked(at: Installation, preset: str) -> list[str]:
    kind = entity("supplier")
    with at.store.read() as connection:
        return [row["name"] for row in select(connection, tree_query(kind, PRESETS[kind.key][preset].tree, Asking(at.actor))).rows]


def test_the_account_of_a_supplier_is_added_to_and_never_changed(hq: Installation):
    supplier, account_id = hq.new("supplier", name="永盛织造厂", payment_days="30"), hq.new("account", name="基本户")
    hq.new("supplier_entry", supplier_id=supplier, kind="opening", amount="1000", date=day(-400))
    bill = hq.new("supplier_entry", supplier_id=supplier, amount="300.10", invoice_no="F-1", date=day(-40))
    hq.new("supplier_entry", supplier_id=supplier, amount="50", invoice_no="F-2", date=day(-5))
    paid = hq.new("supplier_entry", supplier_id=supplier, kind="payment", amount="1000.05", method="transfer")

    assert [hq.get("supplier_entry", bill)[key] for key in ("owed", "due_on", "account_id")] == ["300.10", day(-10), None]
    assert [hq.get("supplier_entry", paid)[key] for key in ("owed", "due_on", "account_id")] == ["-1000.05", None, account_id]
    whole = account(hq, supplier)
    assert sums(whole) == ["1000.00", "350.10", "1000.05", "350.05"]
    assert [row["balance"] for row in whole["rows"]] == ["350.05", "1350.10", "1300.10", "1000.00"]
    assert sums(account(hq, supplier, since=day(-10))) == ["1300.10", "50.00", "1000.05", "350.05"]
    assert sums(account(hq, supplier, since=day(-50), until=day(-30))) == ["1000.00", "300.10", "0.00", "1300.10"]
    # F-2 is not due before day 25, so of 350.05 it is not overdue.
    assert [hq.get("supplier", supplier)[key] for key in ("owed", "overdue")] == ["350.05", "300.05"]
    assert asked(hq, "owing") == asked(hq, "overdue") == ["永盛织造厂"]

    for wrong, said in (
        ({"amount": "0"}, "不能为零"),
        ({"amount": "9", "invoice_no": "F-1"}, "已经录入"),
        ({"amount": "9", "kind": "set_off"}, "对冲"),
        ({"amount": "9", "kind": "payment", "method": "set_off"}, "对冲"),
        ({"amount": "9", "kind": "payment", "method": "rebate"}, "返利"),
    ):
        with pytest.raises(AppError, match=said):
            hq.new("supplier_entry", supplier_id=supplier, **wrong)
    with pytest.raises(AppError):
        hq.set("supplier_entry", bill, amount="1")
    hq.run("purchase.reverse_entry", entry_id=bill, remark="单价有误")
    for entry in (bill, account(hq, supplier)["rows"][0]["id"]):
        with pytest.raises(AppError, match="红冲"):
            hq.run("purchase.reverse_entry", entry_id=entry)
    hq.new("supplier_entry", supplier_id=supplier, amount="290", invoice_no="F-1", date=day(0))  # the right one
    assert hq.get("supplier", supplier)["owed"] == "339.95"
    with pytest.raises(AppError, match="供应商往来分录 6"):
        hq.delete("supplier", supplier)


def test_a_supplier_that_buys_from_us_is_found_and_both_debts_are_set_off(hq: Installation):
    supplier = hq.new("supplier", name="绍兴永盛织造有限公司", tax_no="91330600MA28AB12X3")
    customer = hq.new("customer", name="绍兴永盛织造")
    by_tax = hq.new("customer", name="另一个名字", tax_no="91330600MA28AB12X3")
    found = hq.run("purchase.alike_customers", supplier_id=supplier)["rows"]
    assert {row["id"]: row["reasons"] for row in found} == {customer: ["name"], by_tax: ["tax_no"]}
    with pytest.raises(AppError, match="先选择"):
        hq.run("netting.set_off", supplier_id=supplier)
    hq.set("supplier", supplier, customer_id=customer)

    first, second, third = sold(hq, customer, "100", "60", "500")
    hq.run("finance.receive_payment", order_id=first, amount="30.01")
    hq.new("supplier_entry", supplier_id=supplier, amount="200", invoice_no="F-9")
    net = hq.run("netting.net_statement", supplier_id=supplier)
    assert [net[key] for key in ("we_owe", "they_owe", "net", "most")] == ["200.00", "629.99", "-429.99", "200.00"]
    assert [(one["id"], one["open"]) for one in net["orders"]] == [(first, "69.99"), (second, "60.00"), (third, "500.00")]

    with hq.store.read() as connection:
        ((also, owed),) = suppliers_of(connection, hq.actor, customer)
    assert (also["id"], owed and str(owed.balance)) == (supplier, "200.00")
    for parameters in ({"amount": "200.01"}, {"amount": "0"}, {"amount": "-1"}, {"amount": "60.01", "order_ids": [second]}):
        with pytest.raises(AppError) as refused:
            hq.run("netting.set_off", supplier_id=supplier, **parameters)
        assert refused.value.code == "more_than_both"
    done = hq.run("netting.set_off", supplier_id=supplier, amount="100")
    assert [(one["order_id"], one["amount"], one["supplier_entry_id"]) for one in done["receipts"]] == [
        (first, "69.99", done["entry"]["id"]),
        (second, "30.01", done["entry"]["id"]),
    ]
    assert [done["entry"][key] for key in ("kind", "amount", "owed", "customer_id")] == ["set_off", "100.00", "-100.00", customer]
    hq.run("netting.set_off", supplier_id=supplier, order_ids=[third])
    assert [hq.run("netting.net_statement", supplier_id=supplier)[key] for key in ("we_owe", "they_owe", "most")] == [
        "0.00",
        "429.99",
        "0.00",
    ]

    with pytest.raises(AppError, match="两边"):
        hq.run("purchase.reverse_entry", entry_id=done["entry"]["id"])
    hq.run("netting.take_back", entry_id=done["entry"]["id"], remark="协议作废")
    assert [hq.get("sales_order", order)["open"] for order in (first, second, third)] == ["69.99", "60.00", "400.00"]
    assert sums(account(hq, supplier)) == ["0.00", "200.00", "100.00", "100.00"]
    with pytest.raises(AppError, match="红冲"):
        hq.run("netting.take_back", entry_id=done["entry"]["id"])
    with pytest.raises(AppError, match="对冲"):
        hq.run("finance.receive_payment", order_id=third, amount="1", method="set_off")


def test_two_places_that_set_off_one_debt_apart_see_it_and_put_it_right(company: Company, hq: Installation):
    branch = company.branches["BR01"]
    customer = hq.new("customer", name="永盛织造厂")
    supplier = hq.new("supplier", name="永盛织造厂", customer_id=customer)
    (order,) = sold(hq, customer, "100")
    hq.new("supplier_entry", supplier_id=supplier, amount="100", invoice_no="F-1")
    company.exchange("BR01")
    for at in (hq, branch):
        at.run("netting.set_off", supplier_id=supplier)
        at.new("supplier_entry", supplier_id=supplier, amount="7", invoice_no="F-2")  # one invoice, entered at both places
    company.exchange("BR01")

    assert len(company.digests) == 1
    for at in (hq, branch):
        assert [at.get("sales_order", order)[key] for key in ("paid", "received", "open")] == ["more", "200.00", "-100.00"]
        found = account(at, supplier)
        assert sums(found) == ["0.00", "114.00", "200.00", "-86.00"]
        assert [row["invoice_no"] for row in found["rows"] if row["twice"]] == ["F-2", "F-2"]
        assert [(of["billed"], of["paid"]) for of in found["branches"]] == [("7.00", "100.00"), ("107.00", "100.00")]
        assert asked(at, "in_credit") == ["永盛织造厂"]
        assert at.run("netting.net_statement", supplier_id=supplier)["most"] == "0.00"
        with at.store.read() as connection:
            told = [one for one in reminders(connection, at.store.node, at.actor, now=now_utc()) if one.kind == "overpaid"]
        assert [(one.title, one.record) for one in told] == [("永盛织造厂", ("sales_order", order))]
        assert "100.00" in told[0].text

    theirs = next(row for row in account(hq, supplier)["rows"] if row["kind"] == "set_off" and row["branch"] != "HQ店")
    with pytest.raises(AppError, match="其他分支"):
        hq.run("netting.take_back", entry_id=theirs["id"])
    branch.run("netting.take_back", entry_id=theirs["id"])
    company.exchange("BR01")
    for at in (hq, branch):
        assert [at.get("sales_order", order)[key] for key in ("paid", "open")] == ["all", "0.00"]
        with at.store.read() as connection:
            assert "overpaid" not in {one.kind for one in reminders(connection, at.store.node, at.actor, now=now_utc())}
