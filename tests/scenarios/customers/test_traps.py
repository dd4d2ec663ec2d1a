"""What goes wrong in a trading company sooner or later, each once through the verbs: the numbers are those of the list of traps."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.crm.custody import owner_at
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.policy import view
from localcrm.domain.sales.glance import customer_glances
from localcrm.domain.sales.rules import price_for
from localcrm.kernel.attachments import Attachment, read_attachments, write_attachments
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import AppError, StaleRecord
from localcrm.kernel.schema import entity
from localcrm.reports.export import write_table
from localcrm.store import blobs
from localcrm.store.query import ListQuery, record_json, select
from localcrm.store.store import open_store
from tests.factories import Company, HandClock, Installation, copy_company


def prepare(company: Company) -> None:
    hq = company.hq
    hq.new("warehouse", code="W1", name="主仓")
    hq.new("product", code="P1", name="坯布", unit="米", price="10", tax_rate="0.13", stocked=False)
    company.exchange()


@pytest.fixture
def hq(tmp_path: Path) -> Iterator[Installation]:
    company = copy_company(tmp_path, branches=1, name="易错", prepare=prepare)
    yield company.hq
    company.close()


def code(call: Any, *args: Any, **parameters: Any) -> str:
    with pytest.raises(AppError) as found:
        call(*args, **parameters)
    return found.value.code


def sold(node: Installation, customer: str, *, quantity: str = "10") -> str:
    order = node.order(customer, node.value("SELECT lower(hex(id)) FROM product"), quantity=quantity)
    node.run("sales.post_order", order_id=order)
    return order


def unpaid(node: Installation, customer: str) -> Decimal | None:
    with node.store.read() as connection:
        return customer_glances(connection, node.actor, [customer])[customer].unpaid


def test_8_an_amount_gives_the_price_and_stays_as_it_was_entered(hq: Installation) -> None:
    product = hq.value("SELECT lower(hex(id)) FROM product")
    price = price_for(Decimal("100.00"), quantity=Decimal(3), discount=Decimal(1))
    assert price == Decimal("33.333333")
    line = {"product_id": product, "quantity": "3", "price": str(price)}
    order = hq.run("sales.save_order", header={"customer_id": hq.new("customer", name="甲")}, lines=[line])
    assert (order["lines"][0]["gross"], order["gross"]) == ("100.00", "100.00")
    for quantity, discount in (("0", "1"), ("3", "0")):
        assert code(price_for, Decimal(100), quantity=Decimal(quantity), discount=Decimal(discount)) == "no_price_for_amount"
    assert code(price_for, Decimal("0.01"), quantity=Decimal(100_000), discount=Decimal(1)) == "no_price_for_amount", "not a cent off"


def test_24_what_is_referred_to_is_not_deleted_and_is_told_by_what(hq: Installation) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织")
    hq.run("sales.save_order", header={"customer_id": mill}, lines=[])
    hq.run("crm.set_reminder", at="2026-12-01", text="寄样", customer=mill)
    with pytest.raises(AppError) as refused:
        hq.delete("customer", mill)
    assert refused.value.code == "referenced"
    told = str(refused.value.params["users"])
    assert all(entity(kind).label in told for kind in ("sales_order", "reminder")), told
    for kind in ("product", "warehouse"):
        used = hq.value(f"SELECT lower(hex(id)) FROM {kind}")
        sold(hq, mill)
        assert code(hq.delete, kind, used) == "referenced"
    assert not hq.is_deleted("customer", mill)


def test_26_what_was_posted_keeps_the_name_of_its_day(hq: Installation) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织")
    before = sold(hq, mill)
    hq.set("customer", mill, name="绍兴恒远纺织集团")
    after = sold(hq, mill)
    assert [hq.get("sales_order", one)["customer_name"] for one in (before, after)] == ["绍兴恒远纺织", "绍兴恒远纺织集团"]
    assert {hq.get("sales_order", one)["customer_id"] for one in (before, after)} == {mill}
    assert code(hq.set, "sales_order", before, remark="改") == "posted_document"


def test_28_a_reversed_order_frees_its_money_and_keeps_its_number(hq: Installation) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织")
    order = sold(hq, mill)
    receipt = hq.run("finance.receive_payment", order_id=order, amount="60")
    assert unpaid(hq, mill) == Decimal("40.00")
    number = hq.get("sales_order", order)["number"]
    reversal = hq.run("sales.reverse_order", order_id=order)
    assert (reversal["date"], reversal["gross"], reversal["reverses_id"]) == (hq.get("sales_order", order)["date"], "-100.00", order)
    assert hq.get("sales_order", order)["number"] == number
    assert unpaid(hq, mill) == Decimal("-60.00"), "what he has with us"
    assert hq.get("sales_order", order)["open"] == "0.00"
    assert code(hq.run, "finance.receive_payment", order_id=order, amount="-60.01") == "more_than_open"
    back = hq.run("finance.receive_payment", order_id=order, amount="-60")
    assert (unpaid(hq, mill), back["number"] != receipt["number"]) == (Decimal("0.00"), True)
    assert code(hq.run, "sales.reverse_order", order_id=order) == "already_reversed"


def test_36_a_price_that_is_no_number_of_the_business(hq: Installation) -> None:
    product, mill = hq.value("SELECT lower(hex(id)) FROM product"), hq.new("customer", name="绍兴恒远纺织")
    for price, refused in (("1e12", "number_too_large"), ("0.0000001", "too_many_decimals"), ("NaN", "bad_number"), ("十", "bad_number")):
        line = {"product_id": product, "quantity": "1", "price": price}
        assert code(hq.run, "sales.save_order", header={"customer_id": mill}, lines=[line]) == refused
    given = hq.run("sales.save_order", header={"customer_id": mill}, lines=[{"product_id": product, "quantity": "1", "price": "0"}])
    assert given["gross"] == "0.00"
    assert code(hq.set, "product", product, price="-1") == "too_small"


def test_38_a_sale_stays_with_who_made_it_and_money_finds_who_has_the_customer(hq: Installation) -> None:
    assert isinstance(hq.clock, HandClock)
    chen, lin = (hq.new("user", login=login, name=login, password="Haus-und-Hof-42", role="staff") for login in ("chen", "lin"))
    mill = hq.new("customer", name="绍兴恒远纺织", owner_id=chen)
    product = hq.value("SELECT lower(hex(id)) FROM product")
    seller = actor_by_id(hq.store, chen)
    assert seller is not None
    draft = verbs.run(
        hq.store, seller, "sales.save_order", {"header": {"customer_id": mill}, "lines": [{"product_id": product, "quantity": "10"}]}
    )
    hq.run("sales.post_order", order_id=draft["id"])
    sale = moment(hq.store.clock)
    hq.clock.forward(days=10)
    hq.run("crm.hand_over", customers=[mill], to=lin)
    hq.clock.forward(days=5)
    receipt = hq.run("finance.receive_payment", order_id=draft["id"], amount="100")
    paid = moment(hq.store.clock)
    assert hq.get("sales_order", draft["id"])["owner_id"] == chen, "credited by the person of the order"
    assert (receipt["order_id"], receipt["customer_id"]) == (draft["id"], mill)
    with hq.store.read() as connection:
        assert [owner_at(connection, mill, at) for at in (sale, paid)] == [chen, lin], "or by the person of the customer, on either day"


def test_42_no_text_runs_as_a_formula_and_comes_back_as_it_was(hq: Installation, tmp_path: Path) -> None:
    names = [
        "=cmd|' /C calc'!A0",
        "＝1+1公司",
        "@SUM(A1)贸易",
        "+86纺织",
        "<script>alert(1)</script>",
        "'; DROP TABLE customer; --",
        "𠮷田商事😀",
    ]
    for name in names:
        hq.new("customer", name=name)
    assert code(hq.new, "customer", name="好" * 501) == "too_long"
    long = hq.new("customer", name="好" * 500)
    assert hq.get("customer", long)["name"] == "好" * 500
    hq.delete("customer", long)
    hq.new("customer", name="上行\n下行")
    customers, path = entity("customer"), tmp_path / "out.csv"
    with hq.store.read() as connection:
        rows = select(connection, ListQuery(customers, sort="number", restrict=view(hq.actor, customers))).rows
        write_table(path, ["客户名称"], [[record_json(customers, row)["name"]] for row in rows], kinds=["text"])
    cells = [row[0] for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig")))][1:]
    assert cells == ["'=cmd|' /C calc'!A0", "'＝1+1公司", "'@SUM(A1)贸易", "'+86纺织", *names[4:], "上行\n下行"]


def test_43_numbers_as_people_type_them(hq: Installation) -> None:
    read = {
        "1,234.5": "1234.50",
        "１２３": "123.00",
        "－0": "0.00",
        "-0": "0.00",
        "\N{MINUS SIGN}0": "0.00",
        "¥ 1,000": "1000.00",
        "": "0.00",
        "1e3": "1000.00",
    }
    mill = hq.new("customer", name="绍兴恒远纺织")
    for typed, kept in read.items():
        hq.set("customer", mill, credit_limit=typed)
        assert hq.get("customer", mill)["credit_limit"] == kept, typed
    hq.set("customer", mill, credit_limit="5")
    for typed, refused in {"0.00001": "too_many_decimals", "一百": "bad_number", "1.2.3": "bad_number", "∞": "bad_number"}.items():
        assert code(hq.set, "customer", mill, credit_limit=typed) == refused, typed
    assert hq.get("customer", mill)["credit_limit"] == "5.00"


def test_44_files_with_dangerous_names_or_none_of_the_size(hq: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织")
    assert code(blobs.add, hq.store, "空.pdf", b"") == "file_empty"
    monkeypatch.setattr(blobs, "MAX_SIZE", 1000)
    assert code(blobs.add, hq.store, "大.iso", b"x" * 1001) == "file_too_large"
    two = [blobs.add(hq.store, "..\\..\\合同/报价.pdf", data) for data in (b"one", b"two")]
    assert {one.name for one in two} == {two[0].name}
    assert not set("/\\:") & set(two[0].name)
    hq.set("customer", mill, files=write_attachments(two))
    assert read_attachments(hq.get("customer", mill)["files"]) == two, "two of one name are two"
    strange = Attachment("f" * 64, 3, two[0].name)
    assert code(hq.set, "customer", mill, files=write_attachments([*two, strange])) == "file_not_added"


def test_45_the_second_who_saves_is_told_what_differs_also_from_another_program(hq: Installation) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织", phone="0575-1")
    version = hq.value("SELECT version FROM customer WHERE id = ?", bytes.fromhex(mill))
    hq.set("customer", mill, phone="0575-84123367")
    beside = open_store(hq.folder, clock=hq.clock)
    try:
        change = {"entity": "customer", "id": mill, "version": version}
        with pytest.raises(StaleRecord) as stale:
            verbs.run(beside, hq.actor, "records.update_record", {**change, "values": {"phone": "0575-99999999"}})
        assert stale.value.differences == [("phone", "0575-99999999", "0575-84123367")]
        assert hq.get("customer", mill)["phone"] == "0575-84123367"
        now = hq.value("SELECT version FROM customer WHERE id = ?", bytes.fromhex(mill))
        verbs.run(beside, hq.actor, "records.update_record", {**change, "version": now, "values": {"phone": "0575-99999999"}})
    finally:
        beside.close()
    assert hq.get("customer", mill)["phone"] == "0575-99999999"


def test_36_a_price_below_the_floor_needs_the_right_and_a_reason_and_no_number_overflows(hq: Installation) -> None:
    mill = hq.new("customer", name="绍兴恒远纺织")
    cloth = hq.new("product", code="F1", name="雪纺", price="10", tax_rate="0.13", floor_price="8")
    bare = hq.new("product", code="F2", name="裸布", price="10", tax_rate="0.13", cost="6.50")
    free = hq.new("product", code="F3", name="样卡", price="0", tax_rate="0.13")
    user = hq.new("user", login="wang", name="王芳", role="staff")

    def sell(kind: str = "order", by: Any = None, *, product: str = cloth, tax_included: bool = True, **line: str) -> dict[str, Any]:
        header = {"customer_id": mill, "tax_included": tax_included}
        lines = [{"product_id": product, "quantity": "1", **line}]
        return dict(verbs.run(hq.store, by or actor_by_id(hq.store, user), f"sales.save_{kind}", {"header": header, "lines": lines}))

    def refusal(*args: Any, **line: Any) -> tuple[str, str]:
        with pytest.raises(AppError) as error:
            sell(*args, **line)
        return error.value.code, error.value.message

    for kind in ("order", "quote"):
        for price in ("7.999999", "0", "-5"):
            assert refusal(kind, price=price) == ("below_floor", "“雪纺”不得低于 8 销售。")
        assert refusal(kind, price="10", discount="0.79")[0] == "below_floor"
        assert refusal(kind, price="7.07", tax_included=False)[0] == "below_floor", "7.99 with tax"
        assert refusal(kind, product=bare, price="7.34") == ("below_floor", "“裸布”不得低于 6.5 销售。"), "cost is without tax"
        assert refusal(kind, price="7", below_reason="老客户")[0] == "below_floor"
        assert sell(kind, price="8", below_reason="老客户")["lines"][0]["below_reason"] is None
        assert sell(kind, price="7.08", tax_included=False)
        assert sell(kind, product=bare, price="7.35")
        assert sell(kind, product=free, price="0")
        assert sell(kind, quantity="-1", price="1"), "goods that come back"
        for overflow in ({"price": "1000000000000"}, {"quantity": "1e12"}):
            assert refusal(kind, **overflow)[0] == "number_too_large"
        too_much = "数量 × 单价为 10,000,000,000,000,000.00，超出可保存的范围，请检查数量和单价。"
        assert refusal(kind, quantity="100000000", price="100000000") == ("amount_too_large", too_much)
        assert refusal(kind, hq.actor, price="7")[0] == "why_below", "the right comes with a question"
        assert sell(kind, hq.actor, price="7", below_reason="清库存")["lines"][0]["below_reason"] == "清库存"
    many = [{"product_id": free, "quantity": "90000000", "price": "100000"}] * 2
    assert code(hq.run, "sales.save_order", header={"customer_id": mill}, lines=many) == "amount_too_large"
    for price in ("-1", "1000000000000"):
        assert code(hq.set, "product", cloth, floor_price=price) in {"too_small", "number_too_large"}

    # What was let pass stays while other things change; its price is asked about again.
    (line,) = sell("order", hq.actor, price="7", below_reason="清库存")["lines"]
    change = {"entity": "sales_order_line", "id": line["id"]}
    wang = actor_by_id(hq.store, user)
    assert wang is not None
    verbs.run(hq.store, wang, "records.update_record", {**change, "values": {"remark": "急"}})
    assert code(verbs.run, hq.store, wang, "records.update_record", {**change, "values": {"price": "6"}}) == "below_floor"
    netto = sell(price="7.08", tax_included=False)
    assert code(hq.set, "sales_order", netto["id"], tax_included=True) == "why_below", "the same figure with tax is less"

    # Whoever may not see what a product costs does not read it in the refusal; a role gives the right as any other.
    for field in ("floor_price", "cost"):
        hq.run("people.set_field_rule", login="wang", entity="product", field=field, rule="masked")
    for product in (cloth, bare):
        assert not set("0123456789") & set(refusal(product=product, price="1")[1])
    role = hq.new("role", name="销售主管")
    for action in ("read", "create", "update", "undersell"):
        hq.run("people.set_role_right", role_id=role, entity="sales_order", action=action, scope="all")
    hq.run("people.set_roles", login="wang", roles=[role])
    told = refusal(product=bare, price="1")
    assert told[0] == "why_below"
    assert not set("0123456789") & set(told[1])
    assert sell(product=bare, price="1", below_reason="样品")["lines"][0]["below_reason"] == "样品"
